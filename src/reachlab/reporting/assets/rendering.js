// Markdown and LaTeX of models' answers as elements. Nothing here goes through HTML: markdown-it gives tokens, of which
// elements are made one by one; temml gives MathML; and what was made is walked once more and held against a list of
// allowed elements and attributes. Links and pictures become text. What cannot be drawn is shown as it was written.
"use strict";

const rendering = (() => {
  const LONGEST = 300_000; // characters of a text; beyond, it is shown as it is
  const FORMULA = 4_000; // characters of a formula
  const DEPTH = 40; // of braces in a formula, and
  const NODES = 6_000; // elements of one
  const PART = 200; // pieces of a line that are drawn at once
  const NESTED = 100; // markdown-it leaves out what is nested deeper
  const MATHML = "http://www.w3.org/1998/Math/MathML";

  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  // -- what may be on the page --------------------------------------------------------------------------------------

  const HTML = new Set("p div span ul ol li blockquote pre code em strong s br hr table thead tbody tr th td".split(" "));
  const ATTRIBUTES = new Set(["class", "start"]);
  const MATH = new Set(("math mrow mi mo mn mtext mspace ms mfrac msqrt mroot msub msup msubsup munder mover munderover mtable mtr mtd "
    + "mpadded mphantom mstyle menclose mmultiscripts mprescripts none").split(" "));
  const MATH_ATTRIBUTES = new Set(("class display displaystyle scriptlevel mathvariant mathsize stretchy accent accentunder fence separator form "
    + "largeop movablelimits symmetric lspace rspace width height depth voffset minsize maxsize linethickness columnalign rowspacing "
    + "columnspacing columnlines rowlines notation linebreak mathbackground mathcolor style").split(" "));
  const STYLES = new Set(("display color padding-left padding-right padding-top padding-bottom border-top-width border-right-width "
    + "border-bottom-width border-left-width border-top-style border-right-style border-bottom-style border-left-style border-top-color "
    + "border-right-color border-bottom-color border-left-color border-image-source border-image-slice border-image-width "
    + "border-image-outset border-image-repeat margin-left margin-right text-align font-weight math-depth math-style justify-content").split(" "));
  const PLAIN = /^[\w.%#(), -]{0,60}$/;

  const permitted = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return true;
    if (node.nodeType !== Node.ELEMENT_NODE) return false;
    const math = node.namespaceURI === MATHML;
    if (!(math ? MATH : HTML).has(node.localName)) return false;
    for (const { name, value } of [...node.attributes]) {
      if (!(math ? MATH_ATTRIBUTES : ATTRIBUTES).has(name) || (name !== "style" && !PLAIN.test(value))) return false;
      if (name === "style" && /url|var|attr|env|expression|position|@|\\/i.test(value)) return false;
    }
    if (node.style?.length) for (const name of [...node.style]) if (!STYLES.has(name)) node.style.removeProperty(name);
    return true;
  };
  const allPermitted = (root) => {
    const walker = document.createTreeWalker(root);
    let count = 0;
    for (let node = root; node; node = walker.nextNode()) if (++count > NODES || !permitted(node)) return false;
    return true;
  };

  // -- LaTeX --------------------------------------------------------------------------------------------------------

  // Definitions may grow without bound, a few commands draw their argument twice; the others lead out of the page.
  const REFUSED = new RegExp("\\\\(?:[egx]?def|let|futurelet|global|long|(?:re)?newcommand|providecommand|mathchoice|(?:math)?llap"
    + "|equilibrium(?:Left|Right)|href|url|includegraphics|class|id|style|data|html\\w+|label|(?:eq)?ref)(?![A-Za-z])");
  const tooDeep = (source) => {
    let depth = 0;
    for (const sign of source) {
      depth += sign === "{" ? 1 : sign === "}" ? -1 : 0;
      if (depth > DEPTH) return true;
    }
    return (source.match(/\\(?:left|begin|sqrt|frac|text|over|under)/g) ?? []).length > 400;
  };
  const formula = (source, displayMode) => {
    if (source.length > FORMULA || REFUSED.test(source) || tooDeep(source)) return undefined;
    const box = element("span", { class: displayMode ? "display" : "formula" });
    try {
      temml.render(source.replace(/\\mbox(?![A-Za-z])/g, "\\text"), box, { displayMode, throwOnError: true, trust: false, maxSize: [20, 20], maxExpand: 500 });
    } catch {
      return undefined; // of temml, or too deep for the stack
    }
    return allPermitted(box) ? box : undefined;
  };
  const maths = ({ content, markup, info, meta }) => {
    const drawn = formula(content, meta.display) ?? element("code", { class: "source" }, markup);
    return info ? element("span", {}, drawn, info) : drawn;
  };

  // -- where formulas are: $...$, $$...$$, \(...\), \[...\], \begin{...}...\end{...}, \boxed{...} --------------------

  const ENVIRONMENT = /\\begin\{([a-zA-Z]{1,20}\*?)\}/y;
  const environment = (source, at) => {
    ENVIRONMENT.lastIndex = at;
    return ENVIRONMENT.exec(source)?.[1];
  };
  // The next such sign from here on; it is looked for once, however many formulas are begun and never closed.
  let known = {};
  const next = (source, sign, at) => {
    if (known.source !== source) known = { source };
    const { from, place } = known[sign] ?? {};
    if (from <= at && (place < 0 || at <= place)) return place;
    known[sign] = { from: at, place: source.indexOf(sign, at) };
    return known[sign].place;
  };
  // Of a formula that begins here: where its content begins and ends, where it ends itself. Nothing where none is closed.
  const span = (source, at, limit) => {
    const between = (open, close, display, keep) => {
      const end = next(source, close, at + open.length), after = end + close.length;
      if (end < 0 || after > limit || after - at > FORMULA) return undefined;
      const inside = keep ? [at, after] : [at + open.length, end];
      return source.slice(...inside).trim() ? { inside, after, display } : undefined;
    };
    if (source.startsWith("$$", at)) return between("$$", "$$", true);
    if (source.startsWith("\\[", at)) return between("\\[", "\\]", true);
    if (source.startsWith("\\(", at)) return between("\\(", "\\)", false);
    const name = source.startsWith("\\begin{", at) && environment(source, at);
    return name ? between(`\\begin{${name}}`, `\\end{${name}}`, true, true) : undefined;
  };
  const boxed = (source, at, limit) => {
    let depth = 0;
    for (let i = at + "\\boxed".length; i < Math.min(limit, at + FORMULA); i += 1) {
      if (source[i] === "\\") i += 1;
      else if (source[i] === "{") depth += 1;
      else if (source[i] === "}" && !--depth) return { inside: [at, i + 1], after: i + 1, display: false };
    }
    return undefined;
  };
  // Not "$5 and $6": a formula touches its signs, no digit follows it, and no amount of something stands in it.
  const dollars = (source, at, limit) => {
    let end = at;
    do end = source.indexOf("$", end + 1);
    while (end > 0 && source[end - 1] === "\\" && source[end - 2] !== "\\");
    if (end < 0 || end >= limit || end - at > FORMULA) return undefined;
    const content = source.slice(at + 1, end);
    if (!content.trim() || content.includes("`") || /\d/.test(source[end + 1] ?? "")) return undefined;
    if (/^\s|\s$/.test(content) && !/[\\^_]/.test(content)) return undefined;
    if (/^[\d.,]+\s+(?!mod\b)[A-Za-z]{2,}\b/.test(content)) return undefined;
    return { inside: [at + 1, end], after: end + 1, display: false };
  };
  const push = (state, kind, { inside, after, display }, at, info = "") => {
    const token = state.push(kind, "", 0);
    Object.assign(token, { content: state.src.slice(...inside), markup: state.src.slice(at, after), info, meta: { display } });
    return token;
  };

  const LITERAL = new Set([..."()[]{},;:!|\\<>&%=~^\"'/ "]); // behind a backslash these are LaTeX and no escapes
  const inlineMaths = (state, silent) => {
    const { src, pos, posMax } = state;
    const sign = src[pos];
    if (sign !== "$" && sign !== "\\") return false;
    const found = span(src, pos, posMax) ?? (sign === "$" ? src[pos + 1] !== "$" && dollars(src, pos, posMax)
      : src.startsWith("\\boxed{", pos) && boxed(src, pos, posMax));
    if (found) {
      if (!silent) push(state, "maths", found, pos);
      state.pos = found.after;
      return true;
    }
    if (sign !== "\\" || !LITERAL.has(src[pos + 1])) return false;
    if (!silent) state.pending += src.slice(pos, pos + 2);
    state.pos += 2;
    return true;
  };
  const blockMaths = (state, start, end, silent) => {
    const at = state.bMarks[start] + state.tShift[start], { src } = state;
    if (src[at] !== "$" && src[at] !== "\\") return false;
    const found = span(src, at, state.eMarks[end - 1]);
    if (!found?.display) return false;
    let line = start;
    while (line < end && state.eMarks[line] < found.after) line += 1;
    const rest = src.slice(found.after, state.eMarks[line]).trim();
    if (!/^[.,;:]?$/.test(rest) || (line > start && state.parentType === "blockquote")) return false;
    if (silent) return true;
    push(state, "maths_block", found, at, rest).map = [start, line + 1];
    state.line = line + 1;
    return true;
  };
  // TeX's quotes are no code: ``so''.
  const quotes = (state, silent) => {
    const { src, pos, posMax } = state;
    if (!src.startsWith("``", pos) || src[pos + 2] === "`" || src[pos - 1] === "`") return false;
    const end = src.indexOf("''", pos + 2), code = src.indexOf("``", pos + 2);
    if (end < 0 || end > posMax || (code >= 0 && code < end)) return false;
    if (!silent) state.pending += "``";
    state.pos += 2;
    return true;
  };
  // 2*3*4 and x**2 are products and powers, and no emphasis.
  const products = (state, silent) => {
    const { src, pos } = state;
    if (src[pos] !== "*") return false;
    let end = pos;
    while (src[end] === "*") end += 1;
    if (!/[\w)\]}]/.test(src[pos - 1] ?? "") || !/[\w([{\\]/.test(src[end] ?? "")) return false;
    if (!silent) state.pending += src.slice(pos, end);
    state.pos = end;
    return true;
  };

  // "+ 3" goes on with a sum, "100." and "- 3" are numbers, and a list does not begin at 1986.
  const NO_LIST = /^(?:\+|\d{3,}[.)]|(?:\d+[.)]|[-*])(?:\s+[\d.,/]*)?\s*$)/;

  let parser;
  const made = () => {
    const found = markdownit({ html: false, linkify: false, typographer: false, breaks: true, maxNesting: NESTED });
    found.validateLink = () => true; // no link is made of any
    found.normalizeLink = found.normalizeLinkText = (address) => address;
    found.disable(["reference", "lheading", "autolink", "html_block", "html_inline", "linkify"]); // "reference" would hide its line
    found.inline.ruler.before("escape", "maths", inlineMaths);
    found.inline.ruler.before("emphasis", "products", products);
    found.inline.ruler.before("backticks", "quotes", quotes);
    found.block.ruler.before("fence", "maths_block", blockMaths, { alt: ["paragraph", "blockquote", "list"] });
    const { fn: list } = found.block.ruler.__rules__.find(({ name }) => name === "list");
    const isList = (state, line) => !NO_LIST.test(state.src.slice(state.bMarks[line] + state.tShift[line], state.eMarks[line]));
    found.block.ruler.at("list", (state, line, ...rest) => isList(state, line) && list(state, line, ...rest), { alt: ["paragraph", "reference", "blockquote"] });
    return found;
  };

  // -- from tokens to elements --------------------------------------------------------------------------------------

  const TAGS = {
    paragraph: "p", heading: "p", bullet_list: "ul", ordered_list: "ol", list_item: "li", blockquote: "blockquote", table: "table",
    thead: "thead", tbody: "tbody", tr: "tr", th: "th", td: "td", em: "em", strong: "strong", s: "s", link: "span",
  };
  const opened = (kind, token) => {
    const tag = element(TAGS[kind]);
    if (kind === "heading") tag.className = `heading ${token.tag}`;
    if (kind === "ordered_list" && token.attrGet("start")) tag.setAttribute("start", token.attrGet("start"));
    if (kind === "th" || kind === "td") tag.className = /(left|right|center)$/.exec(token.attrGet("style") ?? "")?.[0] ?? "";
    return tag;
  };
  const address = (place, title) => element("code", { class: "address" }, `(${[place, title && `"${title}"`].filter(Boolean).join(" ")})`);
  const leaf = (token) => {
    switch (token.type) {
      case "text": return token.content;
      case "softbreak": case "hardbreak": return element("br");
      case "hr": return element("hr");
      case "code_inline": return element("code", {}, token.content);
      case "code_block": case "fence": {
        const code = element("pre", {}, element("code", {}, token.content.replace(/\n$/, "")));
        return token.info.trim() ? element("div", {}, element("span", { class: "language" }, token.info.trim()), code) : code;
      }
      case "maths": return maths(token);
      case "maths_block": return element("div", {}, maths(token));
      case "image": return element("span", {}, `[picture: ${token.content}] `, address(token.attrGet("src"), token.attrGet("title")));
      default: return token.content ?? "";
    }
  };
  const build = (tokens, root) => {
    const stack = [root], links = [];
    for (const token of tokens) {
      const top = stack.at(-1);
      if (token.type === "inline") build(token.children, top);
      else if (token.nesting === 1) {
        const kind = token.type.slice(0, -"_open".length);
        if (kind === "link") links.push([token.attrGet("href"), token.attrGet("title")]);
        const inner = token.hidden || !TAGS[kind] ? top : opened(kind, token);
        if (inner !== top) top.append(inner);
        stack.push(inner);
      } else if (token.nesting === -1) {
        const closed = stack.pop();
        if (token.type === "link_close") closed.append(" ", address(...links.pop()));
        if (token.type === "paragraph_close" && token.hidden && closed.lastChild) closed.append("\n");
      } else top.append(leaf(token));
    }
  };

  const checked = (tokens, tag) => {
    const box = element(tag === "span" ? "span" : "div");
    build(tokens, box);
    const allowed = [...box.childNodes].every((child) => [child, ...(child.querySelectorAll?.("*") ?? [])].every(permitted));
    if (!allowed) return element(tag, {}, box.textContent);
    return tag === "span" ? box : box.firstChild ?? box;
  };
  // A paragraph without end, in parts that stand in one line.
  const parts = function* (tokens) {
    let start = 0, depth = 0;
    for (const [at, { nesting }] of tokens.entries()) {
      depth += nesting;
      if (at + 1 < tokens.length && (depth || at - start < PART)) continue;
      yield tokens.slice(start, at + 1);
      start = at + 1;
    }
  };

  // The text's blocks, one after the other, each an element. What is not allowed stays text.
  const pieces = function* (text) {
    parser ??= made();
    const tokens = parser.parse(text, {});
    if (tokens.some(({ level }) => level > NESTED - 3)) return yield* plain(text);
    let start = 0;
    for (const [at, token] of tokens.entries()) {
      if (token.level || token.nesting > 0) continue;
      const block = tokens.slice(start, at + 1), [, inline] = block;
      start = at + 1;
      if (block[0].type === "paragraph_open" && inline.children.length > 2 * PART) for (const part of parts(inline.children)) yield checked(part, "span");
      else yield checked(block, "p");
    }
    return undefined;
  };
  // The text as it is, in pieces that a browser lays out quickly.
  const plain = function* (text) {
    for (let at = 0; at < text.length; at += 2_000) yield element("span", {}, text.slice(at, at + 2_000));
  };

  // Programs that stand alone are no Markdown: their stars, marks and spaces are their own.
  const CODE = /^(?:\s{2,}|\t)\S|^(?:def|class|import|from|return|for|while|if|elif|else|try|except|with|print|#include|public|function|const|let|var|assert|@\w+)\b.*|^[}\])]+;?$/;
  const isCode = (text) => {
    if (text.includes("```") || !text.includes("\n")) return false;
    const lines = text.slice(0, 20_000).split("\n").filter((line) => line.trim());
    return lines.filter((line) => CODE.test(line)).length > lines.length / 2 && /^\s*(?:def|class|import|from|return|for|while|if|function|#include|public)\b/m.test(text);
  };

  // A short answer in a line: as a formula where it is one.
  const line = (text) => (/[\\^]|\w_\w/.test(text) && !/[$\n]/.test(text) && formula(text, false)) || element("code", {}, text);

  let library;
  const load = () => (library ??= unpack("rendering").then((code) => {
    const script = document.createElement("script"); // the page's policy names its hash
    script.textContent = code;
    document.head.append(script);
  }).catch((error) => {
    library = undefined; // to be asked for again
    throw error;
  }));
  return { element, load, pieces, plain, line, isPlain: (text) => text.length > LONGEST || isCode(text) };
})();
