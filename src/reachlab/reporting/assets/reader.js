// The reader: one problem in a dialog, with its answers. Of each answer first its verdict and why, then its text, the
// reasoning folded. A long text is cut with a fade until it is asked for whole, and only what is shown is drawn.
"use strict";

const makeReader = ({ section, swatches, names, matches, words }) => {
  const { element } = rendering;
  const dialog = section.querySelector("dialog"), inside = dialog.querySelector(".inside");
  const LABELS = { correct: "✓ right", wrong: "✗ wrong", unscored: "? unscored" };
  const ENDS = { length: "cut at the token limit", content_filter: "stopped by the server's filter" };
  const FOLDED = 2_400; // characters that are drawn of a folded text, a little more than it shows
  const SLICE = 12; // milliseconds of work between two chances to answer the reader
  let drawing = 0; // counts what is being drawn, so that what is no longer wanted stops
  let numbered = 0;

  const pause = () => new Promise((done) => setTimeout(done));

  // -- a text -------------------------------------------------------------------------------------------------------

  // A box and what draws it. `head` draws what a folded box shows, `whole` the rest, by and by.
  const folding = (text, raw, name) => {
    const plain = raw || rendering.isPlain(text);
    const box = element(plain ? "pre" : "div", { class: `text ${plain ? "raw" : "written"}`, id: `text-${(numbered += 1)}` });
    const button = element("button", { type: "button", class: "whole", "aria-expanded": "false", "aria-controls": box.id, hidden: "" });
    const left = plain ? rendering.plain(text) : rendering.pieces(text);
    let done = false, spent = 0, now = 0;
    const draw = (until) => {
      while (!done && spent < until) {
        const { value, done: last } = left.next();
        done = last;
        if (last) break;
        box.append(value);
        spent += (value.textContent.length || 1) + 40 * (value.querySelectorAll?.("math").length ?? 0);
      }
    };
    const whole = async () => {
      const mine = (now += 1);
      for (let start = performance.now(); !done && mine === now; draw(spent + 1)) {
        if (performance.now() - start < SLICE) continue;
        await pause();
        start = performance.now();
      }
      reachable(box);
    };
    const say = (open) => {
      button.textContent = open ? "Show less" : "Show whole";
      button.setAttribute("aria-label", `${button.textContent}: ${name}`);
      button.setAttribute("aria-expanded", String(open));
      box.classList.toggle("folded", !open);
    };
    const isFolded = () => button.getAttribute("aria-expanded") === "false";
    button.addEventListener("click", () => {
      const open = isFolded();
      say(open);
      if (open) whole().then(mark);
      else if (box.getBoundingClientRect().top < 0) box.scrollIntoView({ block: "start" });
    });
    const fold = () => {
      if (done && box.scrollHeight <= box.clientHeight + 24 && box.scrollHeight < 460) return;
      button.hidden = false;
      say(false);
    };
    const open = async () => {
      if (button.hidden || !isFolded()) return;
      say(true);
      await whole();
    };
    // Whether these words are to be seen, or nowhere in the text.
    const shows = (words) => !words.some((word) => text.toLowerCase().includes(word) && !text.slice(0, FOLDED / 2).toLowerCase().includes(word));
    return { box, button, head: () => draw(FOLDED), fold, open, shows };
  };
  // What scrolls sideways can be reached with the keyboard.
  const reachable = (root) => {
    for (const wide of root.querySelectorAll("pre, .display, table")) {
      if (wide.scrollWidth > wide.clientWidth + 1) Object.assign(wide, { tabIndex: 0, role: "group", ariaLabel: "scrolls sideways" });
    }
  };

  inside.addEventListener("toggle", ({ target }) => reachable(target), true); // what was folded has had no width

  // -- an answer ----------------------------------------------------------------------------------------------------

  const short = (key) => (typeof key === "string" && key && key.length <= 80 && !key.includes("\n") ? key : "");
  const why = (status, { stated, reason, label, doubt }, key, states, raw) => {
    const lines = [], gold = short(key), code = (text) => (raw ? element("code", {}, text) : rendering.line(text));
    if (stated !== undefined) lines.push(["states ", stated.length > 80 ? `${stated.slice(0, 60)} …` : code(stated), ...(gold ? [", the answer is ", code(gold)] : [])]);
    else if (status !== "unscored" && states) lines.push(["states no final answer", ...(gold ? [", the answer is ", code(gold)] : [])]);
    if (reason && reason !== `${stated}, not ${key}`) lines.push([status === "unscored" ? "not judged: " : "reason: ", reason]);
    else if (!lines.length && status === "wrong") lines.push(["the verifier gives no reason"]);
    if (label !== undefined) lines.push([`the file's label says ${label ? "right" : "wrong"}`]);
    if (doubt) lines.push(["verdict to look at"]);
    return lines.map((line) => element("p", { class: "why" }, ...line));
  };
  const steps = ([valid, of]) => (of ? `${valid} of ${of} steps hold` : "no steps to check");

  // The article, and its texts in the order in which they are read.
  const article = ([number, status, known, text], { key, states, raw, model, found }) => {
    const name = `sample ${number}`, texts = [], parts = [];
    const facts = [name, known.tokens && `${known.tokens.toLocaleString("en")} tokens`, ENDS[known.finish], known.steps && steps(known.steps)];
    const place = (text, name) => {
      const made = folding(text, raw, name);
      texts.push(made);
      return [made.box, made.button];
    };
    const [start, end, answer] = known.reasoning ?? [0, 0, 0];
    const thought = raw ? text.slice(0, answer) : text.slice(start, end).trim(), said = text.slice(answer);
    const endless = known.reasoning && end === text.length;
    if (thought) {
      const length = `${thought.length.toLocaleString("en")} characters`;
      const details = element("details", { class: "reasoning" }, element("summary", {}, `Reasoning, ${length}${endless ? ", which does not end" : ""}`));
      details.open = Boolean(endless) || (found.length > 0 && found.every((word) => thought.toLowerCase().includes(word)));
      details.append(...place(thought, `reasoning of ${name}`));
      parts.push(details);
    }
    if (!endless) parts.push(...((raw ? said : said.trim()) ? place(said, `answer of ${name}`) : [element("p", { class: "note" }, "(empty)")]));
    const heading = element("p", { class: `status ${status}` }, LABELS[status], " ", element("small", {}, facts.filter(Boolean).join(", ")));
    const made = element("article", { class: status, "aria-label": `${name} of ${model}` }, heading, ...why(status, known, key, states, raw), ...parts);
    return { made, texts };
  };

  // -- a problem ----------------------------------------------------------------------------------------------------

  const keyTable = (key) => {
    if (typeof key === "string") return undefined;
    const rows = key.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value.includes("\n") ? element("pre", {}, value) : value)));
    return element("table", { class: "answer-key" }, element("tbody", {}, ...rows));
  };
  const answers = (p, m, samples, { key, raw, counts, left }) => {
    const model = names[m], states = samples.some(([, , known]) => known.stated !== undefined);
    const fits = samples.map((sample, i) => matches(p, m, i, sample));
    const all = samples.map((sample) => article(sample, { key, states, raw, model, found: words() }));
    const shown = all.filter((_, i) => fits[i]), others = all.filter((_, i) => !fits[i]);
    const heading = element("h4", {}, element("span", { class: "model" }, swatches[m].cloneNode(true), model), element("span", { class: "num" }, counts));
    const block = element("div", {}, heading, element("div", { class: "samples" }, ...shown.map(({ made }) => made)));
    if (others.length) {
      const summary = `${others.length} ${others.length === 1 ? "answer that does" : "answers that do"} not match the filter`;
      block.append(element("details", { class: "others" }, element("summary", {}, summary), element("div", { class: "samples" }, ...others.map(({ made }) => made))));
    }
    // A served page has the rest too (live.js): it comes as articles, which are drawn once they are in place.
    const one = (sample) => {
      const { made, texts } = article(sample, { key, states, raw, model, found: words() });
      queueMicrotask(() => {
        for (const text of texts) {
          text.head();
          text.fold();
        }
        reachable(made);
      });
      return [made];
    };
    const rest = served.more?.({ p, m, sample: one, shown: samples.length, left });
    if (rest) block.querySelector(".samples").append(rest);
    else if (left) block.append(element("p", { class: "note" }, `${left.toLocaleString("en")} more samples are in the run, not in this page.`));
    return { block, shown, others };
  };
  const mark = () => {
    if (!CSS.highlights) return;
    CSS.highlights.delete("found");
    const ranges = [], wanted = words();
    if (!wanted.length) return;
    const walker = document.createTreeWalker(inside.querySelector(".answers"), NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const text = node.data.toLowerCase();
      if (text.length !== node.data.length || !node.parentElement.closest(".text")) continue;
      for (const word of wanted) {
        for (let at = text.indexOf(word); at >= 0 && ranges.length < 5_000; at = text.indexOf(word, at + word.length)) {
          const range = new Range();
          range.setStart(node, at);
          range.setEnd(node, at + word.length);
          ranges.push(range);
        }
      }
    }
    CSS.highlights.set("found", new Highlight(...ranges));
  };

  // Drawn in the order in which it is read, a slice of time after the other; true once all is there.
  const drawAll = async (texts) => {
    const mine = (drawing += 1);
    let start = performance.now();
    const drawn = [];
    for (const text of texts) {
      text.head();
      drawn.push(text);
      if (performance.now() - start < SLICE) continue;
      drawn.splice(0).forEach((one) => one.fold());
      await pause();
      if (mine !== drawing) return false;
      start = performance.now();
    }
    drawn.forEach((one) => one.fold());
    return true;
  };

  // Texts that are not raw need `rendering.load()` first. `dialog.dataset.shown` says which problem is there, once it is.
  const show = async ({ p, id, problem, pictures, raw, counts, left }) => {
    const asked = problem.prompt.map(([role, text]) => [role, folding(text || "(empty)", raw, role ? `what ${role} says` : "the prompt")]);
    const table = keyTable(problem.answer);
    const gold = short(problem.answer);
    const key = table || (gold && !raw) ? undefined : folding(problem.answer || "No answer is known.", raw, "the answer key");
    const told = table ? [table] : key ? [key.box, key.button] : [element("div", { class: "text key" }, rendering.line(gold))];
    const models = problem.models.map((samples, m) => answers(p, m, samples, { key: problem.answer, raw, counts: counts[m], left: left[m] }));
    const grid = element("div", { class: "answers" }, ...models.map(({ block }) => block));
    grid.dataset.models = models.length;
    inside.replaceChildren(
      ...pictures.map((said, i) => said.startsWith("data:")
        ? element("img", { class: "shown", src: said, alt: `Picture ${i + 1} of the problem` })
        : element("p", { class: "note" }, said)),
      ...asked.flatMap(([role, { box, button }]) => [...(role ? [element("div", { class: "role" }, role)] : []), box, button]),
      element("div", { class: "role" }, "What the verifier holds against answers"), ...told,
      grid,
    );
    const again = dialog.open && dialog.dataset.shown === id; // the same in another form: whoever reads stays where they are
    delete dialog.dataset.shown;
    if (!dialog.open) dialog.showModal();
    if (!again) {
      dialog.scrollTop = 0;
      dialog.querySelector("#reader-h").focus({ preventScroll: true });
    }
    const most = Math.max(0, ...models.map(({ shown }) => shown.length));
    const inOrder = Array.from({ length: most }, (_, i) => models.flatMap(({ shown }) => shown[i] ?? [])).flat();
    const texts = [...asked.map(([, text]) => text), ...(key ? [key] : []), ...inOrder.flatMap((one) => one.texts)];
    if (!(await drawAll([...texts, ...models.flatMap(({ others }) => others.flatMap((one) => one.texts))]))) return;
    reachable(inside);
    // Where words are looked for, what has them is shown: a folded text is opened whose beginning has none.
    const mine = drawing;
    for (const { texts } of words().length ? inOrder : []) for (const text of texts) if (!text.shows(words())) await text.open();
    if (mine !== drawing) return;
    mark();
    dialog.dataset.shown = id;
  };
  return { dialog, show };
};
