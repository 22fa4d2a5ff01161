"""Answers as Markdown and formulas in a real browser: drawn right, and nothing in them does anything."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.reporting.test_browser import Opened, pytestmark, quiet, write

from reachlab.reporting import assets
from reachlab.types import Problem

__all__ = ["pytestmark"]

NESTING = ("\\llap", "\\equilibriumRight", "\\mathchoice{x}{y}{z}", "\\left(\\text")
"""LaTeX that takes long to draw."""
PAYLOADS = [
    "<script>hit()</script>",
    "</script><script>hit()</script>",
    "<img src=x onerror=hit()>",
    "<svg onload=hit()><animate onbegin=hit() attributeName=x dur=1s></svg>",
    "<svg><script>hit()</script></svg>",
    "<iframe src='javascript:hit()'></iframe><iframe srcdoc='<script>parent.hit()</script>'></iframe>",
    "<object data='data:text/html,<script>hit()</script>'></object><embed src='javascript:hit()'>",
    "<a href='javascript:hit()'>a</a>",
    "<form action='javascript:hit()'><button formaction='javascript:hit()'>b</button></form>",
    "<input autofocus onfocus=hit()><select autofocus onfocus=hit()>",
    "<details open ontoggle=hit()><summary>x</summary></details>",
    "<video><source onerror=hit()></video><audio src=x onerror=hit()>",
    "<style>*{background:url(http://evil.example/)}</style><link rel=stylesheet href=http://evil.example/>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'><base href=http://evil.example/>",
    "<math><mtext><table><mglyph><style><img src=x onerror=hit()></style></mglyph></table></mtext></math>",
    "<math href='javascript:hit()'>x</math><math><maction actiontype='statusline#http://evil.example'>x</maction></math>",
    "<div style='position:fixed;inset:0;background:url(http://evil.example/)' onclick=hit()>x</div>",
    "<noscript><p title=\"</noscript><img src=x onerror=hit()>\"></noscript>",
    "<template><img src=x onerror=hit()></template><dialog open id=reader-h>x</dialog>",
    "<!--><img src=x onerror=hit()>--> <![CDATA[<img src=x onerror=hit()>]]> <?php hit() ?>",
    "&lt;img src=x onerror=hit()&gt; &#60;script&#62;hit()&#60;/script&#62; &#x6A;avascript:hit()",
    "[a](javascript:hit()) [b](JaVaScRiPt:hit()) [c](java&#115;cript:hit()) [d](<javascript:hit()>)",
    "[a](data:text/html;base64,PHNjcmlwdD5oaXQoKTwvc2NyaXB0Pg==) [b](vbscript:hit()) [c](file:///etc/passwd)",
    "[a](http://evil.example/ \"onmouseover=hit()\") [b](http://evil.example/'onclick='hit())",
    "![a](http://evil.example/pixel.png) ![b](x \"onerror=hit()\") ![c](javascript:hit())",
    "![a](data:image/svg+xml,<svg/onload=hit()>) [![a](x)](javascript:hit())",
    "<javascript:hit()> <http://evil.example/> <hit@evil.example> http://evil.example www.evil.example",
    "[a]: javascript:hit()\n\n[a] [b][a] ![c][a]",
    "| a | b |\n|---|---|\n| <img src=x onerror=hit()> | [x](javascript:hit()) |\n"
    "| `</code><script>hit()</script>` | $\\href{x}{y}$ |",
    "> > - <script>hit()</script>\n> > - **<img src=x onerror=hit()>**\n\n"
    "# <svg onload=hit()>\n\n1. [x](javascript:hit())",
    "```html onload=hit()\n</code></pre><script>hit()</script>\n```\n\n    </pre><script>hit()</script>",
    "**<b onclick=hit()>** *[x](javascript:hit())* ~~<img src=x onerror=hit()>~~ `<script>hit()</script>`",
    "<a href=\"javascript&colon;hit()\">x</a> <a href=\"\x01javascript:hit()\">x</a> "
    "<a href=\"java\tscript:hit()\">x</a>",
    "<IMG SRC=\"jav&#x0A;ascript:hit();\"> <IMG \"\"\"><SCRIPT>hit()</SCRIPT>\">",
    "<x onclick=hit() id=index class=reader name=clear>x</x> <p id=problems>x</p>",
    "$\\href{javascript:hit()}{x}$ $\\url{javascript:hit()}$ $\\includegraphics{http://evil.example/x.png}$",
    "$\\htmlData{a=b}{x}$ $\\htmlId{index}{x}$ $\\htmlClass{reader}{x}$ $\\htmlStyle{position:fixed;inset:0}{x}$",
    "$\\class{reader}{x}$ $\\id{index}{x}$ $\\style{position:fixed}{x}$ $\\data{a=b}{x}$ $\\label{a}\\ref{a}$",
    "$\\color{url(http://evil.example)}{x}$ $\\colorbox{red;position:fixed}{x}$ "
    "$\\rule{9999em}{9999em}$ $\\hspace{9e9em}$",
    "$\\text{<img src=x onerror=hit()>}$ $\\text{</mtext></math><script>hit()</script>}$ $<script>hit()</script>$",
    "$$\\unicode{x3c}script\\unicode{x3e}$$ \\(\\char\"3Cimg src=x\\) \\[ \\text{$\\href{javascript:hit()}{x}$} \\]",
    "$\\def\\a{\\a\\a}\\a$ $\\def\\a{xx}\\def\\b{\\a\\a}\\b$ "
    "$\\newcommand{\\c}[1]{#1#1}\\c{\\c{x}}$ $\\let\\d=\\href\\d{x}{y}$",
    " ".join(f"${'%s{' * 25}x{'}' * 25}$".replace("%s", name) for name in NESTING),
    f"${'{' * 3000}x{'}' * 3000}$ ${'x^{' * 900}y{'}' * 900}$ ${'-' * 900}$".replace("-", "\\sqrt"),
    f"{'> ' * 400}deep\n\n{'- ' * 300}deep\n\n{'[' * 3000}x{']' * 3000} {'*' * 3000}x {'`' * 2999}x",
    f"{'![' * 2000} {'<' * 3000} {'$' * 2001} {'(' * 2000} {'|' * 2000}\n{'|-' * 1000}".replace("(", "\\("),
]  # fmt: skip
"""What others have tried on pages that draw Markdown, HTML or LaTeX. None of it may become anything but text."""

TAGS = {
    *re.findall(
        r"\S+",
        """
    p div span ul ol li blockquote pre code em strong s br hr table thead tbody tr th td math mrow mi mo mn
    mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mtable mtr mtd mpadded mphantom
    mstyle menclose mmultiscripts mprescripts
""",
    )
}
ATTRIBUTES = {
    *re.findall(
        r"\S+",
        """
    class id start tabindex role aria-label style display displaystyle scriptlevel mathvariant stretchy accent
    form fence separator largeop movablelimits symmetric lspace rspace width height depth voffset minsize
    maxsize linethickness columnalign rowspacing columnspacing mathbackground mathcolor mathsize linebreak
    notation
""",
    )
}
ELEMENTS = """(all) => all.map((e) => [e.localName, [...e.attributes].map((a) => [a.name, a.value])])"""
DRAWN = """async (texts) => {
  await rendering.load();
  return texts.map((text) => {
    const box = document.createElement("div");
    box.append(...rendering.pieces(text));
    for (const e of box.querySelectorAll(".formula, .display")) {
      e.replaceWith(`⟨${e.className === "display" ? "block" : ""}${e.textContent}⟩`);
    }
    return box.innerHTML;
  });
}"""


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, make: SimpleNamespace) -> Path:
    """A page whose prompts, answer keys and answers are attacks, eight answers a problem."""
    root, eight = tmp_path_factory.mktemp("attacked"), range(0, len(PAYLOADS), 8)
    problems = [Problem(id=f"p{at}", prompt=PAYLOADS[at], answer=PAYLOADS[at + 1]) for at in eight]

    def text(p: int, n: int, right: bool) -> str:
        return PAYLOADS[(8 * p + n) % len(PAYLOADS)]

    run = make.samples(root / "a", np.zeros((len(problems), 8)), problems=problems, text=text)
    return write(make.measure([run]), root / "r.html")


@pytest.fixture(scope="module")
def page(chromium: Any, attacked: Path) -> Iterator[Opened]:
    with Opened(chromium, attacked, place="#problems?sort=order&problem=p0") as opened:
        opened.page.evaluate("globalThis.hits = 0; globalThis.hit = () => { hits += 1; }; undefined")
        yield opened


def drawn(page: Opened, *texts: str) -> list[str]:
    found: list[str] = page.page.evaluate(DRAWN, list(texts))
    return found


def test_nothing_in_an_answer_does_anything(page: Opened) -> None:
    shown: list[str] = []
    for at in range(0, len(PAYLOADS), 8):
        page.until(f"document.querySelector('dialog').dataset.shown === 'p{at}'")
        for tag, attributes in page.page.eval_on_selector_all("dialog .text *", ELEMENTS):
            assert tag in TAGS
            assert {name for name, _ in attributes} <= ATTRIBUTES
            assert not any(re.search(r"evil|hit\(|url\(|fixed|absolute", value) for _, value in attributes)
        for whole in page.page.locator("dialog .whole:visible").all():
            whole.click()
        shown += page.all("dialog .text", "all.map((e) => e.textContent)")
        page.page.keyboard.press("j")
    assert sum("hit()" in text for text in shown) > 30  # attacks are read, and stay words
    page.page.wait_for_timeout(200)
    assert page.page.evaluate("hits") == 0
    assert page.count("dialog :is(a, img, script, style, iframe, svg svg, form, object, embed, base, meta, link)") == 0
    quiet(page)


def test_raw_is_the_text_itself_and_stays_so(page: Opened, attacked: Path, chromium: Any) -> None:
    with Opened(chromium, attacked, place="#problems?sort=order&problem=p0&raw=1") as opened:
        for at in (0, 8):
            opened.until(f"document.querySelector('dialog').dataset.shown === 'p{at}'")
            texts = opened.all("dialog article pre", "all.map((e) => e.textContent)")
            assert sorted(texts) == sorted(PAYLOADS[at : at + 8])
            opened.page.keyboard.press("j")
        assert opened.query()["raw"] == "1"
        assert not opened.page.evaluate("'temml' in globalThis")  # what draws is not even started
        opened.page.locator("[name=raw]").focus()
        opened.page.keyboard.press("Enter")
        opened.until("document.querySelector('dialog[data-shown] .written')")
        assert opened.page.get_attribute("[name=raw]", "aria-pressed") == "false"
        assert opened.focused() == "Raw text"
        assert "raw" not in opened.query()
        quiet(opened)


def test_even_a_fault_in_the_libraries_would_draw_nothing_that_is_not_allowed(page: Opened) -> None:
    drew = page.page.evaluate(
        """async () => {
          await rendering.load();
          const render = temml.render;
          const MATHML = "http://www.w3.org/1998/Math/MathML";
          const having = (name, value) => {
            const e = document.createElementNS(MATHML, "mi");
            e.setAttribute(name, value);
            return e;
          };
          const bad = [
            (box) => { box.append(document.createElement("iframe")); },
            (box) => { box.append(document.createElementNS("http://www.w3.org/2000/svg", "script")); },
            (box) => box.append(having("onclick", "hit()")),
            (box) => box.append(having("href", "x")),
            (box) => box.append(having("style", "background:url(x)")),
            (box) => { box.append(document.createComment("x")); },
            (box) => { for (let i = 0; i < 7000; i += 1) box.append(document.createElementNS(MATHML, "mi")); },
          ];
          const found = bad.map((fault) => {
            temml.render = (source, box) => fault(box);
            return [...rendering.pieces("so $x$")].map((e) => e.innerHTML).join();
          });
          temml.render = render;
          return found;
        }"""
    )
    assert drew == ['so <code class="source">$x$</code>'] * 7


FORMULAS = {
    r"so \(a+b\)": "<p>so ⟨a+b⟩</p>",
    r"so $a+b$.": "<p>so ⟨a+b⟩.</p>",
    r"$$a+b$$": "⟨blocka+b⟩",
    "\\[\na\n- b\n\\].": "⟨blocka−b⟩.",
    "then:\n\\begin{align}\na &= b \\\\\n- c &= d\n\\end{align}\nso": "⟨block",
    r"it is \boxed{\frac{1}{2}}.": "⟨12⟩.",
    "- first $x$\n- then\n  \\[\n  y\n  \\]": "⟨blocky⟩",
    "| $a|b$ |\n|---|\n| `$5` |": "<code>$5</code>",
    r"a \text{b} \, {,} \{x\}": r"<p>a \text{b} \, {,} \{x\}</p>",
    "It costs $5 and $6.": "<p>It costs $5 and $6.</p>",
    "from $5 to $6 or 10$": "<p>from $5 to $6 or 10$</p>",
    "$20 for each, so 3$": "<p>$20 for each, so 3$</p>",
    r"US\$5 is $x$": "<p>US$5 is ⟨x⟩</p>",
    "`$a$` and $a$": "<p><code>$a$</code> and ⟨a⟩</p>",
    "```\n$a$ \\(b\\)\n```": "<pre><code>$a$ \\(b\\)</code></pre>",
    r"open \(a and \[b": r"<p>open \(a and \[b</p>",
    "open $a and no more": "<p>open $a and no more</p>",
    "$$a\n\nb": "<p>$$a</p><p>b</p>",
    r"$\frac{1}{$": r'<code class="source">$\frac{1}{$</code>',
    r"$\nonsense$": r'<code class="source">$\nonsense$</code>',
    r"$1 \mbox{ foot}$": "⟨1&nbsp;foot⟩",
    r"$\def\a{1}\a$": r'<code class="source">$\def\a{1}\a$</code>',
}
MARKDOWN = {
    "2*3*4 = 24 and x**2": "<p>2*3*4 = 24 and x**2</p>",
    "**so** *it* is": "<p><strong>so</strong> <em>it</em> is</p>",
    "5\n+ 3\n= 8": "<p>5<br>+ 3<br>= 8</p>",
    "100.": "<p>100.</p>",
    "1986. It was": "<p>1986. It was</p>",
    "- 32": "<p>- 32</p>",
    "1. one\n2. two": "<ol><li>one\n</li><li>two\n</li></ol>",
    "```python\nx\n```": '<div><span class="language">python</span><pre><code>x</code></pre></div>',
    "a\n---": "<p>a</p><hr>",
    "# so": '<p class="heading h1">so</p>',
    "``so''": "<p>``so''</p>",
    "[a]: b": "<p>[a]: b</p>",
    '[a](b "c")': '<p><span>a <code class="address">(b "c")</code></span></p>',
    "![a](b)": '<p><span>[picture: a] <code class="address">(b)</code></span></p>',
    "<think> a < b": "<p>&lt;think&gt; a &lt; b</p>",
    "| a | b |\n|:-:|--:|\n| 1 | 2 |": '<th class="center">a</th><th class="right">b</th>',
    "": "",
}


def test_formulas_are_drawn_and_money_is_not(page: Opened) -> None:
    for text, html, wanted in zip(FORMULAS, drawn(page, *FORMULAS), FORMULAS.values(), strict=True):
        assert wanted in html, text


def test_markdown_is_drawn_and_sums_stay_sums(page: Opened) -> None:
    for text, html, wanted in zip(MARKDOWN, drawn(page, *MARKDOWN), MARKDOWN.values(), strict=True):
        assert wanted in html, text


def test_a_paragraph_without_end_is_drawn_in_parts(page: Opened) -> None:
    text = "**Surely** $x$ is $y$. " * 300
    found = page.page.evaluate(
        "(text) => [...rendering.pieces(text)].map((e) => [e.localName, e.textContent.length])", text
    )
    assert {tag for tag, _ in found} == {"span"}
    assert max(length for _, length in found) < 1_000
    assert sum(length for _, length in found) == len(text.replace("*", "").replace("$", "").strip())


def test_programs_stay_as_they_are(page: Opened) -> None:
    programs = ["def f(x):\n    # so\n    return x*2*3", "from a import b\nimport c\nfor x in y:\n  print(x)"]
    prose = ["so\nit\nis", "```\ndef f(x):\n    return x\n```", "import it\nand all is well\nas before"]
    assert (
        page.page.evaluate("(texts) => texts.map(rendering.isPlain)", [*programs, *prose]) == [True] * 2 + [False] * 3
    )


def test_what_is_vendored_is_what_is_written_down() -> None:
    listed = assets.read("vendor/README.md")
    for name in assets.VENDORED:
        assert f"| `{Path(name).name}` |" in listed
        assert hashlib.sha256(assets.read(name).encode()).hexdigest() in listed
        assert "Permission is hereby granted" in assets.read(name.replace(".js", ".LICENSE"))
    assert "sourceMappingURL" not in assets.rendering()
