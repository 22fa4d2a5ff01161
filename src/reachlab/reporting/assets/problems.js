// The problem browser: a list that is filtered, sorted and searched. Its state is the address, so that links lead to it:
//
//   #problems?show=lost&model=NAME   gained, lost, surely-gained, surely-lost, all, some, none, doubts; by which model
//     q=WORDS                        in prompts and ids, in any order; "in quotes" they stand together
//     of=NAME&from=10&to=20          a bar of that model's histogram: above `from` and up to `to` per cent right
//     group=FIELD:VALUE              a value of a field of the problems' metadata
//     sort=low                       high, low, order; else by the largest change
//     a=WORDS                        in answers; some one answer has to have all of these:
//     who=NAME verdict=wrong         of that model; right, wrong, unscored
//     end=length reason=TEXT         length, stop, content_filter; a kind of reason as the form has it
//     label=differs                  the log of an imported run says another thing
//     problem=ID raw=1               the problem that is read; texts as they are and not as Markdown
//
// Texts become text, never elements. What an answer's filters look at is in answers.js, the dialog in reader.js.
"use strict";
(() => {
  const { element } = rendering;
  const section = document.getElementById("problems");
  const find = (selector) => section.querySelector(selector);
  const form = find("form"), list = find(".rows"), more = find(".more"), nothing = find(".nothing");
  const swatches = [...section.querySelectorAll(".head .swatch")];
  const PAGE = 200; // rows put on the page at a time

  let index; // the list's block, once opened
  let answers; // what is known of answers
  let reader;
  let found = []; // positions of the problems that the filter lets through, in their order
  let state = {};

  // -- the address --------------------------------------------------------------------------------------------------

  const FILTERS = ["show", "model", "q", "of", "from", "to", "group", "sort", "a", "who", "verdict", "end", "reason", "label"];
  const MORE = ["group", "who", "verdict", "end", "reason", "label"]; // in the part of the form that is folded
  const NAMES = [...FILTERS, "problem", "raw"];
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
    const bin = (p) => index.bars[m][p], last = 11; // 0 never, 1 to 10 a tenth each, 11 always: as the histogram counts
    if (to === "0") return { words: "never right", test: (p) => bin(p) === 0 };
    if (from === "100") return { words: "always right", test: (p) => bin(p) === last };
    const low = Number(from) || 0, high = Number(to) || 100;
    return {
      words: `right in more than ${low}%, ${high < 100 ? "at most" : "less than"} ${high}%`,
      test: (p) => bin(p) > 0 && bin(p) < last && 10 * (bin(p) - 1) >= low && 10 * bin(p) <= high,
    };
  };
  const grouped = (group = "") => {
    const field = index.fields.find(({ name }) => group.startsWith(`${name}:`));
    const value = field?.values.indexOf(group.slice(field.name.length + 1));
    return field ? (p) => field.of[p] === value : () => true;
  };

  const choose = ({ show = "", model = "", q = "", sort = "", group, ...rest }) => {
    const among = others(model);
    const test = TESTS[show] ?? (() => true), inside = bar(rest)?.test ?? (() => true), belongs = grouped(group);
    const words = answers.words(q);
    const passes = (p) => test(p, among, model) && inside(p) && belongs(p) && answers.has(index.texts[p], words)
      && (!answers.filters(rest) || answers.any(rest, p));
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
    const link = element("a", { class: index.numbered ? "numbered" : "", href: address({ ...state, problem: index.ids[p] }), tabindex: at ? -1 : 0 });
    const what = kind(p);
    if (what) link.append(element("span", { class: "kind" }, what), " ");
    const id = element("code", {}, index.ids[p]), gist = element("span", { class: "gist" }, index.asked[p].slice(0, 240));
    link.append(...(index.numbered ? [gist, " ", id] : [id, " ", gist]));
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
  const put = () => {
    const at = [...links()].indexOf(document.activeElement), shown = list.childElementCount;
    list.replaceChildren();
    list.parentElement.setAttribute("aria-rowcount", found.length + 1);
    extend();
    if (at < 0) return;
    while (list.childElementCount < Math.min(shown, found.length)) extend();
    focus(at);
  };
  const count = (words = "") => {
    const all = index.ids.length.toLocaleString("en");
    const said = found.length === index.ids.length ? `${all} problems.` : `${found.length.toLocaleString("en")} of ${all} problems.`;
    find("#problems-count").textContent = [said, words].filter(Boolean).join(" ");
    nothing.hidden = found.length > 0 || words.endsWith("…");
    list.parentElement.hidden = !nothing.hidden;
  };
  let searching = 0; // a newer list ends an older search
  const fill = () => {
    searching += 1;
    const wanted = state, candidates = choose(state);
    const filtered = answers.filters(state);
    found = answers.toSearch(state) ? [] : candidates;
    put();
    count(filtered ? (found === candidates ? answers.looked() : "Looking at answers …") : "");
    if (found === candidates) return;
    const place = new Map(candidates.map((p, at) => [p, at]));
    const mine = (searching += 1);
    const same = () => mine === searching && FILTERS.every((name) => (state[name] ?? "") === (wanted[name] ?? ""));
    answers.search(wanted, candidates, same, (hits, read, done) => {
      const before = found.length;
      found = [...hits].sort((a, b) => place.get(a) - place.get(b));
      if (found.length !== before) put();
      count(done ? answers.looked(read) : `${read.toLocaleString("en")} answers looked at …`);
      if (state.problem) here(index.ids.indexOf(state.problem));
    }).catch((error) => same() && count(`The answers cannot be read: ${error.message}.`));
  };
  const focus = (at) => {
    while (at >= list.childElementCount && list.childElementCount < found.length) extend();
    const all = links(), link = all[Math.max(0, Math.min(at, all.length - 1))];
    if (!link) return;
    for (const other of all) other.tabIndex = other === link ? 0 : -1;
    link.focus();
  };

  // -- the reader ---------------------------------------------------------------------------------------------------

  // Blocks of neighbouring problems. Every text of the browser comes from here.
  let opened = new Map();
  const chunk = (at) => {
    const mine = opened;
    if (!mine.has(at)) {
      const read = unpack(`chunk-${at}`).then(JSON.parse);
      mine.set(at, read);
      read.catch(() => mine.delete(at)); // to be asked for again
    }
    return mine.get(at);
  };
  const problemAt = (p) => {
    const at = index.starts.findLastIndex((start) => start <= p);
    return chunk(at).then((problems) => problems[p - index.starts[at]]);
  };
  const here = (p) => {
    const at = found.indexOf(p);
    find("#reader-place").textContent = [at < 0 ? "not in the list" : `${at + 1} of ${found.length} in the list`, kind(p)].filter(Boolean).join("; ");
    find("[name=previous]").disabled = at < 1;
    find("[name=next]").disabled = at < 0 || at + 1 >= found.length;
  };
  const fillReader = async (p) => {
    const wanted = state;
    const [problem, pictures] = await Promise.all([
      problemAt(p),
      served.block || document.getElementById(`pictures-${p}`) ? unpack(`pictures-${p}`).then(JSON.parse) : [],
      state.raw || rendering.load(),
    ]);
    if (state !== wanted) return; // already elsewhere
    find("#reader-h").replaceChildren("Problem ", element("code", {}, index.ids[p]));
    find("[name=raw]").setAttribute("aria-pressed", String(Boolean(state.raw)));
    here(p);
    const left = problem.models.map((samples, m) => index.n[m][p] + index.unscored[m][p] - samples.length);
    await reader.show({ p, id: index.ids[p], problem, pictures, raw: Boolean(state.raw), counts: index.models.map((_, m) => counts(p, m)), left });
  };
  const step = (by) => {
    const at = found.indexOf(index.ids.indexOf(state.problem)) + by;
    if (at >= 0 && at < found.length) go({ ...state, problem: index.ids[found[at]] });
  };

  // -- what the page does -------------------------------------------------------------------------------------------

  const readIndex = () => unpack("index").then(JSON.parse).then((read) => {
    read.surely = read.surely.map(({ gained, lost }) => ({ gained: new Set(gained), lost: new Set(lost) }));
    read.doubts = read.doubts.map((found) => new Set(found));
    read.texts = read.ids.map((id, p) => `${id}\n${read.asked[p]}`.toLowerCase());
    return read;
  });
  // The list and what belongs to it, all at once: nothing is without it meanwhile.
  const take = (read) => {
    index = read;
    opened = new Map();
    answers = makeAnswers({ index: read, chunk: (at) => chunk(at) });
  };
  let opening;
  const open = async () => {
    if (!index) {
      const read = await (opening ??= readIndex().finally(() => { opening = undefined; }));
      if (!index) take(read);
    }
    if (reader) return;
    const fits = (p, m, i, sample) => !answers.filters(state) || (answers.fits(state, p, m, i, sample) && answers.has(sample[3].toLowerCase(), answers.words(state.a)));
    reader = makeReader({ section, swatches, names: index.models, matches: fits, words: () => answers.words(state.a) });
    offer();
    listen();
  };
  // The form's choices that depend on what the answers have.
  const offer = () => {
    const groups = index.fields.map(({ name, values }) => element("optgroup", { label: name }, ...values.map((value) => element("option", { value: `${name}:${value}` }, value))));
    form.elements.group.append(...groups);
    const offers = { ...answers.offers(), group: groups };
    for (const [name, choices] of Object.entries(offers)) {
      const field = form.elements[name];
      if (name !== "group") field.append(...choices.map(([value, words]) => element("option", { value }, words)));
      field.parentElement.hidden = !choices.length;
    }
    find(".more-filters").hidden = Object.values(offers).every((choices) => !choices.length);
  };
  let filled = false;
  const show = async (wanted) => {
    const before = state;
    state = wanted;
    await open();
    if (state !== wanted) return; // something newer is being shown
    for (const name of FILTERS) {
      const field = form.elements[name];
      if (field && field.value !== (wanted[name] ?? "")) field.value = wanted[name] ?? "";
    }
    if (MORE.some((name) => wanted[name])) find(".more-filters").open = true;
    const range = bar(wanted);
    find("#problems-bar").hidden = !range;
    find("#problems-bar").textContent = range ? `${wanted.of}: ${range.words} ✕` : "";
    const same = filled && FILTERS.every((name) => (before[name] ?? "") === (wanted[name] ?? ""));
    if (!same) fill();
    filled = true;
    const p = index.ids.indexOf(wanted.problem);
    if (p >= 0) await fillReader(p);
    else if (reader.dialog.open) reader.dialog.close();
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  const filter = () => go({ ...Object.fromEntries(new FormData(form)), problem: "", raw: state.raw });
  let typing;
  form.addEventListener("input", (event) => {
    clearTimeout(typing); // answers are many: their words are looked for when the typing pauses
    if (event.target.name === "a") typing = setTimeout(filter, 250);
    else filter();
  });
  find("#problems-bar").addEventListener("click", () => go({ ...state, of: "", from: "", to: "" }));
  find("[name=clear]").addEventListener("click", () => {
    go({ sort: state.sort, raw: state.raw });
    form.elements.q.focus();
  });
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
  const listen = () => {
    const { dialog } = reader;
    dialog.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.scrollWidth > event.target.clientWidth + 1) return;
      if (event.key === "j" || event.key === "ArrowRight") step(1);
      if (event.key === "k" || event.key === "ArrowLeft") step(-1);
    });
    find("[name=previous]").addEventListener("click", () => step(-1));
    find("[name=next]").addEventListener("click", () => step(1));
    find("[name=raw]").addEventListener("click", () => go({ ...state, raw: state.raw ? "" : "1" }));
    find("[name=close]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => {
      const at = found.indexOf(index.ids.indexOf(state.problem || dialog.dataset.shown));
      go({ ...state, problem: "" });
      if (at >= 0) focus(at);
    });
  };
  addEventListener("hashchange", () => {
    const wanted = read();
    if (wanted && !wanted.problem) section.scrollIntoView();
    if (wanted) show(wanted);
    else if (reader?.dialog.open) reader.dialog.close();
  });

  // A served page has new samples (live.js): the list is read again, and who reads a problem goes on reading it.
  addEventListener("renewed", async () => {
    if (!index) return;
    const shown = list.childElementCount, at = document.activeElement.closest?.(".rows") && document.activeElement.hash;
    take(await readIndex());
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
