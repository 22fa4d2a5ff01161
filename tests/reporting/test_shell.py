"""What is around the content, in a real browser: colours, contents, copying, tables that scroll, paper, and axe."""

import importlib.util
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.reporting.test_browser import CHROMIUM, DESK, Opened, quiet, report, write
from tests.reporting.test_router_page import fidelities, reading
from tests.studies.test_regime import RUN, quick

from reachlab.reporting.router_page import write_routers
from reachlab.studies.regime import run_regime

__all__ = ["report"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: apt-get install chromium)"),
]
PHONE = (390, 844)
AXE = importlib.util.find_spec("axe_playwright_python")


@pytest.fixture(scope="module")
def desk(chromium: Any, report: Path) -> Iterator[Opened]:
    with Opened(chromium, report) as opened:
        yield opened


def violations(browser: Any, file: Path, scheme: str, size: tuple[int, int]) -> list[str]:
    """What axe-core says against a page, everything unfolded and drawn."""
    assert AXE is not None
    assert AXE.origin is not None
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, bypass_csp=True, offline=True
    )
    page = context.new_page()
    page.goto(file.as_uri(), timeout=90_000)
    page.wait_for_selector("html[data-ready=true]", timeout=90_000)
    page.eval_on_selector_all("details", "(all) => all.forEach((d) => { d.open = true; })")
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
        plot.locator(".main-svg").first.wait_for(timeout=90_000)
    page.evaluate("scrollTo(0, 0)")
    page.evaluate((Path(AXE.origin).parent / "axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    context.close()
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


@pytest.mark.skipif(AXE is None, reason="no axe here (pip install axe-playwright-python)")
@pytest.mark.parametrize(
    ("scheme", "size"),
    [
        ("dark", PHONE),
        pytest.param("light", PHONE, marks=pytest.mark.slow),
        pytest.param("light", DESK, marks=pytest.mark.slow),
        pytest.param("dark", DESK, marks=pytest.mark.slow),
    ],
)
def test_axe_finds_nothing(chromium: Any, report: Path, scheme: str, size: tuple[int, int]) -> None:
    assert violations(chromium, report, scheme, size) == []


@pytest.mark.slow
@pytest.mark.skipif(AXE is None, reason="no axe here (pip install axe-playwright-python)")
def test_axe_finds_nothing_on_the_other_pages(chromium: Any, tmp_path: Path) -> None:
    readings = [reading(0), reading(1)]
    routers = write_routers(readings, tmp_path / "routers.html", title="Routers", fidelity=fidelities(2))
    measured = tmp_path / "measured.json"
    measured.write_text(json.dumps([RUN]))
    regime = run_regime(quick(tmp_path, measured=str(measured)))
    for file in (routers, regime):
        assert violations(chromium, file, "dark", PHONE) == []
        with Opened(chromium, file, "light") as opened:
            before = opened.background()
            opened.page.get_by_role("button", name="Dark").click()
            assert opened.background() != before
            assert opened.page.evaluate("document.documentElement.scrollWidth") == DESK[0]
            quiet(opened)


def test_colours_are_chosen_and_remembered(chromium: Any, report: Path) -> None:
    with Opened(chromium, report, "light") as opened:
        pressed = "all.filter((b) => b.ariaPressed === 'true').map((b) => b.textContent)"
        light = (opened.background(), opened.line_colours())
        assert opened.all(".theme button", pressed) == ["Auto"]
        opened.page.get_by_role("button", name="Dark").click()
        dark = opened.repainted(light[1])
        assert opened.background() != light[0]
        assert not set(dark) & set(light[1])
        opened.page.emulate_media(color_scheme="dark")
        opened.page.emulate_media(color_scheme="light")
        assert opened.line_colours() == dark  # a choice is not the system's
        # On paper it is light all the same.
        opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert set(opened.repainted(dark)) == set(light[1])
        opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
        opened.page.reload()
        opened.page.wait_for_selector("html[data-ready=true]", timeout=90_000)
        assert opened.all(".theme button", pressed) == ["Dark"]
        opened.page.get_by_role("button", name="Auto").click()
        assert opened.background() == light[0]
        assert opened.said == []


def test_a_page_that_may_keep_nothing_has_colours_to_choose(chromium: Any, report: Path) -> None:
    context = chromium.new_context(color_scheme="light", offline=True)
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    forbid = "Object.defineProperty(globalThis, '%s', { get() { throw new DOMException('no', 'SecurityError'); } });"
    page.add_init_script("".join(forbid % place for place in ("localStorage", "sessionStorage")))
    page.goto(report.as_uri())
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert said == []
    context.close()


@pytest.mark.parametrize("size", [PHONE, DESK, (1920, 1080)])
def test_contents_stay_and_say_where_one_is(chromium: Any, report: Path, size: tuple[int, int]) -> None:
    with Opened(chromium, report, size=size) as opened:
        current = "document.querySelector('nav.contents [aria-current]')?.textContent"
        for section in ("coverage", "accuracy", "run"):
            opened.page.evaluate(f"document.getElementById('{section}').scrollIntoView()")
            heading = str(opened.page.locator(f"#{section}-h").text_content())
            opened.until(f"{current} === {heading!r}")
            link = opened.page.locator("nav.contents [aria-current]").bounding_box()
            assert link["x"] >= 0
            assert link["x"] + link["width"] <= size[0]
            assert 0 <= link["y"] < size[1]
            # The heading is not behind the contents.
            box, bar = opened.page.locator(f"#{section}-h").bounding_box(), opened.page.locator("nav ul").bounding_box()
            assert box["y"] >= bar["y"] + bar["height"] or box["x"] >= bar["x"] + bar["width"]
        assert opened.page.evaluate("document.documentElement.scrollWidth") == size[0]


def test_a_table_says_that_it_scrolls_where_it_does(chromium: Any, report: Path, desk: Opened) -> None:
    said = "all.map((box) => [box.scrollWidth > box.clientWidth + 1, box.hasAttribute('aria-describedby')])"
    with Opened(chromium, report, size=PHONE) as opened:
        opened.open_details()
        opened.until("document.querySelector('.scroll[aria-describedby]')")
        opened.page.wait_for_timeout(200)
        found = opened.all(".scroll", said)
        assert all(wide == told for wide, told in found)
        assert [True, True] in found
        assert "scrolls sideways" in str(opened.page.locator("#scrolls-sideways").text_content())
        # No line of a problem is cut in its middle below the third.
        opened.page.locator("#problems").scroll_into_view_if_needed()
        opened.page.locator(".problems .rows a").first.wait_for()
        clamp = "getComputedStyle(document.querySelector('.problems .rows a'))"
        assert opened.page.evaluate(f"[{clamp}.paddingBottom, {clamp}.webkitLineClamp]") == ["0px", "3"]
    assert all(wide == told for wide, told in desk.all(".scroll", said))


def test_a_command_is_copied_as_it_stands(chromium: Any, tmp_path: Path, make: SimpleNamespace) -> None:
    nasty = tmp_path / "a $(touch x) 'b' <i>"
    run = make.samples(nasty, np.array([[0, 1]]))
    file = write(make.measure([run], ["it"]), tmp_path / "r.html")
    with Opened(chromium, file) as opened:
        opened.page.locator("#again").scroll_into_view_if_needed()
        button = opened.page.get_by_role("button", name="Copy the command of report")
        button.click()
        opened.until("['Copied', 'Selected'].includes(document.querySelector('.stages [data-copy]').textContent)")
        selected = opened.page.evaluate("getSelection().toString()")
        assert shlex.split(selected) == ["reachlab", "report", f"it={nasty}"]
        assert opened.page.locator("main [role=status].unseen").last.text_content() in (
            "Copied.",
            "Selected; copy it with the keyboard.",
        )
        assert opened.count("#run i") == 0
        quiet(opened)


def test_paper_has_the_changed_problems_and_keeps_heads_with_their_tables(chromium: Any, report: Path) -> None:
    with Opened(chromium, report, "dark") as opened:
        assert not opened.page.locator("#changed-h").is_visible()
        opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        opened.page.emulate_media(media="print", color_scheme="dark")
        assert opened.page.locator("#changed-h").is_visible()
        assert opened.count(".printed article") == 5
        assert opened.all(".printed article", "all.map((a) => a.querySelectorAll('.answer').length)") == [4] * 5
        for hidden in ("nav.contents", ".theme"):
            assert not opened.page.locator(hidden).is_visible()
        kept = "all.map((e) => getComputedStyle(e).breakAfter)"
        assert set(opened.all("h2, h3, .lead, .key, caption", kept)) == {"avoid"}
        broken = "all.filter((cell) => getComputedStyle(cell).overflowWrap === 'anywhere').length"
        assert opened.all("table.figures :is(th, td)", broken) == 0
        sheet = "document.querySelector('.sheet').getBoundingClientRect().right + 1"
        wide = f"all.filter((e) => e.getBoundingClientRect().right > {sheet}).map((e) => e.outerHTML.slice(0, 80))"
        assert opened.all(".sheet table, .sheet pre", wide) == []
