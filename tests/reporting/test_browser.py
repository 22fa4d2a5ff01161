"""The page in a real browser: Debian's chromium, offline, at phone and desk widths, light and dark."""

import csv
import io
import re
import shutil
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reachlab.pictures.drawn_scenes import scene
from reachlab.reporting import sentences
from reachlab.reporting.entries import read_entries
from reachlab.reporting.page import write_report
from reachlab.reporting.tables import fold_indices
from reachlab.store.samples import SampleStore
from reachlab.types import Chat, Problem, Verdict

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: apt-get install chromium)"),
]
PHONE, DESK = (360, 740), (1280, 800)
THEMES = [("light", PHONE), ("light", DESK), ("dark", PHONE), ("dark", DESK)]

TEXTS = (
    "h1, h2, h3, h4, p, li, th, td, dt, dd, caption, figcaption, summary span, pre, small, .status, button, label, "
    "select, .problems :is(a, code, .gist, .kind, .share), svg.main-svg text"
)
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


class Opened:
    """A page with what the browser had to say of it."""

    def __init__(
        self, browser: Any, file: Path, scheme: str = "light", size: tuple[int, int] = DESK, place: str = ""
    ) -> None:
        viewport = {"width": size[0], "height": size[1]}
        self.context = browser.new_context(
            viewport=viewport, color_scheme=scheme, offline=True, reduced_motion="reduce"
        )
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri() + place, timeout=90_000)
        self.page.wait_for_selector("html[data-ready=true]", timeout=90_000)

    def scroll(self) -> None:
        """Go down the whole page, so that all of it is drawn, and back up."""
        for plot in self.page.locator(".plot").all():
            plot.scroll_into_view_if_needed()
            plot.locator(".main-svg").first.wait_for(timeout=90_000)
        self.page.locator("#problems").scroll_into_view_if_needed()
        self.page.locator(".problems .rows a").first.wait_for()
        self.page.evaluate("scrollTo(0, 0)")

    def problems(self) -> list[str]:
        """The ids that the list of problems shows."""
        found: list[str] = self.all(".problems .rows code", "all.map((code) => code.textContent)")
        return found

    def query(self) -> dict[str, str]:
        """What the address says of the list."""
        found: dict[str, str] = self.page.evaluate(
            "Object.fromEntries(new URLSearchParams(location.hash.split('?')[1] ?? ''))"
        )
        return found

    def until(self, script: str) -> None:
        """Wait for what a script says to be true; playwright's own way is forbidden by the page's policy."""
        for _ in range(400):
            if self.page.evaluate(script):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never true: {script}")

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.textContent"))

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
        for _ in range(400):
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
        opened.scroll()
        opened.open_details()
        assert opened.page.evaluate("document.documentElement.scrollWidth") == size[0]
        outside = "all.filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML)"
        assert opened.all("figure, .plot, .scroll, summary, .bar, .key, .filters *, .problems", outside) == []
        texts = opened.page.eval_on_selector_all(TEXTS, CONTRAST)
        assert len(texts) > 500
        assert [(round(ratio, 2), words) for ratio, words in texts if ratio < 4.5 and words] == []
        lines = opened.page.eval_on_selector_all("path[stroke=currentColor]", CONTRAST.replace("fill", "stroke"))
        assert len(lines) > 10
        assert min(ratio for ratio, _ in lines) >= 3
        opened.page.locator(".problems .rows a").first.click()
        opened.page.locator("dialog[data-shown]").wait_for()
        assert opened.all("dialog *", outside) == []
        texts = opened.page.eval_on_selector_all(
            "dialog :is(h3, h4, p, .text, th, td, small, .status, button)", CONTRAST
        )
        assert len(texts) > 50
        assert [(round(ratio, 2), words) for ratio, words in texts if ratio < 4.5 and words] == []
        quiet(opened)


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


def test_figures_are_drawn_when_they_come_near(chromium: Any, report: Path) -> None:
    with Opened(chromium, report) as opened:
        assert opened.count(".plot .main-svg:first-child") < 4
        assert opened.count("#training .plot .main-svg") == 0
        opened.page.locator("[data-figure=phases]").scroll_into_view_if_needed()
        opened.page.locator("[data-figure=phases] .trace.bars").first.wait_for(timeout=90_000)


def test_the_first_figure_needs_no_script(chromium: Any, report: Path) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    page.locator(".sketch").scroll_into_view_if_needed()
    sketch, text = page.locator(".sketch svg").bounding_box(), page.locator(".sketch .x").first.bounding_box()
    context.close()
    with Opened(chromium, report) as opened:
        area = opened.page.locator("[data-figure=passk] .nsewdrag").bounding_box()
        tick = opened.page.locator("[data-figure=passk] .xtick text").first.bounding_box()
    assert all(abs(sketch[side] - area[side]) < 2 for side in ("x", "y", "width", "height"))
    assert abs(text["x"] + text["width"] / 2 - tick["x"] - tick["width"] / 2) < 2


def test_figures_are_drawn(desk: Opened) -> None:
    desk.scroll()
    assert desk.count(".plot") == desk.count(".plot .main-svg:first-child") > 8
    assert desk.count("[data-figure=passk] .scatterlayer .trace") == 8
    assert desk.count("[data-figure=difference] .scatterlayer .trace") == 9
    assert desk.count("[data-figure=strip] .heatmaplayer image") == 1
    assert desk.count("[data-figure=histogram-1] .bars .point path") == 12
    assert desk.count("[data-figure=phases] .trace.bars") == 3


def test_crossings_are_marked_with_their_k(desk: Opened, demo: Any) -> None:
    crossed = {p.name: p.crossing.k for p in demo[0].pairs if p.crossing.k}
    assert set(crossed) == {"grpo", "pods"}
    labels = " ".join(desk.page.locator("[data-figure=passk] .annotation-text").all_text_contents())
    sure = {p.name: sentences.crosses(p) for p in demo[0].pairs}
    assert all(f"k = {k}{'' if sure[name] else '?'} {name}" in labels for name, k in crossed.items())
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
    assert not first.locator("dd").first.is_visible()
    first.locator("summary").focus()
    desk.page.keyboard.press("Enter")
    assert first.locator("dd").first.is_visible()
    desk.page.keyboard.press("Enter")
    assert not first.locator("dd").first.is_visible()


def test_a_model_can_be_switched_off_from_the_keyboard(desk: Opened) -> None:
    desk.page.locator(".key button", has_text="grpo").first.focus()
    desk.page.keyboard.press("Space")
    desk.until("document.querySelectorAll('[data-figure=passk] .scatterlayer .trace').length === 6")
    assert desk.count("[data-figure=passk] .shapelayer path") == 1
    assert desk.count(".key button[aria-pressed=false]") == desk.count(".key button[data-model=grpo]") > 1
    desk.page.keyboard.press("Space")
    desk.until("document.querySelectorAll('[data-figure=passk] .scatterlayer .trace').length === 8")
    assert desk.count(".key button[aria-pressed=false]") == 0


def test_print_is_light_and_fits_the_paper(chromium: Any, report: Path) -> None:
    with Opened(chromium, report, "dark") as opened:
        dark = opened.line_colours()
        opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert not set(opened.line_colours()) & set(dark)
        widths = opened.all(".plot .main-svg:first-child", "all.map((svg) => svg.clientWidth)")
        assert len(widths) == opened.count(".plot")  # also those that nobody has come near
        assert 100 < min(widths) <= max(widths) <= 680
        opened.page.emulate_media(media="print", color_scheme="dark")
        beyond = "all.filter((e) => e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1)"
        assert opened.all(".plot", f"{beyond}.map((e) => e.dataset.figure)") == []
        opened.page.emulate_media(media="screen", color_scheme="dark")
        light = opened.line_colours()
        opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert opened.repainted(light) == dark


def test_nothing_untrusted_runs(chromium: Any, tmp_path: Path, make: SimpleNamespace) -> None:
    nasty = "</script><script>alert()</script><img src=x onerror=alert()><a href='javascript:alert()'>a</a>%{y}"
    problems = [Problem(id=nasty, prompt=Chat(({"role": nasty, "content": nasty},)), answer=nasty)]
    options = {"problems": problems, "text": lambda p, n, right: nasty}
    runs = [make.samples(tmp_path / name, np.array([[0, 1, 1]]), **options) for name in "ab"]
    file = write(make.measure(runs, [nasty, nasty + "2"]), tmp_path / "r.html", title=nasty)
    with Opened(chromium, file) as opened:
        assert "</script><scr" in opened.hover()
        opened.scroll()
        opened.open_details()
        opened.page.locator(".problems .rows a").click()
        opened.page.locator("dialog[data-shown]").wait_for()
        quiet(opened)
        assert opened.count("img[src=x]") == 0
        assert opened.count("a[href^=javascript]") == 0
        assert opened.page.evaluate("document.querySelector('dialog .text').textContent") == nasty
        # Even a hole in the escaping would run nothing: the policy forbids it.
        opened.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=alert(4)>')")
        opened.page.wait_for_timeout(200)
        assert opened.said
        assert all("Content Security Policy" in text for text in opened.said)


def test_pictures_are_shown_with_their_problem(chromium: Any, tmp_path: Path, make: SimpleNamespace) -> None:
    gone = tmp_path / "<b>gone.png"
    Image.new("RGB", (8, 8)).save(gone)
    pictures = (scene("chart", {"r": 3, "g": 9}, 0, 64), str(gone))
    problems = [Problem(id="p0", prompt="chart r+g:", answer=12, images=pictures)]
    run = make.samples(tmp_path / "a", np.array([[0, 1, 1]]), problems=problems)
    gone.unlink()
    with Opened(chromium, write(make.measure([run]), tmp_path / "r.html")) as opened:
        opened.scroll()
        opened.page.locator(".problems .rows a").click()
        opened.page.locator("dialog[open] img.shown").wait_for()
        quiet(opened)
        wide = opened.page.evaluate("document.querySelector('dialog img.shown').naturalWidth")
        assert (wide, opened.count("dialog img.shown")) == (64, 1)
        assert "<b>gone.png: no such picture" in str(opened.page.locator("dialog .inside .note").first.text_content())


def test_one_model_and_one_sample(chromium: Any, tmp_path: Path, make: SimpleNamespace) -> None:
    run = make.samples(tmp_path / "only", np.array([[1], [0]]))
    with Opened(chromium, write(make.measure([run]), tmp_path / "r.html"), size=PHONE) as opened:
        quiet(opened)
        assert opened.count("[data-figure=passk] .scatterlayer .trace") == 2
        assert opened.count(".key") == 0
        opened.scroll()
        assert sorted(opened.problems()) == ["p0", "p1"]
        assert opened.all("[name=show] option", "all.map((o) => o.textContent)") == [
            "all problems",
            "solved",
            "not solved",
        ]
        assert opened.count("[name=model]") == 0
        opened.page.select_option("[name=show]", "none")
        assert opened.problems() == ["p1"]


@pytest.mark.slow
def test_eight_models_with_long_names_fit_a_phone(chromium: Any, tmp_path: Path, make: SimpleNamespace) -> None:
    rates = np.linspace(0, 0.9, 30)
    runs = [make.samples(tmp_path / f"m{i}", make.draw(rates ** (1 + i / 4), 16, i)) for i in range(8)]
    names = [f"organisation/a-model-with-a-very-long-name-{'x' * 60}-{i}" for i in range(8)]
    with Opened(chromium, write(make.measure(runs, names), tmp_path / "r.html"), size=PHONE) as opened:
        opened.scroll()
        opened.open_details()
        assert opened.page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
        assert opened.count("[data-figure=passk] .scatterlayer .trace") == 16
        quiet(opened)


# -- the problem browser --------------------------------------------------------------------------------------------


@pytest.fixture
def browsing(desk: Opened) -> Opened:
    """The report with its list of problems in view, unfiltered."""
    desk.page.evaluate("location.hash = ''")
    desk.page.evaluate("location.hash = '#problems'")
    desk.page.locator("#problems").scroll_into_view_if_needed()
    desk.until("document.querySelectorAll('.problems .rows a').length === 60")
    quiet(desk)
    return desk


def accuracies(measured: Any) -> dict[str, dict[str, float]]:
    comparison, runs = measured
    return {e.name: dict(zip(comparison.problem_ids, e.accuracy, strict=True)) for e in read_entries(comparison, runs)}


def test_the_list_has_every_problem_by_its_largest_change(browsing: Opened, demo: Any) -> None:
    share = accuracies(demo)
    ids = browsing.problems()
    assert sorted(ids) == sorted(demo[0].problem_ids)
    change = [max(abs(share[name][i] - share["base"][i]) for name in share) for i in ids]
    assert change == sorted(change, reverse=True)
    assert "60 problems" in str(browsing.page.locator("#problems-count").text_content())
    first = browsing.page.locator(".problems .rows [role=row]").first.locator("[role=cell]")
    assert first.count() == 4
    for cell, name in zip(first.all(), share, strict=True):
        assert abs(float(str(cell.text_content()).rstrip("%")) - 100 * share[name][ids[0]]) <= 0.5


@pytest.mark.parametrize("kind", ["gained", "lost", "surely-gained", "surely-lost"])
@pytest.mark.parametrize("model", ["", "grpo", "distilled"])
def test_filters_by_what_changed(browsing: Opened, demo: Any, kind: str, model: str) -> None:
    browsing.page.select_option("[name=show]", kind)
    browsing.page.select_option("[name=model]", model)
    sets = [getattr(p.coverage, kind.replace("-", "_")) for p in demo[0].pairs if model in ("", p.name)]
    expected = set().union(*sets)
    assert set(browsing.problems()) == expected
    assert browsing.query() == {"show": kind, **({"model": model} if model else {})}
    assert str(browsing.page.locator("#problems-count").text_content()).startswith(f"{len(expected)} of 60 problems")


def test_filters_by_who_solved_and_by_text(browsing: Opened, demo: Any) -> None:
    solved = [set(model.solved) for model in demo[0].models]
    everything, anything = set.intersection(*solved), set.union(*solved)
    expected = {"all": everything, "some": anything - everything, "none": set(demo[0].problem_ids) - anything}
    for kind, ids in expected.items():
        browsing.page.select_option("[name=show]", kind)
        assert set(browsing.problems()) == ids
    browsing.page.select_option("[name=show]", "")
    browsing.page.fill("[name=q]", "=5 12")  # words of the prompt, in any order
    assert set(browsing.problems()) == {"p5", *(f"p{i}" for i in range(50, 60))}
    browsing.page.fill("[name=q]", "P17")
    assert browsing.problems() == ["p17"]
    browsing.page.fill("[name=q]", "nowhere")
    assert browsing.problems() == []
    assert str(browsing.page.locator("#problems-count").text_content()).startswith("0 of 60 problems")


def test_filters_by_verdicts_to_look_at(chromium: Any, tmp_path: Path, make: SimpleNamespace) -> None:
    runs = [make.samples(tmp_path / name, make.draw(np.full(5, 0.5), 4, i)) for i, name in enumerate("ab")]
    for run, number in zip(runs, (1, 3), strict=True):
        store = SampleStore(run)
        part = store.parts()[0]
        samples = [replace(s, finish="length") if s.problem_id == f"p{number}" else s for s in store.part(part)]
        Path(part).unlink()  # of two writers of the same samples the first counts
        store.write_part([replace(s, verdict=Verdict.correct()) for s in samples])
    file = write(make.measure(runs), tmp_path / "report.html")
    with Opened(chromium, file, place="#problems?show=doubts") as opened:
        opened.page.locator(".problems .rows a").first.wait_for()
        assert opened.problems() == ["p1", "p3"]
        opened.page.locator(".problems .rows a").first.click()
        opened.page.locator("dialog[open]").wait_for()
        assert "verdict to look at" in str(opened.page.locator("dialog").text_content())
    with Opened(chromium, file, place="#problems?show=doubts&model=b") as opened:
        opened.page.locator(".problems .rows a").first.wait_for()
        assert opened.problems() == ["p3"]


def test_sorts_by_the_base(browsing: Opened, demo: Any) -> None:
    base = accuracies(demo)["base"]
    for value, sign in (("high", -1), ("low", 1)):
        browsing.page.select_option("[name=sort]", value)
        assert browsing.problems() == sorted(demo[0].problem_ids, key=lambda i: sign * base[i])
    browsing.page.select_option("[name=sort]", "order")
    assert browsing.problems() == list(demo[0].problem_ids)


def test_a_problem_is_read_without_a_mouse(browsing: Opened) -> None:
    page = browsing.page
    ids = browsing.problems()
    page.locator("[name=sort]").focus()
    while not page.evaluate("document.activeElement.closest('.rows')"):
        page.keyboard.press("Tab")
    assert ids[0] in browsing.focused()
    for key in ("ArrowDown", "j", "ArrowDown", "k"):
        page.keyboard.press(key)
    assert ids[2] in browsing.focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.locator("dialog[data-shown]").wait_for()
    assert browsing.query()["problem"] == ids[2]
    assert browsing.focused() == f"Problem {ids[2]}"
    page.keyboard.press("j")
    browsing.until(f"document.querySelector('#reader-h').textContent === 'Problem {ids[3]}'")
    assert browsing.query()["problem"] == ids[3]
    page.keyboard.press("Escape")
    browsing.until("document.activeElement.closest('.rows')")
    assert browsing.count("dialog[open]") == 0
    assert ids[3] in browsing.focused()
    assert browsing.query() == {}
    page.keyboard.press("End")
    assert ids[-1] in browsing.focused()


def test_a_problem_shows_prompt_answer_and_samples(browsing: Opened, demo: Any) -> None:
    page = browsing.page
    page.locator(".problems .rows a", has_text="p7 ").click()
    page.locator("dialog[data-shown]").wait_for()
    assert page.locator("dialog .text").first.text_content() == "[12 11 9 3 =7]"
    assert page.locator("dialog .answer-key").text_content() == "target7"
    statuses = page.locator("dialog .answers > div").first.locator(".status").all_text_contents()
    assert len(statuses) == 8
    assert re.fullmatch(r"✓ right sample \d+, 12 tokens", statuses[0])
    right = round(64 * accuracies(demo)["base"]["p7"])
    assert f"{right} of 64 right" in str(page.locator("dialog h4").first.text_content())
    assert "56 more samples are in the run" in str(page.locator("dialog .answers > div").first.text_content())


def test_an_address_opens_the_same_list_and_problem(chromium: Any, report: Path, demo: Any) -> None:
    lost = demo[0].pairs[0].coverage.lost
    place = f"#problems?show=lost&model=grpo&q=12&sort=low&problem={lost[0]}"
    with Opened(chromium, report, place=place) as opened:
        opened.page.locator("dialog[data-shown]").wait_for()
        assert opened.page.locator("#reader-h").text_content() == f"Problem {lost[0]}"
        assert set(opened.problems()) == set(lost)
        fields = "all.map((field) => field.value)"
        assert [value for value in opened.all(".filters [name]", fields) if value] == ["12", "lost", "grpo", "low"]
        opened.page.locator("[name=close]").click()
        assert opened.query() == {"show": "lost", "model": "grpo", "q": "12", "sort": "low"}
        opened.page.locator(".problems .rows a").first.click()
        opened.page.locator("dialog[open]").wait_for()
        opened.page.go_back()
        opened.until("!document.querySelector('dialog').open")
        quiet(opened)


def test_what_no_list_has_harms_nothing(chromium: Any, report: Path) -> None:
    with Opened(chromium, report, place="#problems?show=&model=nobody&problem=nothing&sort=x") as opened:
        opened.page.locator(".problems .rows a").first.wait_for()
        assert len(opened.problems()) == 60
        assert opened.count("dialog[open]") == 0
        quiet(opened)


def test_lists_of_ids_lead_to_the_browser(browsing: Opened, demo: Any) -> None:
    browsing.open_details()
    browsing.page.locator(".lists", has_text="distilled").locator("a[href*='show=gained']").click()
    browsing.until("document.querySelectorAll('.problems .rows a').length < 60")
    assert set(browsing.problems()) == set(demo[0].pairs[2].coverage.gained)


def test_long_lists_go_on(chromium: Any, tmp_path: Path, make: SimpleNamespace) -> None:
    run = make.samples(tmp_path / "a", np.ones((450, 1)))
    with Opened(chromium, write(make.measure([run]), tmp_path / "r.html"), place="#problems") as opened:
        opened.page.locator(".problems .rows a").first.wait_for()
        assert len(opened.problems()) == 200
        opened.page.locator(".more").focus()
        opened.page.keyboard.press("Enter")
        assert len(opened.problems()) == 400
        assert "p200" in opened.focused()
        opened.page.keyboard.press("End")
        assert "p449" in opened.focused()
        assert not opened.page.locator(".more").is_visible()
        rows = opened.all(".problems .rows [role=row]", "all.map((row) => row.getAttribute('aria-rowindex'))")
        assert rows == [str(i) for i in range(2, 452)]
        quiet(opened)


def test_what_a_screen_reader_is_told(browsing: Opened) -> None:
    tree = browsing.page.locator("#problems").aria_snapshot()
    for said in (
        'heading "Problems and samples"',
        'search "Which problems to list"',
        'searchbox "Find in prompts and ids"',
        'combobox "Show"',
        'combobox "Sort by"',
        'table "Problems and samples"',
        'columnheader "grpo"',
        "rowheader",
        "status",
    ):
        assert said in tree, said


# -- saving ---------------------------------------------------------------------------------------------------------


def saved(opened: Opened, figure: str, name: str) -> bytes:
    buttons = opened.page.locator(f"figure:has([data-figure={figure}]) .save button", has_text=name)
    buttons.scroll_into_view_if_needed()
    with opened.page.expect_download(timeout=90_000) as download:
        buttons.click()
    assert download.value.suggested_filename == f"{figure}.{name.lower()}"
    return Path(download.value.path()).read_bytes()


def test_every_figure_saves_its_data(desk: Opened, demo: Any) -> None:
    comparison, _ = demo
    assert desk.count(".save") == desk.count(".plot")
    rows = list(csv.DictReader(io.StringIO(saved(desk, "passk", "CSV").decode())))
    model = comparison.models[1]
    mine = [row for row in rows if row["model"] == model.name]
    assert len(rows) == 4 * len(mine)
    at = [int(row["k"]) - 1 for row in mine]
    for column, values in (("pass_at_k", model.curve.values), ("low", model.curve.low), ("high", model.curve.high)):
        assert [float(row[column]) for row in mine] == values[at].tolist()
    found = comparison.pairs[2].difference
    rows = list(csv.DictReader(io.StringIO(saved(desk, "difference", "CSV").decode())))
    mine = [row for row in rows if row["model"] == "distilled"]
    at = [int(row["k"]) - 1 for row in mine]
    for column, values in (("difference_points", found.values), ("band_high", found.band[1])):
        np.testing.assert_allclose([float(row[column]) for row in mine], 100 * values[at])
    rows = list(csv.DictReader(io.StringIO(saved(desk, "strip", "CSV").decode())))
    assert {row["problem_id"] for row in rows if row["against_base"] == "lost" and row["model"] == "grpo"} == set(
        comparison.pairs[0].coverage.lost
    )


def test_figures_are_saved_for_paper(chromium: Any, report: Path) -> None:
    with Opened(chromium, report, "dark") as opened:
        svg = saved(opened, "passk", "SVG").decode()
        assert svg.startswith("<svg")
        assert 'width="640" height="400"' in svg
        assert "var(" not in svg
        for name in ("base", "grpo", "pods", "distilled", "k = "):
            assert name in svg
        assert "rgb(61, 49, 176)" in svg  # the light theme's blue
        assert "rgb(150, 161, 255)" not in svg
        assert re.search(r"fill: rgb\(255, 255, 255\); fill-opacity: 1", svg)
        for figure, size in (("passk", (1920, 1200)), ("strip", (1920, 600)), ("histogram-1", (1080, 840))):
            png = saved(opened, figure, "PNG")
            assert png.startswith(b"\x89PNG")
            assert struct.unpack(">II", png[16:24]) == size
        quiet(opened)


def test_what_is_hidden_is_not_saved_as_a_picture(chromium: Any, report: Path) -> None:
    with Opened(chromium, report) as opened:
        opened.page.locator(".key button", has_text="grpo").first.click()
        svg, text = saved(opened, "passk", "SVG").decode(), saved(opened, "passk", "CSV").decode()
    assert "grpo" not in svg
    assert "pods" in svg
    assert "grpo" in text


def test_a_list_of_problems_is_copied(desk: Opened, demo: Any) -> None:
    desk.open_details()
    desk.page.locator("[data-copy=list-1-1]").click()
    desk.until("/Copied|Selected/.test(document.querySelector('[data-copy=list-1-1]').textContent)")
    assert desk.page.evaluate("getSelection().toString()") == fold_indices(demo[0].models[1].solved)
    quiet(desk)


def test_figures_lead_to_problems(chromium: Any, report: Path, demo: Any) -> None:
    """By a click and by keyboard, before and after the figures are drawn again."""
    comparison, _ = demo
    entries = read_entries(*demo)
    right = dict(zip(entries[0].outcomes.problem_ids, entries[0].outcomes.c_P.tolist(), strict=True))
    with Opened(chromium, report) as opened:
        opened.scroll()
        page = opened.page

        def click(figure: str, share: float) -> None:
            area = page.locator(f"[data-figure={figure}] .nsewdrag")
            area.scroll_into_view_if_needed()
            box = area.bounding_box()
            page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] * 0.8)
            page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] * 0.8)

        assert (
            opened.all(".plot[data-leads] .nsewdrag", "all.map((e) => getComputedStyle(e).cursor)") == ["pointer"] * 5
        )
        for scheme in ("light", "dark"):
            before = opened.line_colours()
            page.emulate_media(color_scheme=scheme)
            if scheme == "dark":
                opened.repainted(before)
            click("strip", 0.001)
            page.locator("dialog[open][data-shown]").wait_for()
            easiest = opened.query()["problem"]
            assert right[easiest] == max(right.values())
            place = page.evaluate("scrollY")
            page.keyboard.press("Escape")
            opened.until("document.activeElement.type === 'range'")
            opened.until(f"Math.abs(scrollY - {place}) < 2")
        # By keyboard: the slider goes to the next problem, its words and its link say which.
        page.keyboard.press("End")
        hardest = opened.all(".walk a", "all[0].textContent").removeprefix("Read ")
        assert right[hardest] == 0
        page.keyboard.press("Enter")
        page.locator("dialog[open][data-shown]").wait_for()
        assert opened.query() == {"problem": hardest}
        page.keyboard.press("Escape")
        opened.until("!document.querySelector('dialog[open]')")
        # A bar: the problems that the base never solves, then those of a range of another model.
        click("histogram-0", 0.04)
        opened.until("document.querySelector('#problems-bar').offsetParent !== null")
        assert opened.query() == {"of": "base", "to": "0"}
        never = sorted(name for name, count in right.items() if count == 0)
        assert sorted(opened.problems()) == never
        assert page.locator("#problems-bar").text_content() == "base: never right ✕"
        page.locator("#problems-bar").click()
        opened.until("document.querySelector('#problems-bar').hidden")
        assert len(opened.problems()) == 60
        page.locator("#accuracy .leads summary").nth(1).focus()
        page.keyboard.press("Enter")
        link = page.locator("#accuracy .leads").nth(1).locator("a").last
        count = int(str(link.text_content()).split(" ")[0])
        link.focus()
        page.keyboard.press("Enter")
        opened.until(f"document.querySelectorAll('.problems .rows a').length === {count}")
        assert opened.query()["of"] == "grpo"
        at = comparison.models[1].histogram.counts
        assert count in at
        page.locator("[name=q]").fill("no such words")
        opened.until("document.querySelectorAll('.problems .rows a').length === 0")
        assert opened.query()["of"] == "grpo"
        quiet(opened)


def test_moving_means_can_be_taken_away(desk: Opened) -> None:
    lines = "[data-figure=training-0] path.js-line"
    desk.page.locator("[data-figure=training-0]").scroll_into_view_if_needed()
    desk.page.locator(lines).first.wait_for(timeout=90_000)
    both = desk.count(lines)
    assert both >= 2
    assert both % 2 == 0  # each mean has its faint steps
    desk.page.locator("[data-smooth]").focus()
    desk.page.keyboard.press("Space")
    desk.until(f"document.querySelectorAll('{lines}').length === {both // 2}")
    desk.page.keyboard.press("Space")
    desk.until(f"document.querySelectorAll('{lines}').length === {both}")


def test_a_long_back_test_is_folded_and_drawn(desk: Opened) -> None:
    assert desk.count("#extrapolation details.folded table") == 1
    assert "mean distance" in str(desk.page.locator("#extrapolation details.folded .means").text_content())
    assert desk.count("[data-figure=extrapolation-check]") == 1
