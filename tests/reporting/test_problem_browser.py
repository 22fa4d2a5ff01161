import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reachlab.boundary.histogram import bins
from reachlab.boundary.stopping import Stopping
from reachlab.imports.result import MOST_LISTED
from reachlab.pictures.drawn_scenes import scene
from reachlab.reporting import problem_browser
from reachlab.reporting.blocks import unpacked
from reachlab.reporting.entries import Entry, read_entries
from reachlab.reporting.excerpts import STATUSES, SampleExcerpt
from reachlab.reporting.problem_browser import Shelf, interest, shelve
from reachlab.reporting.problem_pictures import frame
from reachlab.reporting.sentences import stored
from reachlab.reporting.texts import Excerpt
from reachlab.types import Chat, Problem


def opened(shelf: Shelf) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The list, and every problem of every chunk."""
    index = json.loads(unpacked(shelf.index))
    found = [json.loads(unpacked(chunk)) for chunk in shelf.chunks]
    assert index["starts"] == np.cumsum([0, *map(len, found)])[:-1].tolist()
    return index, [problem for chunk in found for problem in chunk]


def held(shelf: Shelf) -> int:
    return sum(len(chunk) * 3 // 4 for chunk in shelf.chunks)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, make: SimpleNamespace) -> list[Entry]:
    """Two models, 80 problems × 12 samples of 3,000 characters that hardly shrink."""
    root, letters = tmp_path_factory.mktemp("many"), np.array(list("abcdefghijklmnopqrstuvwxyz0123456789"))
    rng = np.random.default_rng(0)
    rates = np.linspace(0, 0.9, 80)
    runs = [
        make.samples(root / n, make.draw(rates**e, 12, i), text=lambda *_: "".join(rng.choice(letters, 3000)))
        for i, (n, e) in enumerate([("a", 1), ("b", 2)])
    ]
    return read_entries(*make.measure(runs))


def test_the_list_holds_every_problem_and_count(demo: Any) -> None:
    comparison, runs = demo
    entries = read_entries(comparison, runs)
    index, found = opened(shelve(entries))
    assert index["models"] == ["base", "grpo", "pods", "distilled"]
    assert index["ids"] == list(comparison.problem_ids)
    assert len(found) == len(index["asked"]) == 60
    for at, e in enumerate(entries):
        assert index["c"][at] == e.outcomes.c_P.tolist()
        assert index["n"][at] == e.outcomes.n_P.tolist()
        np.testing.assert_allclose(index["accuracy"][at], e.accuracy, atol=1e-5)
    assert index["unscored"][2][0] == 3
    assert index["surely"][0] == {"gained": [], "lost": []}


def test_the_list_says_what_is_sure(tmp_path: Path, make: SimpleNamespace) -> None:
    rates = [np.array([0, 0, 1, 1, 0.5]), np.array([1, 0, 0, 1, 0.5])]
    runs = [make.samples(tmp_path / str(i), make.draw(rate_P, 32, i)) for i, rate_P in enumerate(rates)]
    index, _ = opened(shelve(read_entries(*make.measure(runs))))
    assert index["surely"][1] == {"gained": [0], "lost": [2]}


def test_each_model_shows_right_and_other_samples(tmp_path: Path, make: SimpleNamespace) -> None:
    right_PN = np.array([[0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
    runs = [make.samples(tmp_path / name, right_PN, unscored=1) for name in ("a", "b")]
    shelf = shelve(read_entries(*make.measure(runs)))
    _, found = opened(shelf)
    assert found[0]["models"][0] == [
        [2, "correct", {"tokens": 12}, "38-2=36"],
        [3, "correct", {"tokens": 12}, "39-3=36"],
        [0, "unscored", {"reason": "the verifier ran out of time", "tokens": 12}, "36-0=35"],
        [1, "wrong", {"tokens": 12}, "37-1=35"],
    ]
    assert (shelf.stored, shelf.drawn, shelf.cut, shelf.bare) == (24, 24, 0, 0)
    assert found[1]["prompt"] == [["", "[12 11 9 3 =1]"]]
    assert found[1]["answer"] == [["target", "1"]]


def test_verdicts_to_look_at_are_listed_shown_and_marked(demo: Any) -> None:
    entries = read_entries(*demo)
    doubtful = [{}, {"p3": 60, "p7": 2, "elsewhere": 0}, {}, {"p0": 63}]
    index, found = opened(shelve(entries, doubtful))
    assert index["doubts"] == [[], [3, 7], [], [0]]
    assert opened(shelve(entries))[0]["doubts"] == [[]] * 4
    marked = [
        (p, m, number)
        for p, problem in enumerate(found)
        for m, samples in enumerate(problem["models"])
        for number, _, known, _ in samples
        if "doubt" in known
    ]
    assert marked == [(0, 3, 63), (3, 1, 60), (7, 1, 2)]


def test_no_more_than_a_few_samples_a_problem(demo: Any) -> None:
    shelf = shelve(read_entries(*demo))
    assert shelf.most == problem_browser.MOST
    assert shelf.stored == 60 * 4 * problem_browser.MOST
    assert shelf.drawn == 60 * 4 * 64


@pytest.mark.parametrize("budget", [40_000, 200_000, 700_000])
def test_a_budget_is_kept_and_used(many: list[Entry], budget: int) -> None:
    shelf = shelve(many, budget=budget)
    assert 0.8 * budget < held(shelf) <= budget
    _, found = opened(shelf)
    assert shelf.stored == sum(len(samples) for p in found for samples in p["models"])
    assert shelf.stored < shelf.drawn


def test_a_small_budget_shortens_texts_before_it_drops_samples(many: list[Entry]) -> None:
    roomy, tight = shelve(many), shelve(many, budget=300_000)
    assert (roomy.longest, roomy.cut) == (problem_browser.LENGTHS[0], 0)
    assert tight.longest == 1_000
    assert tight.cut == tight.stored
    assert tight.bare == 0
    assert all(len(samples) >= 2 for p in opened(tight)[1] for samples in p["models"])


def test_where_room_ends_the_problems_that_changed_most_have_samples(many: list[Entry]) -> None:
    shelf = shelve(many, budget=30_000)
    has = [any(p["models"]) for p in opened(shelf)[1]]
    order = interest(many)
    kept = sum(has)
    assert 0 < kept < 80
    assert shelf.bare == 80 - kept
    assert {p for p, found in enumerate(has) if found} == set(order[:kept])


def test_no_budget_no_sample(many: list[Entry]) -> None:
    shelf = shelve(many, budget=100)
    assert (shelf.stored, shelf.bare) == (0, 80)
    assert len(opened(shelf)[1]) == 80


def test_with_very_many_problems_only_some_are_read(many: list[Entry]) -> None:
    shelf = shelve(many, read=40)
    _, found = opened(shelf)
    assert shelf.stored == 40
    assert {p for p, one in enumerate(found) if any(one["models"])} == set(interest(many)[:10])


def test_gained_and_lost_come_first(tmp_path: Path, make: SimpleNamespace) -> None:
    base = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
    other = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0]], bool)
    runs = [make.samples(tmp_path / n, right) for n, right in (("a", base), ("b", other))]
    assert interest(read_entries(*make.measure(runs))) == [3, 1, 0, 2]


def test_chunks_are_of_bounded_size(many: list[Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problem_browser, "CHUNK", 100_000)
    shelf = shelve(many)
    opened(shelf)
    assert max(len(unpacked(chunk)) for chunk in shelf.chunks) < 200_000
    assert len(shelf.chunks) > 10


def test_what_is_known_of_a_sample_is_told_and_nothing_else() -> None:
    bare = SampleExcerpt(
        sample=0, status="wrong", text=Excerpt.of("so 4", 10), tokens=0, finish="stop", reason="", steps=None,
        final=None,
    )  # fmt: skip
    assert problem_browser._sample(bare, 10) == [0, "wrong", {}, "so 4"]
    told = replace(
        bare, reason="4, not 5", final="4", steps=(0, 0), finish="length", tokens=9, label=False, doubtful=True
    )
    assert problem_browser._sample(told, 10)[2] == {
        "stated": "4", "reason": "4, not 5", "tokens": 9, "finish": "length", "steps": (0, 0), "doubt": 1, "label": 0,
    }  # fmt: skip


def test_that_an_import_keeps_only_the_first_labels_is_known(tmp_path: Path, make: SimpleNamespace) -> None:
    run = make.samples(tmp_path / "a", np.ones((1, 1)))
    lines = [{"problem_id": "p0", "sample": i, "theirs": False} for i in range(MOST_LISTED)]
    run.write("disagreements.jsonl", "\n".join(map(json.dumps, lines)).encode())
    index, found = opened(shelve(read_entries(*make.measure([run]))))
    assert index["labels"] == MOST_LISTED
    assert index["kinds"][index["held"][0][0][0]] == [0, "stop", -1, 1]
    assert found[0]["models"][0][0][2]["label"] == 0


def test_reasoning_is_found_in_a_text_that_is_cut() -> None:
    text = f"<think>{'a' * 20}</think>{'b' * 20}"
    one = SampleExcerpt(
        sample=0, status="wrong", text=Excerpt.of(text, 30), tokens=0, finish="stop", reason="", steps=None, final=None,
        reasoning=(7, 27, 35),
    )  # fmt: skip
    _, _, known, shown = problem_browser._sample(one, 30)
    start, end, answer = known["reasoning"]
    assert shown[start:].startswith("a" * 13 + "\n… (25 characters left out) …\n")
    assert (shown[:end], shown[answer:]) == (shown[: len(shown) - 10], "b" * 10)
    assert problem_browser._sample(replace(one, text=Excerpt.of(text, 100)), 100)[2]["reasoning"] == [7, 27, 35]


def test_places_are_counted_as_a_browser_does() -> None:
    """JavaScript counts an emoji twice."""
    text = "<think>Let me see 🎉🔍 x is 7.</think>The answer is 7."
    at = (7, text.index("</think>"), text.index("The answer"))
    one = SampleExcerpt(
        sample=0, status="correct", text=Excerpt.of(text, 6000), tokens=0, finish="stop", reason="", steps=None,
        final=None, reasoning=at,
    )  # fmt: skip
    units = text.encode("utf-16-le")
    start, end, answer = problem_browser._sample(one, 6000)[2]["reasoning"]
    assert units[2 * start : 2 * end].decode("utf-16-le") == "Let me see 🎉🔍 x is 7."
    assert units[2 * answer :].decode("utf-16-le") == "The answer is 7."


def test_bars_of_runs_that_stopped_when_they_were_right(demo: Any) -> None:
    """A bar's problems are those that the histogram counted there, which is not c / n."""
    comparison, runs = demo
    entries = read_entries(comparison, runs)
    index, _ = opened(shelve(entries))
    assert [np.bincount(bars, minlength=12).tolist() for bars in index["bars"]] == [
        list(e.model.histogram.counts) for e in entries
    ]
    outcomes = entries[0].outcomes
    before_P = np.where(outcomes.c_P > 0, outcomes.n_P // 2, -1)
    stopped = replace(outcomes, stopping=Stopping(enough=1, before_P=before_P))
    adaptive = [replace(entries[0], outcomes=stopped), *entries[1:]]
    index, _ = opened(shelve(adaptive))
    bars_P = bins(*stopped.fractions())
    assert index["bars"][0] == bars_P.tolist()
    assert bars_P.tolist() != bins(stopped.n_P, stopped.c_P).tolist()


def test_answers_have_the_number_of_their_kind(tmp_path: Path, make: SimpleNamespace) -> None:
    run = make.samples(tmp_path / "a", np.array([[0, 1, 0], [1, 1, 1]]), unscored=1)
    index, found = opened(shelve(read_entries(*make.measure([run]))))
    assert index["reasons"] == ["the verifier ran out of time"]
    assert index["labels"] == 0
    for p, problem in enumerate(found):
        for kind, (_, status, known, _) in zip(index["held"][0][p], problem["models"][0], strict=True):
            verdict, end, reason, label = index["kinds"][kind]
            assert (STATUSES[verdict], end, label) == (status, "stop", 0)
            assert known.get("reason", "") == ("" if reason < 0 else index["reasons"][reason])


def test_the_page_says_what_it_holds() -> None:
    whole = Shelf(index="", chunks=(), pictures={}, stored=1_200, drawn=1_200, most=8, longest=6_000, cut=0, bare=0)
    assert stored(whole) == "All 1,200 samples of these problems are in this page."
    assert "6,000 characters are cut in the middle. The run" in stored(replace(whole, cut=3))
    some = replace(whole, drawn=5_000, bare=2, cut=1)
    assert stored(some).startswith(
        "This page holds 1,200 of 5,000 samples: of each problem and model up to 8, the first"
    )
    assert "2 problems that changed least have none" in stored(some)
    assert "model the first one" in stored(replace(some, most=1))


def test_prompts_of_chats_and_images(tmp_path: Path, make: SimpleNamespace) -> None:
    chat = Chat(({"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}))
    for name in ("a", "b", "c"):
        Image.new("RGB", (900, 8), "red").save(tmp_path / f"{name}.png")
    files = [str(tmp_path / f"{name}.png") for name in ("a", "b", "c")]
    asked = [Problem(id="p0", prompt=chat, answer=4, images=(*files, scene("chart", {"r": 3}, 0, 64)))]
    run = make.samples(tmp_path / "a", np.zeros((1, 1)), problems=asked, text=lambda *_: "")
    (entry,) = read_entries(*make.measure([run]))
    Path(files[1]).unlink()
    Image.new("RGB", (900, 8), "blue").save(files[2])
    shelf = shelve([entry])
    index, ((found,)) = opened(shelf)
    shown = json.loads(unpacked(shelf.pictures[0]))
    picture = Image.open(io.BytesIO(base64.b64decode(shown[0].removeprefix("data:image/png;base64,"))))
    assert picture.size == (640, 6)
    assert "no such picture" in shown[1]
    assert "has changed since the run" in shown[2]
    assert shown[3].startswith("data:image/png;base64,")
    (left,) = json.loads(unpacked(frame(entry.store, ["p0"], [0], budget=0)[0]))[3:]
    assert left.startswith("A picture is left out")
    assert index["asked"] == ["2 + 2?"]
    assert found["prompt"] == [["system", "Be brief."], ["user", "2 + 2?"]]
    assert found["answer"] == "4"
    assert found["models"] == [[[0, "wrong", {"tokens": 12}, ""]]]


def test_untested_problems_are_not_called_sure(demo: Any) -> None:
    entries = read_entries(*demo)
    pair = entries[3].pair
    assert pair
    sets = replace(pair.coverage, surely_gained=None, surely_lost=None)
    entries[3] = replace(entries[3], pair=replace(pair, coverage=sets))
    assert opened(shelve(entries))[0]["surely"][3] == {"gained": [], "lost": []}
