import json
import math
from pathlib import Path

import pyarrow as pa
import pytest

from reachlab.errors import ReachlabError
from reachlab.measures.measure import Missing, Result
from reachlab.measures.measured_run import Intervals, MeasuredRun
from reachlab.measures.surprise import SURPRISE, judges_of, perplexity_rows, read_perplexities
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Problem, Sample, Verdict

PROBLEMS = [Problem(id=name, prompt="p", answer=None) for name in "abc"]
RIGHT = {("a", 0), ("b", 1), ("a", 3)}

Scores = dict[tuple[str, int], tuple[float | None, int | None]]


def run_of(folder: Path, keys: list[tuple[str, int]], model: str | None = None, path: str = "") -> SampleStore:
    store = SampleStore(RunFolder(folder))
    if model is not None:
        store.folder.claim("sample", {"model": model}, {"model_path": path} if path else {})
    store.write_problems(PROBLEMS)
    for start in range(0, len(keys), 2):
        store.write_part(
            [
                Sample(
                    problem_id=p, index=i, text="t", tokens=0, finish="stop", logprob=None, seed=0, engine="import",
                    verdict=Verdict.correct() if (p, i) in RIGHT else Verdict.wrong(),
                )
                for p, i in keys[start : start + 2]
            ]
        )  # fmt: skip
    return store


def put(store: SampleStore, judge: str, scores: Scores, model: str = "m", parts: slice = slice(None)) -> None:
    """Scores by a judge, as `reachlab score` writes them."""
    for part in store.parts()[parts]:
        found = [scores.get((s.problem_id, s.index), (None, None)) for s in store.part(part)]
        columns = {
            f"logprob:{judge}": pa.array([x for x, _ in found], pa.float32()),
            f"tokens:{judge}": pa.array([n for _, n in found], pa.int32()),
        }
        store.add_columns(part, columns, {"model": model, "dtype": "float32"})


KEYS = [("a", 0), ("b", 0), ("b", 1), ("a", 3), ("c", 0)]
SCORES: Scores = {
    ("a", 0): (-2.0, 4), ("b", 0): (-3.0, 2), ("b", 1): (-1.0, 1), ("a", 3): (-9.0, 5), ("c", 0): (None, 7),
}  # fmt: skip


def test_the_matrix_is_what_the_columns_say(tmp_path: Path) -> None:
    base, rl, lone = (run_of(tmp_path / name, KEYS, name) for name in ("base", "rl", "lone"))
    put(base, "judge", SCORES)
    put(base, "itself", {("a", 0): (-1.0, 4)}, model="base")
    put(rl, "judge", {key: (None if x is None else 2 * x, n) for key, (x, n) in SCORES.items()})
    matrix = read_perplexities([base, rl, lone], resamples=100)
    assert (matrix.judges, matrix.writers) == (("itself", "judge"), ("base", "rl", "lone"))
    assert set(matrix.cells) == {("judge", "base"), ("itself", "base"), ("judge", "rl")}
    cell = matrix.cells["judge", "base"]
    assert (cell.own, cell.samples, cell.impossible) == (False, 5, 1)
    assert cell.all is not None
    assert (cell.all.samples, cell.all.problems, cell.all.tokens) == (4, 2, 12)
    assert cell.all.corpus == pytest.approx(math.exp(15 / 12))
    assert cell.all.mean == pytest.approx(math.exp((2 / 4 + 3 / 2 + 1 + 9 / 5) / 4))
    assert cell.correct is not None
    assert (cell.correct.samples, cell.correct.tokens) == (3, 10)
    assert cell.correct.corpus == pytest.approx(math.exp(12 / 10))
    double = matrix.cells["judge", "rl"].all
    assert double is not None
    assert double.corpus == pytest.approx(cell.all.corpus**2)
    own = matrix.cells["itself", "base"]
    assert own.own
    assert own.all is not None
    assert math.isnan(own.all.low)
    json.dumps(matrix.to_dict(), allow_nan=False)
    rows = perplexity_rows(matrix)
    assert [row["answers of"] for row in rows] == ["base", "rl", "lone"]
    assert rows[0]["under itself"] == "1.284 [1.284]"
    assert rows[0]["under judge"].startswith("3.490 (")
    assert rows[1]["under itself"] == rows[2]["under judge"] == "–"


def test_a_right_answer_that_is_not_there(tmp_path: Path) -> None:
    store = run_of(tmp_path, [("b", 0), ("c", 0)])
    put(store, "judge", SCORES)
    matrix = read_perplexities([store], resamples=10)
    assert matrix.cells["judge", store.folder.name].correct is None
    assert perplexity_rows(matrix, correct=True)[0]["under judge"] == "–"


def test_judges_that_cut_text_in_other_ways_are_noticed(tmp_path: Path) -> None:
    store = run_of(tmp_path, KEYS)
    put(store, "one", SCORES)
    put(store, "two", SCORES, model="n")
    assert read_perplexities([store], resamples=10).same_tokens
    put(store, "two", {**SCORES, ("b", 1): (-1.0, 2)}, model="n")
    assert not read_perplexities([store], resamples=10).same_tokens


def test_parts_without_a_judge_are_not_scored(tmp_path: Path) -> None:
    store = run_of(tmp_path, KEYS)
    put(store, "judge", SCORES, parts=slice(1, 2))
    found = read_perplexities([store], resamples=10).cells["judge", store.folder.name]
    assert found.all is not None
    assert (found.all.samples, found.impossible, found.samples) == (2, 0, 5)


def test_one_name_means_one_model(tmp_path: Path) -> None:
    first, second = run_of(tmp_path / "x" / "run", KEYS), run_of(tmp_path / "y" / "run", KEYS)
    put(first, "judge", SCORES)
    put(second, "judge", SCORES, model="other")
    with pytest.raises(ReachlabError, match=r"judge 'judge' is one model in .*x/run and another in .*y/run"):
        read_perplexities([first, second])
    put(second, "judge", SCORES)
    # Folders of one name are told apart by where they lie.
    assert read_perplexities([first, second], resamples=10).writers == (first.folder.url, second.folder.url)
    assert judges_of(first) == {"judge": {"model": "m", "dtype": "float32"}}
    put(first, "judge", SCORES, model="other", parts=slice(0, 1))
    with pytest.raises(ReachlabError, match="judge 'judge' is another model here than in other parts of the run"):
        judges_of(first)


def test_nothing_scored(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="not scored by any model; `reachlab score RUN --model JUDGE` does it"):
        read_perplexities([run_of(tmp_path, KEYS)])


def test_all_runs_make_a_figure_a_judge_and_two_tables(tmp_path: Path) -> None:
    base, rl = (run_of(tmp_path / name, KEYS, name) for name in ("base", "rl"))
    put(base, "judge", SCORES)
    runs = [MeasuredRun(store, Intervals(100)) for store in (base, rl)]
    result = SURPRISE.compute(runs)
    assert isinstance(result, Result)
    (box,) = result.boxes
    assert [(box.title, at) for at, _ in box.runs] == [("judge", 0)]
    assert [table.caption for table in result.tables] == ["Perplexity of all answers", "Perplexity of right answers"]
    assert [name for name, _ in result.tables[0].rows] == ["base", "rl"]
    assert result.tables[0].rows[1][1] == ("–",)
    assert result.document["judges"] == ["judge"]
    assert isinstance(SURPRISE.compute(runs[1:]), Missing)


def test_what_is_not_scored_says_by_which_command_it_is(tmp_path: Path) -> None:
    base = run_of(tmp_path / "base", KEYS, "b", "base/model")
    rl = run_of(tmp_path / "rl", KEYS, "r", "rl/model")
    two = run_of(tmp_path / "a run", KEYS, "t")
    runs = [MeasuredRun(store, Intervals(100), name=name) for store, name in ((base, "B"), (rl, "R"), (two, "T"))]
    nothing = SURPRISE.compute(runs)
    assert isinstance(nothing, Missing)
    url = str(tmp_path)
    command = f"reachlab score {url}/base {url}/rl '{url}/a run' --model base/model"
    assert nothing.why == f"no answers are scored; `{command}` scores them under B"
    put(base, "RL", SCORES, model="r")
    put(rl, "RL", SCORES, model="r")
    put(base, "else", SCORES, model="x")
    found = SURPRISE.compute(runs)
    assert isinstance(found, Result)
    assert found.notes["perplexity"] == (
        f"not scored yet: T under RL: `reachlab score '{url}/a run' --model rl/model --name RL`; "
        f"R, T under else: `reachlab score {url}/rl '{url}/a run' --model MODEL-OF-else --name else`"
    )
    assert [name for name, _ in found.tables[0].rows] == ["B", "R", "T"]
    assert found.tables[0].first == "answers of"
