"""The reader of a problem's answers, and what answers are found by, in a real browser."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.reporting.test_browser import DESK, PHONE, Opened, pytestmark, quiet, write

from reachlab.reporting import problem_browser
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Problem, Sample, StepCheck, Verdict

__all__ = ["pytestmark"]

HUGE = "".join(f"Line {i} of **many** with $x_{{{i}}}^2$ in it.\n\n" for i in range(2_500)) + "THE END"
"""More than 100,000 characters."""
THOUGHT = "<think>\nHidden *thought*.\n</think>\n\nIt is **4**."
ENDLESS = "the reasoning does not end"
RIGHT, LATE = Verdict.correct(), Verdict.unscored("the verifier ran out of time")
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "0": [
        {"text": THOUGHT, "verdict": RIGHT, "final_answer": "4", "tokens": 9},
        {"text": "It is 5.", "verdict": Verdict.wrong("5, not 4"), "final_answer": "5", "steps": StepCheck(2, 3)},
        {"text": "", "verdict": Verdict.wrong()},
        {"text": "It is", "verdict": LATE},
    ],
    "1": [
        {"text": "<think>\nIt goes on and on", "verdict": Verdict.wrong(ENDLESS), "finish": "length"},
        {"text": HUGE, "verdict": Verdict.wrong("41, not 4"), "final_answer": "41"},
    ],
    "2": [{"text": "def f():\n    return 2*3*4\n", "verdict": RIGHT, "final_answer": "\\frac{1}{2}"}],
}  # fmt: skip
PROBLEMS = [
    Problem(id="0", prompt="What is $2 + 2$?", answer="4", metadata={"level": 1}),
    Problem(id="1", prompt="What is 2 * 2?", answer={"value": 4, "form": "a\nb"}, metadata={"level": 2}),
    Problem(id="2", prompt="What is a half?", answer="\\frac{1}{2}", metadata={"level": 2}),
]


def run(folder: Path, answers: dict[str, list[dict[str, Any]]]) -> RunFolder:
    """A run of these answers; the log of it calls the first of problem 2 wrong."""
    found = RunFolder(folder)
    found.claim("sample", {"task": "somebody's"}, {})
    store = SampleStore(found)
    store.write_problems(PROBLEMS)
    blank = Sample(
        problem_id="", index=0, text="", tokens=0, finish="stop", logprob=None, seed=0, engine="e", verdict=RIGHT
    )
    store.write_part(
        [replace(blank, problem_id=p, index=i, **s) for p, row in answers.items() for i, s in enumerate(row)]
    )
    found.write("disagreements.jsonl", json.dumps({"problem_id": "2", "sample": 0, "theirs": False}).encode())
    return found


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory, make: SimpleNamespace) -> Iterator[Path]:
    """A page of two models, the second of which is always right; each problem's answers are a block."""
    root = tmp_path_factory.mktemp("answered")
    always = {p: [{"text": f"Surely {p} apples.", "verdict": RIGHT, "final_answer": p}] for p in ANSWERS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(problem_browser, "LENGTHS", (200_000, 4_000, 2_000, 1_000))
        patch.setattr(problem_browser, "CHUNK", 10)
        yield write(make.measure([run(root / "a", ANSWERS), run(root / "b", always)]), root / "r.html")


@pytest.fixture(scope="module")
def browsed(chromium: Any, answered: Path) -> Iterator[Opened]:
    with Opened(chromium, answered, place="#problems") as opened:
        opened.page.locator(".problems .rows a").first.wait_for()
        yield opened


@pytest.fixture
def page(browsed: Opened) -> Opened:
    go(browsed, "")
    quiet(browsed)
    return browsed


def go(opened: Opened, query: str) -> None:
    """Follow a link to the browser, and wait until all of it is there."""
    opened.page.evaluate("(query) => { location.hash = ''; location.hash = '#problems?' + query; }", query)
    opened.until("!document.querySelector('#problems-count').textContent.includes('…')")
    if "problem=" in query:
        opened.until(
            "document.querySelector('dialog').dataset.shown === "
            "new URLSearchParams(location.hash.split('?')[1]).get('problem')"
        )
    else:
        opened.until("!document.querySelector('dialog').open")


def why(opened: Opened, model: int = 1) -> list[list[str]]:
    """Of each answer what stands before its text."""
    lines = "all.map((e) => [...e.querySelectorAll('.status, .why')].map((line) => line.textContent))"
    found: list[list[str]] = opened.all(f".answers > div:nth-child({model}) article", lines)
    return found


def test_each_answer_says_first_why_it_counts(page: Opened) -> None:
    go(page, "problem=0")
    assert why(page) == [
        ["✓ right sample 0, 9 tokens", "states 4, the answer is 4"],
        ["✗ wrong sample 1, 2 of 3 steps hold", "states 5, the answer is 4"],
        ["✗ wrong sample 2", "states no final answer, the answer is 4"],
        ["? unscored sample 3", "not judged: the verifier ran out of time"],
    ]
    go(page, "problem=1")
    assert why(page) == [
        ["✗ wrong sample 0, cut at the token limit", "states no final answer", f"reason: {ENDLESS}"],
        ["✗ wrong sample 1", "states 41", "reason: 41, not 4"],
    ]  # fmt: skip
    go(page, "problem=2")
    assert why(page)[0][2] == "the file's label says wrong"
    assert page.count(".answers > div:first-child .why math") == 2  # what is stated, and the key


def test_the_key_is_written_as_a_person_would(page: Opened) -> None:
    go(page, "problem=1")
    assert page.page.locator(".answer-key").aria_snapshot().count("rowheader") == 2
    assert page.all(".answer-key td", "all.map((e) => e.textContent)") == ["a\nb", "4"]
    go(page, "problem=2")
    assert page.count(".key math mfrac") == 1
    go(page, "problem=2&raw=1")
    assert page.count("dialog math") == 0
    assert "\\frac{1}{2}" in page.all("dialog pre", "all.map((e) => e.textContent)")


def test_reasoning_is_folded_apart(page: Opened) -> None:
    go(page, "problem=0")
    details = page.page.locator("article details").first
    assert details.locator("summary").text_content() == "Reasoning, 17 characters"
    assert not details.locator(".text").is_visible()
    details.locator("summary").focus()
    page.page.keyboard.press("Enter")
    assert details.locator("em").text_content() == "thought"
    assert page.all("article > .text", "all.map((e) => e.textContent)")[:2] == ["It is 4.", "It is 5."]
    assert page.page.locator("article").nth(2).locator(".note").text_content() == "(empty)"
    go(page, "problem=1")
    endless = page.page.locator("article details").first
    assert endless.get_attribute("open") is not None
    assert "which does not end" in str(endless.locator("summary").text_content())
    go(page, "problem=0&raw=1")
    thought, said = page.all("article:first-of-type .text", "all.slice(0, 2).map((e) => e.textContent)")
    assert thought + said == ANSWERS["0"][0]["text"]


def test_a_long_text_is_cut_until_it_is_asked_for(page: Opened) -> None:
    go(page, "problem=1")
    article = page.page.locator("article", has_text="sample 1").first
    text, whole = article.locator(".text"), article.locator(".whole")
    assert whole.get_attribute("aria-expanded") == "false"
    assert page.page.locator(f"#{whole.get_attribute('aria-controls')}").count() == 1
    height, drawn = text.bounding_box()["height"], len(str(text.text_content()))
    assert 300 < height < 500
    assert 1_000 < drawn < 6_000  # only what is shown is drawn
    assert page.count(".whole:visible") == 1  # short ones have no button
    whole.focus()
    page.page.keyboard.press("Enter")
    page.until("document.querySelectorAll('article math').length === 2500")
    assert str(text.text_content()).endswith("THE END")
    assert text.bounding_box()["height"] > 50_000
    assert whole.get_attribute("aria-expanded") == "true"
    page.page.keyboard.press("Space")
    assert abs(text.bounding_box()["height"] - height) < 2
    assert page.focused() == "Show whole"


def test_programs_are_shown_as_they_are(page: Opened) -> None:
    go(page, "problem=2")
    assert page.all("article .text.raw", "all.map((e) => e.textContent)") == [ANSWERS["2"][0]["text"]]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("verdict=unscored", "0"),
        ("verdict=wrong", "01"),
        ("verdict=wrong&who=b", ""),
        ("end=length", "1"),
        ("end=length&verdict=right", ""),
        ("reason=the verifier ran out of time", "0"),
        ("reason=another answer than the right one", "01"),
        ("label=differs", "2"),
        ("group=level:2", "12"),
        ("group=level:2&end=length&show=gained", "1"),
        ("a=it IS", "0"),
        ('a="is it"', ""),
        ("a=thought", "0"),
        ("a=THE END", "1"),
        ("a=surely&q=half", "2"),
        ("a=surely&who=a", ""),
        ("a=surely&verdict=right&sort=order", "012"),
        ("of=a&from=0&to=50", "0"),
        ("of=a&to=0", "1"),
        ("of=a&from=100", "2"),
    ],
)
def test_problems_are_found_by_their_answers(page: Opened, query: str, ids: str) -> None:
    go(page, query)
    assert sorted(page.problems()) == list(ids)
    assert page.page.locator(".nothing").is_visible() == (not ids)
    words = str(page.page.locator("#problems-count").text_content())
    assert words.startswith(f"{len(ids)} of 3 problems." if len(ids) < 3 else "3 problems.")
    fields = page.all(".filters [name]", "all.map((f) => [f.name, f.value]).filter(([, value]) => value)")
    assert dict(fields) == page.query()


def test_where_none_match_the_filters_are_cleared(page: Opened) -> None:
    go(page, "a=nowhere&end=length&show=gained&group=level:2&raw=1")
    button = page.page.locator("[name=clear]")
    assert "1 answer looked at" in str(page.page.locator("#problems-count").text_content())
    button.focus()
    page.page.keyboard.press("Enter")
    page.until("document.querySelectorAll('.problems .rows a').length === 3")
    assert page.query() == {"raw": "1"}
    assert page.page.evaluate("document.activeElement.name") == "q"
    assert not button.is_visible()


def test_the_form_offers_what_some_answer_has(page: Opened) -> None:
    options = "all.map((field) => [field.name, [...field.options].map((o) => o.value).filter(Boolean)])"
    offered = dict(page.all(".more-filters select", options))
    assert offered["verdict"] == ["right", "wrong", "unscored"]
    assert sorted(offered["end"]) == ["length", "stop"]
    assert offered["reason"][0] == "another answer than the right one"
    assert offered["group"] == ["level:1", "level:2"]
    page.page.evaluate("document.querySelector('.more-filters').open = true")
    page.page.select_option("[name=end]", "length")
    assert page.problems() == ["1"]
    page.page.fill("[name=a]", "on and on")
    page.until("location.hash.includes('a=on')")
    page.until("!document.querySelector('#problems-count').textContent.includes('…')")
    assert page.query() == {"end": "length", "a": "on and on"}
    assert page.problems() == ["1"]


def test_the_answers_that_were_looked_for_are_shown_and_marked(page: Opened) -> None:
    go(page, "a=is&verdict=wrong&problem=0")
    assert [lines[0] for lines in why(page)][:1] == ["✗ wrong sample 1, 2 of 3 steps hold"]
    folded = page.page.locator(".answers > div").first.locator(".others")
    assert folded.locator("summary").first.text_content() == "3 answers that do not match the filter"
    assert not folded.locator("article").first.is_visible()
    assert page.page.evaluate("[...CSS.highlights.get('found')].map(String)")[:1] == ["is"]
    go(page, 'a="the end"&problem=1')
    assert page.page.evaluate("[...CSS.highlights.get('found')].map(String)") == ["THE END"]
    assert page.page.locator("article", has_text="THE END").locator(".whole").get_attribute("aria-expanded") == "true"
    go(page, "problem=1")
    assert page.page.evaluate("CSS.highlights.has('found')") is False


def test_where_ids_are_numbers_the_question_comes_first(page: Opened) -> None:
    rows = page.all(".problems .rows a", "all.map((e) => e.textContent)")
    assert "What is a half? 2" in {row[-len("What is a half? 2") :] for row in rows}
    assert all(page.all(".problems .rows a code", "all.map((e) => e === e.parentElement.lastChild)"))


@pytest.mark.parametrize(("size", "columns"), [(PHONE, 1), ((768, 1024), 2), (DESK, 2), ((1920, 1080), 2)])
def test_two_models_use_the_width(chromium: Any, answered: Path, size: tuple[int, int], columns: int) -> None:
    with Opened(chromium, answered, "dark", size, "#problems?problem=1") as opened:
        opened.page.locator("dialog[data-shown]").wait_for()
        boxes = opened.all(
            ".answers > div", "all.map((e) => { const b = e.getBoundingClientRect(); return [b.left, b.right]; })"
        )
        left, right = opened.page.evaluate(
            "(({ left, right }) => [left, right])(document.querySelector('.inside').getBoundingClientRect())"
        )
        assert len({round(a) for a, _ in boxes}) == columns
        assert abs(min(a for a, _ in boxes) - left) < 2
        assert abs(max(b for _, b in boxes) - right) < 2
        assert opened.page.evaluate(
            "document.querySelector('dialog').scrollWidth <= document.querySelector('dialog').clientWidth"
        )
        quiet(opened)
