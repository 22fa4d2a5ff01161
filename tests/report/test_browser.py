"""The page in a real browser: Debian's chromium, offline, at phone and desk widths, light and dark."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reachlab.report.page import write_report
from reachlab.types import Problem

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: apt-get install chromium)"),
]
PHONE, DESK = (360, 740), (1280, 800)
THEMES = [("light", PHONE), ("light", DESK), ("dark", PHONE), ("dark", DESK)]

TEXTS = "h1, h2, h3, h4, p, li, th, td, caption, figcaption, summary span, pre, small, .status, svg.main-svg text"
CONTRAST = """(elements) => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255)
      .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
  };
  return elements.map((element) => {
    const style = getComputedStyle(element);
    const text = numbers(element.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const [a, b] = [luminance(text), luminance(ground(element))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), element.textContent.trim().slice(0, 40)];
  });
}"""


def write(measured: Any, out: Path, **options: Any) -> Path:
    comparison, runs = measured
    return write_report(comparison, runs, out, **options)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Opened:
    """A page with what the browser had to say of it."""

    def __init__(self, browser: Any, file: Path, scheme: str = "light", size: tuple[int, int] = DESK) -> None:
        viewport = {"width": size[0], "height": size[1]}
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri(), timeout=90_000)
        self.page.wait_for_selector("html[data-ready=true]", timeout=90_000)

    def _dismiss(self, dialog: Any) -> None:
        self.said.append(dialog.message)
        dialog.dismiss()

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def count(self, selector: str) -> int:
        return int(self.page.locator(selector).count())

    def all(self, selector: str, script: str) -> Any:
        """What a script says of all elements that a selector finds."""
        return self.page.eval_on_selector_all(selector, f"(all) => {script}")

    def background(self) -> str:
        return str(self.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    def line_colours(self) -> list[str]:
        found: list[str] = self.all("[data-figure=passk] path.js-line", "all.map((path) => path.style.stroke)")
        return found

    def repainted(self, before: list[str]) -> list[str]:
        """The line colours once they are no longer those of before."""
        for _ in range(200):
            if (now := self.line_colours()) != before:
                return now
            self.page.wait_for_timeout(50)
        raise AssertionError("the figures kept their colours")

    def open_details(self) -> None:
        self.all("details", "all.forEach((d) => { d.open = true; })")

    def hover(self) -> str:
        """What stands beside the pointer in the middle of the pass@k figure."""
        box = self.page.locator("[data-figure=passk] .nsewdrag").bounding_box()
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        return str(self.page.wait_for_selector("[data-figure=passk] .hoverlayer .legend").text_content())


@pytest.fixture(scope="module")
def report(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(demo, tmp_path_factory.mktemp("browser") / "report.html")


@pytest.fixture(scope="module")
def desk(chromium: Any, report: Path) -> Iterator[Opened]:
    """The report in light colours at desk width, for tests that leave it as it was."""
    with Opened(chromium, report) as opened:
        yield opened


def quiet(opened: Opened) -> None:
    """Nothing was logged and nothing asked for but the file itself and what it carries inside."""
    assert opened.said == []
    assert [url for url in opened.asked[1:] if not url.startswith(("data:", "blob:"))] == []


@pytest.mark.parametrize(("scheme", "size"), THEMES)
def test_it_opens_offline_fits_and_reads(chromium: Any, report: Path, scheme: str, size: tuple[int, int]) -> None:
    with Opened(chromium, report, scheme, size) as opened:
        quiet(opened)
        opened.open_details()
        assert opened.page.evaluate("document.documentElement.scrollWidth") == size[0]
        outside = "all.filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML)"
        assert opened.all("figure, .plot, .scroll, pre, summary, .bar, .key", outside) == []
        texts = opened.page.eval_on_selector_all(TEXTS, CONTRAST)
        assert len(texts) > 200
        assert [(round(ratio, 2), words) for ratio, words in texts if ratio < 4.5 and words] == []
        lines = opened.page.eval_on_selector_all("path[stroke=currentColor]", CONTRAST.replace("fill", "stroke"))
        assert len(lines) > 10
        assert min(ratio for ratio, _ in lines) >= 3


def test_light_and_dark_differ_and_follow_a_change(chromium: Any, report: Path) -> None:
    with Opened(chromium, report, "light") as opened:
        light = (opened.background(), opened.line_colours())
        opened.page.emulate_media(color_scheme="dark")
        dark = (opened.repainted(light[1]), opened.background())[::-1]
        opened.page.emulate_media(color_scheme="light")
        assert (opened.repainted(dark[1]), opened.background())[::-1] == light
    assert light[0] != dark[0]
    assert len(light[1]) == len(dark[1]) == 8
    assert not set(light[1]) & set(dark[1])


def test_figures_are_drawn(desk: Opened) -> None:
    assert desk.count(".plot") == desk.count(".plot .main-svg:first-child") > 8
    assert desk.count("[data-figure=passk] .scatterlayer .trace") == 8
    assert desk.count("[data-figure=difference] .scatterlayer .trace") == 6
    assert desk.count("[data-figure=strip] .heatmaplayer image") == 1
    assert desk.count("[data-figure=histogram-1] .bars .point path") == 12
    assert desk.count("[data-figure=phases] .trace.bars") == 3


def test_crossings_are_marked_with_their_k(desk: Opened, demo: Any) -> None:
    crossed = {p.name: p.crossing.k for p in demo[0].pairs if p.crossing.k}
    assert set(crossed) == {"grpo", "pods"}
    labels = " ".join(desk.page.locator("[data-figure=passk] .annotation-text").all_text_contents())
    assert all(f"k = {k} {name}" in labels for name, k in crossed.items())
    assert desk.count("[data-figure=passk] .shapelayer path") == 2


def test_the_first_screen_holds_question_verdicts_and_curve(desk: Opened) -> None:
    for selector in ("h1", ".question", ".verdicts", "[data-figure=passk]"):
        box = desk.page.locator(selector).bounding_box()
        assert box["y"] + box["height"] < DESK[1], selector


def test_hover_shows_every_model(desk: Opened) -> None:
    text = desk.hover()
    assert re.search(r"k = \d+", text)
    for name in ("base", "grpo", "pods", "distilled"):
        assert re.search(rf"{name}\s+[\d.]+%\s+\([\d.]+% to [\d.]+%\)", text)


def test_details_open_from_the_keyboard(desk: Opened) -> None:
    first = desk.page.locator("details").first
    assert not first.locator("pre").first.is_visible()
    first.locator("summary").focus()
    desk.page.keyboard.press("Enter")
    assert first.locator("pre").first.is_visible()
    desk.page.keyboard.press("Enter")
    assert not first.locator("pre").first.is_visible()


def test_a_model_can_be_switched_off_from_the_keyboard(desk: Opened) -> None:
    desk.page.locator(".key button", has_text="grpo").first.focus()
    desk.page.keyboard.press("Space")
    assert desk.count("[data-figure=passk] .scatterlayer .trace") == 6
    assert desk.count("[data-figure=passk] .shapelayer path") == 1
    assert desk.count(".key button[aria-pressed=false]") == desk.count(".key button[data-model=grpo]") > 1
    desk.page.keyboard.press("Space")
    assert desk.count("[data-figure=passk] .scatterlayer .trace") == 8
    assert desk.count(".key button[aria-pressed=false]") == 0


def test_print_is_light_and_fits_the_paper(chromium: Any, report: Path) -> None:
    with Opened(chromium, report, "dark") as opened:
        dark = opened.line_colours()
        opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert not set(opened.line_colours()) & set(dark)
        widths = opened.all(".plot .main-svg:first-child", "all.map((svg) => svg.clientWidth)")
        assert 100 < min(widths) <= max(widths) <= 680
        opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert opened.line_colours() == dark


def test_nothing_untrusted_runs(chromium: Any, tmp_path: Path, make: SimpleNamespace) -> None:
    nasty = "</script><script>alert()</script><img src=x onerror=alert()><a href='javascript:alert()'>a</a>%{y}"
    problems = [Problem(id=nasty, prompt=({"role": nasty, "content": nasty},), answer=nasty)]
    options = {"problems": problems, "text": lambda p, n, right: nasty}
    runs = [make.samples(tmp_path / name, np.array([[0, 1, 1]]), **options) for name in "ab"]
    file = write(make.measure(runs, [nasty, nasty + "2"]), tmp_path / "r.html", title=nasty)
    with Opened(chromium, file) as opened:
        assert "</script><scr" in opened.hover()
        opened.open_details()
        quiet(opened)
        assert opened.count("img[src=x]") == 0
        assert opened.count("a[href^=javascript]") == 0
        assert opened.page.evaluate("document.querySelector('pre').textContent") == nasty
        # Even a hole in the escaping would run nothing: the policy forbids it.
        opened.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=alert(4)>')")
        opened.page.wait_for_timeout(200)
        assert opened.said
        assert all("Content Security Policy" in text for text in opened.said)


def test_one_model_and_one_sample(chromium: Any, tmp_path: Path, make: SimpleNamespace) -> None:
    run = make.samples(tmp_path / "only", np.array([[1], [0]]))
    with Opened(chromium, write(make.measure([run]), tmp_path / "r.html"), size=PHONE) as opened:
        quiet(opened)
        assert opened.count("[data-figure=passk] .scatterlayer .trace") == 2
        assert opened.count(".key") == 0


def test_eight_models_with_long_names_fit_a_phone(chromium: Any, tmp_path: Path, make: SimpleNamespace) -> None:
    rates = np.linspace(0, 0.9, 30)
    runs = [make.samples(tmp_path / f"m{i}", make.draw(rates ** (1 + i / 4), 16, i)) for i in range(8)]
    names = [f"organisation/a-model-with-a-very-long-name-{'x' * 60}-{i}" for i in range(8)]
    with Opened(chromium, write(make.measure(runs, names), tmp_path / "r.html"), size=PHONE) as opened:
        quiet(opened)
        opened.open_details()
        assert opened.page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
        assert opened.count("[data-figure=passk] .scatterlayer .trace") == 16
