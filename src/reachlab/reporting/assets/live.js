// A page that `reachlab serve` shows: blocks and samples come from the server, and the page follows its runs.
// What changed between two states of the server's text is changed here, node by node, so that what scripts and readers
// did to the page stays: scroll, focus, what is open, what is hidden. Nothing is reloaded but for another set of models.
"use strict";
(() => {
  const root = document.documentElement;
  const POLL = 2_000, IDLE = 20_000, QUIET = 300; // milliseconds between two questions; seconds after which a run is quiet
  let version = root.dataset.served, tag = "", state, looked = 0, silent = 0, refreshing;

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  const number = (value) => value.toLocaleString("en");
  const clock = (seconds) => new Date(1000 * seconds).toLocaleTimeString();
  const lasted = (seconds) => seconds < 90 ? `${Math.max(0, Math.round(seconds))} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;

  // -- asking -------------------------------------------------------------------------------------------------------

  class Old extends Error {}
  const ask = async (address, options = {}) => {
    const answer = await fetch(address, { cache: "no-store", ...options });
    if (answer.ok || answer.status === 304) return answer;
    const words = await answer.json().then(({ error }) => error, () => `${answer.status} ${answer.statusText}`);
    throw answer.status === 410 ? new Old(words) : new Error(words);
  };
  served.block = async (name) => {
    for (let again = 0; ; again++) {
      try {
        return await (await ask(`block/${version}/${encodeURIComponent(name)}`)).text();
      } catch (error) {
        if (!(error instanceof Old) || again) throw error;
        await refresh();
      }
    }
  };

  // -- the text of the page -----------------------------------------------------------------------------------------

  const alive = new WeakMap(); // a node of the server's text, and the page's node that stands for it
  const pair = (given, node) => {
    alive.set(given, node);
    given.childNodes.forEach((child, i) => pair(child, node.childNodes[i]));
  };
  const sheet = document.querySelector(".sheet");
  let given = sheet.cloneNode(true); // before another script changes it
  pair(given, sheet);

  const key = (node) => node.nodeType === 1 ? `${node.nodeName} ${node.id || node.dataset?.figure || node.dataset?.model || ""}` : `${node.nodeType}`;
  const patch = (old, fresh) => {
    const node = alive.get(old);
    alive.set(fresh, node);
    if (old.nodeType !== 1) {
      if (old.data !== fresh.data) node.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes, ...fresh.attributes]) {
      const value = fresh.getAttribute(name);
      if (value === old.getAttribute(name)) continue;
      if (value === null) node.removeAttribute(name);
      else node.setAttribute(name, value);
    }
    const before = new Map();
    for (const child of old.childNodes) before.set(key(child), [...(before.get(key(child)) ?? []), child]);
    let place;
    for (const child of fresh.childNodes) {
      const match = before.get(key(child))?.shift();
      if (match) patch(match, child);
      else {
        const made = document.importNode(child, true);
        pair(child, made);
        if (place) place.after(made);
        else node.prepend(made);
      }
      if (alive.get(child).parentNode === node) place = alive.get(child);
    }
    for (const child of [...before.values()].flat()) alive.get(child).remove();
  };
  const renew = async () => {
    const page = new DOMParser().parseFromString(await (await ask("./")).text(), "text/html");
    const next = page.documentElement.dataset.served, fresh = page.querySelector(".sheet");
    if (!next || !fresh || next === version) return;
    if (page.documentElement.dataset.shape !== root.dataset.shape) {
      location.reload(); // other models: other columns, keys and figures
      return;
    }
    patch(given, fresh);
    given = fresh;
    version = next;
    root.dataset.served = next;
    dispatchEvent(new CustomEvent("redrawn", { detail: JSON.parse(page.getElementById("figures").textContent) }));
    dispatchEvent(new Event("renewed"));
  };
  const refresh = () => (refreshing ??= renew().finally(() => { refreshing = undefined; }));

  // -- how the runs stand -------------------------------------------------------------------------------------------

  const now = element("p", { role: "status" }), alarm = element("p", { class: "alert", role: "alert" });
  const runs = element("ul"), seen = element("summary", { class: "note" }), folded = element("details", {}, seen, runs);
  document.querySelector(".top").after(element("section", { class: "live", "aria-label": "The runs now" }, now, alarm, folded));

  const words = () => {
    if (!state) return "Asking how the runs stand.";
    if (state.comparing) return document.querySelector(".verdicts") ? "Something has changed: comparing again." : "Reading and comparing.";
    if (state.runs.every((run) => run.finished)) return "All runs are finished.";
    return "Following the runs: what comes is shown here by itself.";
  };
  const line = (run) => {
    const quiet = run.changed && looked - run.changed > QUIET;
    const count = run.planned ? `${number(run.done)} of ${number(run.planned)} ${run.unit}` : `${number(run.done)} ${run.unit}`;
    if (run.missing) return run.missing;
    if (run.finished) return `${count}, finished`;
    return `${count}, ${quiet ? "nothing new" : "last change"} ${quiet ? `for ${lasted(looked - run.changed)}` : run.changed ? `${lasted(looked - run.changed)} ago` : "unknown"}`;
  };
  const tell = () => {
    put(now, words());
    put(alarm, [silent ? `The server has not answered since ${clock(silent)}; this is what it said then.` : "", ...(state?.said ?? [])].filter(Boolean).join(" "));
    const standing = state?.runs ?? [];
    while (runs.childElementCount > standing.length) runs.lastElementChild.remove();
    standing.forEach((run, i) => {
      const item = runs.children[i] ?? runs.appendChild(element("li", {}, element("span", { class: "name" }), element("progress"), element("span", { class: "num" })));
      const [name, bar, text] = item.children;
      put(name, run.name);
      bar.hidden = !run.planned;
      bar.setAttribute("aria-label", `${run.name}: ${run.unit}`);
      bar.max = run.planned || 1;
      bar.value = Math.min(run.done, bar.max);
      put(text, line(run));
    });
    const going = standing.filter((run) => !run.finished).length;
    put(seen, looked ? `${number(standing.length)} ${standing.length === 1 ? "run" : "runs"}${going ? `, ${number(going)} not finished` : ""}, looked at ${clock(looked)}` : "The runs");
  };
  const look = async () => {
    const answer = await ask("state", { headers: tag ? { "If-None-Match": tag } : {} });
    looked = Number(answer.headers.get("Last-Look"));
    if (answer.status !== 304) {
      state = await answer.json();
      const verdicts = document.querySelector(".verdicts"); // come first on a narrow screen
      if (!tag) folded.open = state.runs.length < 5 && !state.runs.every((run) => run.finished) && !(verdicts && innerWidth < 760);
      tag = answer.headers.get("ETag");
      if (state.version !== version) await refresh();
    }
    silent = 0;
  };
  const follow = async () => {
    try {
      await look();
    } catch {
      silent ||= looked || Date.now() / 1000;
      tag = "";
    }
    tell();
    setTimeout(follow, document.hidden ? IDLE : POLL);
  };
  tell();
  follow();
  addEventListener("unhandledrejection", (event) => { // a block that the server has not got
    event.preventDefault();
    put(alarm, `${event.reason?.message ?? event.reason}`);
  });

  // -- more samples of a problem ------------------------------------------------------------------------------------

  served.more = ({ p, m, sample, shown, left }) => {
    const asked = version;
    const place = element("div", { class: "rest" });
    if (!left) return place;
    const button = element("button", { type: "button" }), note = element("p", { class: "note" });
    const say = () => put(button, `Show ${number(Math.min(20, left))} more of ${number(left)}`);
    let from = shown;
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        const found = await (await ask(`samples/${asked}/${m}/${p}?start=${from}`)).json();
        const made = found.samples.flatMap(sample);
        place.before(...made);
        from += found.samples.length;
        left = found.left;
        if (!left) place.remove();
        made[0]?.setAttribute("tabindex", "-1");
        made[0]?.focus({ preventScroll: true });
        say();
      } catch (error) {
        if (error instanceof Old) dispatchEvent(new HashChangeEvent("hashchange")); // the problem anew, of the newest state
        else put(note, error.message);
      }
      button.disabled = false;
    });
    say();
    place.append(button, note);
    return place;
  };

  // -- a search of all answers --------------------------------------------------------------------------------------

  const problems = document.getElementById("problems");
  if (!problems) return;
  const VERDICTS = { "": "any verdict", correct: "right", wrong: "wrong", unscored: "unscored" };
  const field = element("input", { type: "search", name: "text", autocomplete: "off", spellcheck: "false", maxlength: "200", required: "" });
  const verdict = element("select", { name: "verdict" }, ...Object.entries(VERDICTS).map(([value, text]) => element("option", { value }, text)));
  const start = element("button", { type: "submit" }, "Search"), end = element("button", { type: "button", hidden: "" }, "Stop");
  const form = element("form", { class: "filters", role: "search", "aria-label": "Search of all answers" },
    element("label", { class: "find" }, "Find in all answers of all models ", field), element("label", {}, "Verdict ", verdict), start, end);
  const count = element("p", { class: "note", role: "status" }), hits = element("ol"), onward = element("button", { type: "button", hidden: "" }, "Go on");
  problems.querySelector("form").after(element("details", { class: "everywhere" }, element("summary", {}, "Search every answer in the runs"), form, count, hits, onward));

  const hit = (asked, { model, run, p, problem, sample, status, before, hit: found, behind }) => {
    const models = [...problems.querySelectorAll(".head [role=columnheader]")].slice(1).map((head) => head.title || head.textContent);
    const whole = element("button", { type: "button" }, "Whole answer");
    const item = element("li", {},
      element("a", { href: `#problems?${new URLSearchParams({ problem })}` }, `${problem}`), ` ${models[model] ?? ""}, sample ${number(sample)}, `,
      element("span", { class: `status ${status}` }, VERDICTS[status] ?? status),
      element("p", {}, before, element("mark", {}, found), behind), whole);
    whole.addEventListener("click", async () => {
      whole.disabled = true;
      try {
        const { samples } = await (await ask(`samples/${asked}/${model}/${p}?only=${sample}&run=${run}`)).json();
        whole.replaceWith(...samples.map((one) => element("pre", { tabindex: "0" }, one[3])));
      } catch (error) {
        whole.replaceWith(element("p", { class: "note" }, error instanceof Old ? "The runs have gone on since: search again." : error.message));
      }
    });
    return item;
  };
  let going;
  const searchFrom = async (mark) => {
    going?.abort();
    const mine = (going = new AbortController()), asked = version;
    const query = new URLSearchParams({ q: field.value.trim(), verdict: verdict.value, from: mark });
    if (!query.get("q")) return;
    if (!mark) hits.replaceChildren();
    onward.hidden = true;
    end.hidden = false;
    let said = "", next, rest = "";
    const take = (one) => {
      if ("error" in one) throw new Error(one.error);
      if ("next" in one) next = one.next;
      else if ("done" in one) said = `, ${number(one.done)} of ${number(one.of)} files looked through`;
      else hits.append(hit(asked, one));
    };
    try {
      const reader = (await ask(`search/${asked}?${query}`, { signal: mine.signal })).body.pipeThrough(new TextDecoderStream()).getReader();
      for (let piece; !(piece = await reader.read()).done; ) {
        const lines = (rest + piece.value).split("\n");
        rest = lines.pop();
        lines.forEach((text) => take(JSON.parse(text)));
        put(count, `${number(hits.childElementCount)} found${said}.`);
      }
      put(count, `${number(hits.childElementCount)} found${next ? ", and maybe more" : ", and that is all"}.`);
      onward.hidden = !next;
      onward.onclick = () => searchFrom(next);
    } catch (error) {
      if (going !== mine) return;
      const why = mine.signal.aborted ? "stopped" : error instanceof Old ? "the runs have gone on: search again" : error.message;
      put(count, `${number(hits.childElementCount)} found${said}; ${why}.`);
      if (error instanceof Old) refresh().catch(() => {});
    }
    if (going === mine) end.hidden = true;
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    searchFrom("");
  });
  end.addEventListener("click", () => going?.abort());
})();
