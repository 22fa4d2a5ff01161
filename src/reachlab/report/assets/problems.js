// The problem browser: a list that is filtered, sorted and searched, and a reader of one problem's samples.
// Its state is the address: #problems?show=lost&model=NAME&q=TEXT&sort=low&of=NAME&from=10&to=20&problem=ID. Texts become text, never elements.
"use strict";
(() => {
  const section = document.getElementById("problems");
  const find = (selector) => section.querySelector(selector);
  const form = find("form"), list = find(".rows"), more = find(".more"), reader = find("dialog"), inside = find(".inside");
  const swatches = [...section.querySelectorAll(".head .swatch")];
  const PAGE = 200; // rows put on the page at a time
  const LABELS = { correct: "✓ right", wrong: "✗ wrong", unscored: "? unscored" };

  let index; // the list's block, once opened
  let found = []; // positions of the problems that the filter lets through, in their order
  let state = {};

  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  // -- the address --------------------------------------------------------------------------------------------------

  const FILTERS = ["show", "model", "q", "sort", "of", "from", "to"], NAMES = [...FILTERS, "problem"];
  const read = () => {
    const [place, query] = location.hash.slice(1).split(/\?(.*)/s);
    if (place !== "problems") return undefined;
    const given = new URLSearchParams(query ?? "");
    return Object.fromEntries(NAMES.map((name) => [name, given.get(name)]).filter(([, value]) => value !== null));
  };
  const address = (wanted) => {
    const query = new URLSearchParams(NAMES.filter((name) => wanted[name]).map((name) => [name, wanted[name]]));
    return `#problems${query.size ? `?${query}` : ""}`;
  };
  const go = (wanted) => {
    history.replaceState(null, "", address(wanted));
    show(wanted);
  };

  // -- which problems -----------------------------------------------------------------------------------------------

  const others = (model) => [...index.models.keys()].filter((m) => m && (!model || index.models[m] === model));
  const change = (p, m) => index.accuracy[m][p] - index.accuracy[0][p];
  const largest = (p, among) => among.reduce((most, m) => Math.max(most, Math.abs(change(p, m))), 0);

  const TESTS = {
    gained: (p, among) => !index.c[0][p] && among.some((m) => index.c[m][p]),
    lost: (p, among) => index.c[0][p] > 0 && among.some((m) => !index.c[m][p]),
    "surely-gained": (p, among) => among.some((m) => index.surely[m].gained.has(p)),
    "surely-lost": (p, among) => among.some((m) => index.surely[m].lost.has(p)),
    all: (p) => index.c.every((c) => c[p]),
    none: (p) => !index.c.some((c) => c[p]),
    some: (p) => index.c.some((c) => c[p]) && !index.c.every((c) => c[p]),
    doubts: (p, among, model) => index.doubts.some((found, m) => found.has(p) && (!model || index.models[m] === model)),
  };

  // A bar of the histogram of a model: above `from` and up to `to` per cent right; never and always are bars of their own.
  const bar = ({ of, from = "", to = "" }) => {
    const m = index.models.indexOf(of);
    if (m < 0 || (!from && !to)) return undefined;
    const right = (p) => 100 * index.c[m][p], part = (p, share) => share * index.n[m][p];
    if (to === "0") return { words: "never right", test: (p) => !right(p) };
    if (from === "100") return { words: "always right", test: (p) => right(p) === part(p, 100) };
    const low = Number(from) || 0, high = Number(to) || 100;
    return {
      words: `right in more than ${low}%, ${high < 100 ? "at most" : "less than"} ${high}%`,
      test: (p) => right(p) > part(p, low) && right(p) <= part(p, high) && right(p) < part(p, 100),
    };
  };

  const choose = ({ show = "", model = "", q = "", sort = "", ...range }) => {
    const among = others(model);
    const test = TESTS[show] ?? (() => true);
    const words = q.toLowerCase().split(/\s+/).filter(Boolean);
    const inside = bar(range)?.test ?? (() => true);
    const passes = (p) => test(p, among, model) && inside(p) && words.every((word) => index.texts[p].includes(word));
    const chosen = [...index.ids.keys()].filter(passes);
    const keys = { high: (p) => -index.accuracy[0][p], low: (p) => index.accuracy[0][p] };
    const key = keys[sort] ?? (sort || !among.length ? () => 0 : (p) => -largest(p, among));
    return chosen.map((p) => [key(p), p]).sort((a, b) => a[0] - b[0]).map(([, p]) => p);
  };

  const { below } = document.querySelector(".problems").dataset;
  // "lost by a and b", "gained with p < 0.05 by 3 models"; nothing where all agree with the base.
  const kind = (p) => {
    const said = [];
    for (const word of ["gained", "lost"]) {
      const changed = others("").filter((m) => TESTS[word](p, [m]));
      const sure = changed.filter((m) => index.surely[m][word].has(p));
      for (const [how, who] of [[`${word} with ${below}`, sure], [word, changed.filter((m) => !sure.includes(m))]]) {
        const names = who.length < 3 ? who.map((m) => index.models[m]).join(" and ") : `${who.length} models`;
        if (who.length) said.push(index.models.length === 2 ? how : `${how} by ${names}`);
      }
    }
    return said.join(", ");
  };

  const percent = (p, m) => {
    const right = index.c[m][p], share = index.accuracy[m][p];
    if (!right) return "0%";
    if (right === index.n[m][p]) return "100%";
    return share < 0.0995 || share > 0.9905 ? `${(100 * share).toFixed(1)}%` : `${(100 * share).toFixed(0)}%`;
  };
  const counts = (p, m) => {
    const unscored = index.unscored[m][p];
    return `${index.c[m][p].toLocaleString("en")} of ${index.n[m][p].toLocaleString("en")} right${unscored ? `, ${unscored} unscored` : ""}`;
  };

  // -- the list -----------------------------------------------------------------------------------------------------

  const row = (p, at) => {
    const link = element("a", { href: address({ ...state, problem: index.ids[p] }), tabindex: at ? -1 : 0 });
    const what = kind(p);
    if (what) link.append(element("span", { class: "kind" }, what), " ");
    link.append(element("code", {}, index.ids[p]), " ", element("span", { class: "gist" }, index.asked[p].slice(0, 240)));
    const cells = index.models.map((name, m) => {
      const cell = element("span", { role: "cell", class: "share num", title: `${name}: ${counts(p, m)}` });
      cell.style.setProperty("--share", index.accuracy[m][p]);
      if (!index.c[m][p]) cell.classList.add("never");
      cell.append(swatches[m].cloneNode(true), percent(p, m));
      return cell;
    });
    return element("div", { role: "row", "aria-rowindex": at + 2 }, element("span", { role: "rowheader" }, link), ...cells);
  };
  const links = () => list.querySelectorAll("a");
  const extend = () => {
    const shown = list.childElementCount;
    list.append(...found.slice(shown, shown + PAGE).map((p, i) => row(p, shown + i)));
    const left = found.length - list.childElementCount;
    more.hidden = !left;
    more.textContent = `Show ${Math.min(left, PAGE)} more of ${left.toLocaleString("en")}`;
  };
  const fill = () => {
    found = choose(state);
    list.replaceChildren();
    list.parentElement.setAttribute("aria-rowcount", found.length + 1);
    extend();
    find("#problems-count").textContent = found.length === index.ids.length
      ? `${found.length.toLocaleString("en")} problems.`
      : `${found.length.toLocaleString("en")} of ${index.ids.length.toLocaleString("en")} problems.`;
  };
  const focus = (at) => {
    while (at >= list.childElementCount && list.childElementCount < found.length) extend();
    const all = links(), link = all[Math.max(0, Math.min(at, all.length - 1))];
    if (!link) return;
    for (const other of all) other.tabIndex = other === link ? 0 : -1;
    link.focus();
  };

  // -- the reader ---------------------------------------------------------------------------------------------------

  const opened = new Map(); // chunks
  const chunk = (p) => {
    const at = index.starts.findLastIndex((start) => start <= p);
    if (!opened.has(at)) opened.set(at, unpack(`chunk-${at}`).then(JSON.parse));
    return opened.get(at).then((problems) => problems[p - index.starts[at]]);
  };
  const block = (text) => element("pre", {}, text);
  const sample = ([number, status, remarks, text]) => [
    element("div", { class: `status ${status}` }, LABELS[status], " ", element("small", {}, [`sample ${number}`, ...remarks].join(", "))),
    block(text || "(empty)"),
  ];
  const answers = (p, m, samples) => {
    const drawn = index.n[m][p] + index.unscored[m][p];
    const name = element("span", { class: "model" }, swatches[m].cloneNode(true), index.models[m]);
    const left = drawn - samples.length;
    return element("div", {}, element("h4", {}, name, element("span", { class: "num" }, counts(p, m))),
      ...samples.flatMap(sample),
      served.more?.({ p, m, sample, shown: samples.length, left }) ?? element("p", { class: "note" }, left ? `${left.toLocaleString("en")} more samples are in the run, not in this page.` : ""));
  };
  const fillReader = async (p) => {
    const [problem, pictures] = await Promise.all([chunk(p), served.block || document.getElementById(`pictures-${p}`) ? unpack(`pictures-${p}`).then(JSON.parse) : []]);
    if (state.problem !== index.ids[p]) return; // already elsewhere
    const at = found.indexOf(p);
    find("#reader-h").replaceChildren("Problem ", element("code", {}, index.ids[p]));
    find("#reader-place").textContent = [at < 0 ? "not in the list" : `${at + 1} of ${found.length} in the list`, kind(p)].filter(Boolean).join("; ");
    find("[name=previous]").disabled = at < 1;
    find("[name=next]").disabled = at < 0 || at + 1 >= found.length;
    inside.replaceChildren(
      ...pictures.map((words, i) => words.startsWith("data:")
        ? element("img", { class: "shown", src: words, alt: `Picture ${i + 1} of the problem` })
        : element("p", { class: "note" }, words)),
      ...problem.prompt.flatMap(([role, text]) => [...(role ? [element("div", { class: "role" }, role)] : []), block(text)]),
      element("div", { class: "role" }, "What the verifier holds against answers"), block(problem.answer),
      element("div", { class: "answers" }, ...problem.models.map((samples, m) => answers(p, m, samples))),
    );
    if (!reader.open) reader.showModal();
    reader.scrollTop = 0;
    find("#reader-h").focus({ preventScroll: true });
    reader.dataset.shown = index.ids[p];
  };
  const step = (by) => {
    const at = found.indexOf(index.ids.indexOf(state.problem)) + by;
    if (at >= 0 && at < found.length) go({ ...state, problem: index.ids[found[at]] });
  };

  // -- what the page does -------------------------------------------------------------------------------------------

  const open = async () => {
    index ??= await unpack("index").then(JSON.parse).then((read) => {
      read.surely = read.surely.map(({ gained, lost }) => ({ gained: new Set(gained), lost: new Set(lost) }));
      read.doubts = read.doubts.map((found) => new Set(found));
      read.texts = read.ids.map((id, p) => `${id}\n${read.asked[p]}`.toLowerCase());
      return read;
    });
  };
  const show = async (wanted) => {
    const before = state;
    state = wanted;
    await open();
    if (state !== wanted) return; // something newer is being shown
    for (const name of FILTERS) {
      const field = form.elements[name];
      if (field && field.value !== (wanted[name] ?? "")) field.value = wanted[name] ?? "";
    }
    const same = list.childElementCount && FILTERS.every((name) => (before[name] ?? "") === (wanted[name] ?? ""));
    if (!same) fill();
    const range = bar(wanted);
    find("#problems-bar").hidden = !range;
    find("#problems-bar").textContent = range ? `${wanted.of}: ${range.words} ✕` : "";
    const p = index.ids.indexOf(wanted.problem);
    if (p >= 0) await fillReader(p);
    else if (reader.open) reader.close();
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => go({ ...state, ...Object.fromEntries(new FormData(form)), problem: "" }));
  find("#problems-bar").addEventListener("click", () => go({ ...state, of: "", from: "", to: "" }));
  more.addEventListener("click", () => {
    const at = list.childElementCount;
    extend();
    focus(at);
  });
  list.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
    const by = steps[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const at = [...links()].indexOf(document.activeElement);
    focus(by === Infinity ? found.length - 1 : Math.max(0, at + by));
  });
  reader.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j" || event.key === "ArrowRight") step(1);
    if (event.key === "k" || event.key === "ArrowLeft") step(-1);
  });
  find("[name=previous]").addEventListener("click", () => step(-1));
  find("[name=next]").addEventListener("click", () => step(1));
  find("[name=close]").addEventListener("click", () => reader.close());
  reader.addEventListener("click", (event) => event.target === reader && reader.close());
  reader.addEventListener("close", () => {
    const at = found.indexOf(index.ids.indexOf(state.problem || reader.dataset.shown));
    go({ ...state, problem: "" });
    if (at >= 0) focus(at);
  });
  addEventListener("hashchange", () => {
    const wanted = read();
    if (wanted && !wanted.problem) section.scrollIntoView();
    if (wanted) show(wanted);
    else if (reader.open) reader.close();
  });

  // A served page has new samples (live.js): the list is read again, and who reads a problem goes on reading it.
  addEventListener("renewed", async () => {
    if (!index) return;
    const shown = list.childElementCount, at = document.activeElement.closest?.(".rows") && document.activeElement.hash;
    index = undefined;
    opened.clear();
    await open();
    fill();
    while (list.childElementCount < Math.min(shown, found.length)) extend();
    if (at) focus([...links()].findIndex((link) => link.hash === at));
  });

  const wanted = read();
  if (wanted) {
    first = show(wanted);
    section.scrollIntoView();
  } else {
    const near = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      near.disconnect();
      if (!index) show(state);
    }, { rootMargin: "100% 0px" });
    near.observe(section);
  }
})();
