"""A server on runs that go on, in a real browser: what comes is seen without a reload, and nothing of the reader's is
lost."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import more, serving

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: apt-get install chromium)"),
]


class Tab:
    """A page, and what the browser had to say of it."""

    def __init__(self, browser: Any, address: str):
        self.page = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce").new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(address)
        self.page.evaluate("globalThis.mine = 'the same document'")

    def until(self, script: str) -> None:
        """Wait for what a script says to be true; playwright's own way is forbidden by the page's policy."""
        for _ in range(600):
            with contextlib.suppress(Exception):  # asked while the page was loaded again
                if self.page.evaluate(script):
                    return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never true: {script}; {self.page.inner_text('.live')}")

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).first.inner_text())


POINTS = "document.querySelector('[data-figure=training-0]')?.calcdata?.[0].length"
FULL = "document.querySelector('#problems')"


def test_what_comes_is_seen(chromium: Any, runs: Path) -> None:
    train = runs / "train" / "metrics.jsonl"
    with serving(f"base={runs / 'base'}", f"rl={runs / 'rl'}", str(runs / "train")) as address:
        tab = Tab(chromium, address)
        tab.until(FULL)
        page = tab.page
        page.evaluate("globalThis.mine = 'the same document'")
        page.locator("[data-figure=training-0]").scroll_into_view_if_needed()
        tab.until(f"{POINTS} === 12")

        # A reader has opened a problem, and looks at the second half of it.
        page.evaluate("location.hash = '#problems?problem=p1'")
        tab.until("document.querySelector('dialog[open] .rest button')")
        before = page.locator("dialog article").count()
        page.locator(".rest button").first.click()
        tab.until(f"document.querySelectorAll('dialog article').length === {before + 20}")
        assert "Show 2 more of 2" in tab.text(".rest button")
        page.locator("dialog [name=next]").focus()
        page.evaluate("document.querySelector('dialog').scrollTop = 300")

        # A step more, and half of another; then 20 samples more of each problem, all right.
        with train.open("a") as log:
            log.write(json.dumps({"step": 13, "loss": 0.5, "reward": 0.9}) + '\n{"step": 14, "lo')
        tab.until(f"{POINTS} === 13")
        base = tab.page.evaluate("document.querySelector('.verdicts li').textContent")
        more(runs / "base", 30, 50, right=True)
        tab.until(f"document.querySelector('.verdicts li').textContent !== {json.dumps(base)}")
        assert "360" not in tab.page.evaluate("document.querySelector('.facts').textContent")
        assert "480 samples" in tab.page.evaluate("document.querySelector('.facts').textContent")
        assert page.evaluate("globalThis.mine") == "the same document"
        assert page.evaluate("document.activeElement.name") == "next"
        assert page.evaluate("document.querySelector('dialog').scrollTop") == 300
        assert page.evaluate("document.querySelector('dialog').dataset.shown") == "p1"
        page.locator("dialog [name=close]").click()
        tab.until("document.activeElement.closest('.rows')")
        assert "p1" in page.evaluate("document.activeElement.textContent")

        # All answers are looked through, and one is read whole.
        page.locator(".everywhere summary").click()
        page.locator(".everywhere input").fill("AGAIN 3")
        page.keyboard.press("Enter")
        tab.until("document.querySelector('.everywhere .note').textContent.includes('that is all')")
        assert tab.text(".everywhere .note") == "60 found, and that is all."
        page.locator(".everywhere li button").first.click()
        tab.until("document.querySelector('.everywhere pre')")
        assert tab.text(".everywhere pre").startswith("again 3")

        # A run that is taken away leaves what was shown of it.
        shutil.rmtree(runs / "rl")
        tab.until("document.querySelector('.live .alert').textContent.includes('not there any more')")
        assert page.locator(".verdicts li").count() == 2
    tab.until("document.querySelector('.live .alert').textContent.includes('has not answered')")
    assert [said for said in tab.said if "ERR_CONNECTION" not in said and "409" not in said] == []


def test_a_run_that_is_not_there_yet(chromium: Any, runs: Path, tmp_path: Path) -> None:
    later = tmp_path / "later"
    with serving(str(later), str(runs / "train")) as address:
        tab = Tab(chromium, address)
        tab.until("document.querySelector('.remarks')?.textContent.includes('there is no such folder yet')")
        tab.until("document.querySelector('[data-figure=training-0] .main-svg')")
        assert "12 of 12 steps, finished" in tab.text(".live")
        (runs / "base").rename(later)
        tab.until(FULL)
        tab.until("document.querySelector('.verdicts li')")
        assert "180 samples" in tab.text(".live")
        assert tab.said == []
