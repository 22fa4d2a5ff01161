"""The plan against a problem-by-problem reference, every sequence of few samples, and runs that are killed."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import Command
from tests.tiny import TASK, kill_again_and_again, rows_of, touches

from reachlab.boundary.outcomes import Outcomes
from reachlab.engines.config import Decoding
from reachlab.errors import ReachlabError
from reachlab.runs import RunFolder
from reachlab.sampling import drawing
from reachlab.sampling.config import SampleConfig
from reachlab.sampling.run import sample
from reachlab.store.adaptive import AdaptivePlan, Ledger, Look, choose_looks, ending
from reachlab.store.config import Adaptive
from reachlab.store.samples import SampleStore
from reachlab.types import Judged, Problem, Verdict

RIGHT, WRONG, UNSCORED = 1, 0, -1
LOOKS = (4, 6, 8, 12, 14, 16, 20, 24, 28, 32, 40, 48)
"""Of the runs below."""


def loaded(plan: AdaptivePlan, said_PN: Sequence[Sequence[int]]) -> Ledger:
    """The ledger of runs that hold each problem's samples from 0 on; what is said of each is RIGHT, WRONG, UNSCORED."""
    ledger = Ledger(plan, len(said_PN))
    rows = [(p, s, said) for p, row in enumerate(said_PN) for s, said in enumerate(row)]
    flat = np.array(rows, np.int64).reshape(-1, 3)
    ledger.load(flat[:, 0], flat[:, 1], flat[:, 2] != UNSCORED, flat[:, 2] == RIGHT)
    return ledger


def outcomes(plan: AdaptivePlan, said_PN: Sequence[Sequence[int]]) -> Outcomes:
    names = tuple(map(str, range(len(said_PN))))
    return Outcomes("run", names, *loaded(plan, said_PN).outcomes("run"))


def make(looks: Sequence[int], enough: int = 1, width: float | None = None) -> AdaptivePlan:
    return AdaptivePlan(looks=tuple(looks), enough=enough, target_width=width)


@pytest.mark.parametrize(
    ("samples", "first", "looks"),
    [
        (256, 0, (8, 12, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256)),
        (1024, 0, (32, 48, 64, 96, 128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024)),
        (100, 20, (20, 30, 35, 40, 50, 60, 70, 80, 100)),
        (5, 1, (1, 2, 3, 4, 5)),
        (8, 0, (8,)),
        (3, 0, (3,)),
        (1, 0, (1,)),
    ],
)
def test_looks(samples: int, first: int, looks: tuple[int, ...]) -> None:
    assert choose_looks(samples, first) == looks


@given(st.integers(1, 100_000), st.integers(0, 400))
def test_looks_ascend_to_the_last_sample(samples: int, first: int) -> None:
    looks = choose_looks(samples, first)
    assert looks[-1] == samples
    assert all(a < b <= 2 * a for a, b in pairwise(looks))
    assert looks[0] == min(first or looks[0], samples)


@st.composite
def runs(draw: st.DrawFn) -> tuple[AdaptivePlan, list[list[int]]]:
    looks = sorted(draw(st.sets(st.integers(1, 12), min_size=1, max_size=4)))
    said = st.lists(st.sampled_from([RIGHT, WRONG, WRONG, UNSCORED]), min_size=looks[-1], max_size=looks[-1])
    return make(looks, draw(st.integers(1, 3))), draw(st.lists(said, min_size=1, max_size=6))


def stop_of(plan: AdaptivePlan, row: Sequence[int]) -> int | None:
    return next((look for look in plan.looks if row[:look].count(RIGHT) >= plan.enough), None)


@given(runs())
def test_counts_what_the_plan_draws_of_each_problem(drawn: tuple[AdaptivePlan, list[list[int]]]) -> None:
    plan, said_PN = drawn
    found = outcomes(plan, said_PN)
    assert found.stopping is not None
    for p, row in enumerate(said_PN):
        stop = stop_of(plan, row)
        seen = row[: stop or plan.looks[-1]]
        assert found.n_P[p] == len(seen) - seen.count(UNSCORED)
        assert found.c_P[p] == seen.count(RIGHT)
        assert found.unscored_P[p] == seen.count(UNSCORED)
        if stop is None:
            assert found.stopping.before_P[p] == -1
        else:
            before = row[: (0, *plan.looks)[plan.looks.index(stop)]]
            assert found.stopping.before_P[p] == len(before) - before.count(UNSCORED)


@given(runs(), st.integers(1, 7))
def test_draws_what_it_lacks_and_nothing_else(drawn: tuple[AdaptivePlan, list[list[int]]], size: int) -> None:
    plan, said_PN = drawn
    ledger = loaded(plan, [[] for _ in said_PN])
    keys: list[tuple[int, int]] = []
    looks: list[Look] = []
    while not ending(plan, looks):
        standing = ledger.standing()
        total, left = ledger.stretch(standing)
        parts = list(ledger.parts(standing, size))
        assert total == left == sum(map(len, parts))
        assert all(len(part) == size for part in parts[:-1])
        for part in parts:
            p, s = np.array(part).T
            said = np.array([said_PN[i][j] for i, j in part])
            ledger.add(p, s, said != UNSCORED, said == RIGHT)
            keys += part
        standing = ledger.standing()
        looks.append(ledger.look(standing, standing.done - 1))
    wanted = {(p, s) for p, row in enumerate(said_PN) for s in range(stop_of(plan, row) or plan.looks[-1])}
    assert len(keys) == len(wanted)
    assert set(keys) == wanted
    assert looks[-1].drawn == len(wanted)
    assert looks[-1].solved.solved == sum(row[: plan.looks[-1]].count(RIGHT) > 0 for row in said_PN)


@pytest.mark.parametrize("enough", [1, 2])
def test_unscored_samples_bias_nothing(enough: int) -> None:
    """Every sequence of five samples; given which are scored, pass@k is right up to the number of them."""
    plan = make((2, 3, 5), enough)
    for scored in product([True, False], repeat=5):
        said = [
            [next(answers) if is_scored else UNSCORED for is_scored in scored]
            for answers in map(iter, product([RIGHT, WRONG], repeat=sum(scored)))
        ]
        if not any(scored):
            continue
        found = outcomes(plan, said)
        assert found.largest_k == sum(scored)
        ks = range(1, sum(scored) + 1)
        for p in (0.0, 0.2, 0.7, 1.0):
            chance_P = np.array([p ** row.count(RIGHT) * (1 - p) ** row.count(WRONG) for row in said])
            assert chance_P @ found.pass_at_k(list(ks)) == pytest.approx([1 - (1 - p) ** k for k in ks], abs=1e-12)


@given(runs(), st.data())
def test_with_one_right_sample_enough_the_end_of_the_run_changes_no_estimate(
    drawn: tuple[AdaptivePlan, list[list[int]]], data: st.DataObject
) -> None:
    plan, said_PN = make(drawn[0].looks), drawn[1]
    at = data.draw(st.integers(0, len(plan.looks) - 1))
    look = plan.looks[at]
    early, late = outcomes(make(plan.looks[: at + 1]), [row[:look] for row in said_PN]), outcomes(plan, said_PN)
    ks = list(range(1, min(early.largest_k, late.largest_k) + 1))
    if ks:
        assert early.pass_at_k(ks) == pytest.approx(late.pass_at_k(ks), abs=1e-13)


@pytest.mark.slow
def test_stopping_the_run_on_the_width_biases_nothing() -> None:
    plan, rng = make((8, 12, 16, 24, 32, 48, 64), width=0.12), np.random.default_rng(3)
    ks, problems, errors, ends = [1, 4, 8], 60, [], []
    for _ in range(400):
        rate_P = rng.beta(0.3, 2, problems) * (rng.random(problems) < 0.7)
        ledger = Ledger(plan, problems)
        looks: list[Look] = []
        while not ending(plan, looks):
            standing = ledger.standing()
            size = int(np.diff(plan.looks, prepend=0)[standing.done])
            ledger.drawn_PJ[standing.going, standing.done] = ledger.scored_PJ[standing.going, standing.done] = size
            ledger.right_PJ[standing.going, standing.done] = rng.binomial(size, rate_P[standing.going])
            standing = ledger.standing()
            looks.append(ledger.look(standing, standing.done - 1))
        names = tuple(map(str, range(problems)))
        table_PK = Outcomes("run", names, *ledger.outcomes("run")).pass_at_k(ks)
        errors.append((table_PK - 1 + (1 - rate_P[:, None]) ** ks).mean(axis=0))
        ends.append(looks[-1].look)
    assert len(set(ends)) >= 4
    assert (np.abs(np.mean(errors, axis=0)) < 3 * np.std(errors, axis=0) / np.sqrt(len(errors))).all()


def test_the_width_is_that_of_the_solved_set_in_the_end() -> None:
    plan = make((2, 4), width=0.5)
    right_first, never = [RIGHT, WRONG], [WRONG, WRONG]
    ledger = loaded(plan, [right_first] * 3 + [never] * 3)
    look = ledger.look(ledger.standing(), 0)
    assert (look.solved.low, look.solved.high, look.undecided, look.drawn) == (3, 6, 3, 12)
    assert ending(plan, [look]) == "the interval is no wider than 0.5"
    assert ending(make((2, 4), width=0.49), [look]) == ""
    assert ending(make((2, 4)), [look]) == ""


# -- outcomes of runs that are not at their end -----------------------------------------------------------------------


def test_the_first_stretch_counts_as_it_is() -> None:
    found = outcomes(make((4, 8)), [[RIGHT, WRONG], [WRONG, WRONG, UNSCORED]])
    assert (found.n_P.tolist(), found.c_P.tolist(), found.unscored_P.tolist()) == ([2, 2], [1, 0], [0, 1])
    assert found.largest_k == 2
    assert found.pass_at_k([1])[:, 0].tolist() == [0.5, 0]


def test_a_stretch_that_is_not_complete_does_not_count_yet() -> None:
    found = outcomes(make((2, 4)), [[RIGHT, WRONG], [WRONG, WRONG, RIGHT, WRONG], [WRONG, WRONG, WRONG]])
    assert (found.n_P.tolist(), found.c_P.tolist()) == ([2, 2, 2], [1, 0, 0])


def test_samples_that_lack_where_others_went_on_are_asked_for() -> None:
    with pytest.raises(ReachlabError, match="run: by the verdicts stored now, 1 of its problems need 4 samples"):
        outcomes(make((2, 4, 6)), [[WRONG] * 2, [WRONG] * 6])


def test_a_sample_beyond_the_plan_is_refused() -> None:
    with pytest.raises(ReachlabError, match="sample 2 of a problem is beyond the run's 2 samples"):
        loaded(make((1, 2)), [[WRONG] * 3])


def test_many_samples_are_quickly_counted() -> None:
    plan, problems, samples = make(choose_looks(10_000)), 500, 10_000
    rng = np.random.default_rng(0)
    p = np.repeat(np.arange(problems), samples)
    right = rng.random(p.size) < np.repeat(rng.beta(0.3, 30, problems), samples)
    ledger = Ledger(plan, problems)
    ledger.load(p, np.tile(np.arange(samples), problems), np.ones(p.size, bool), right)
    n_P, c_P, _, stopping = ledger.outcomes("run")
    stopped_P = stopping.before_P >= 0
    assert (n_P[~stopped_P] == samples).all()
    assert ((c_P > 0) == stopped_P).all()


# -- runs -------------------------------------------------------------------------------------------------------------


class Coin:
    """Judges by the text's hash: right with a chance that the problem's id decides, now and then unscored."""

    salt = ""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def close(self) -> None:
        pass

    def judge(self, pairs: Iterable[tuple[Problem, str]]) -> list[Judged]:
        return [Judged(self.verdict(problem, text)) for problem, text in pairs]

    def verdict(self, problem: Problem, text: str) -> Verdict:
        def uniform(word: str) -> float:
            return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest()) / 2**32

        u = uniform(f"{problem.id} {text} {self.salt}")
        if u > 0.93:
            return Verdict.unscored("the coin stood on its edge")
        return Verdict.correct() if u < 0.4 * uniform(problem.id) ** 3 else Verdict.wrong()


@pytest.fixture(autouse=True)
def coin(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained model is never right, so a coin says."""
    monkeypatch.setattr(drawing, "Judge", Coin)
    monkeypatch.setattr(Coin, "salt", "")


def settings(checkpoint: Path, out: Path, **adaptive: Any) -> SampleConfig:
    """Twelve problems of up to 48 samples, in small parts."""
    return SampleConfig(
        model=str(checkpoint),
        task=TASK,
        out=str(out),
        problems=12,
        samples=48,
        adaptive=Adaptive(on=True, **{"first_look": 4, **adaptive}),
        decoding=Decoding(max_tokens=6),
        rows=16,
        part=16,
    )


def stored(folder: Path) -> Outcomes:
    return SampleStore(RunFolder(folder)).outcomes()


@pytest.fixture(scope="module")
def whole(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to its end that nobody disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "Judge", Coin)
        out = tmp_path_factory.mktemp("adaptive") / "whole"
        sample(settings(checkpoint, out))
    return out


def test_a_run_draws_until_each_problem_is_solved(whole: Path) -> None:
    rows = rows_of(whole)
    by_problem = {r["problem_id"]: [x for x in rows if x["problem_id"] == r["problem_id"]] for r in rows}
    assert len(by_problem) == 12
    plan = make(LOOKS)
    word = {"correct": RIGHT, "wrong": WRONG, "unscored": UNSCORED}
    lengths = set()
    for own in by_problem.values():
        assert [r["sample"] for r in own] == list(range(len(own)))
        said = [word[r["verdict"]] for r in own]
        assert len(own) == (stop_of(plan, said) or 48)
        lengths.add(len(own))
    assert len(lengths) >= 4
    found = stored(whole)
    assert found.stopping is not None
    assert found.unscored_P.sum() > 0
    assert (found.n_P + found.unscored_P).tolist() == [len(by_problem[i]) for i in found.problem_ids]


def test_its_samples_and_solved_set_are_those_of_a_run_without(whole: Path, checkpoint: Path, tmp_path: Path) -> None:
    config = settings(checkpoint, tmp_path / "all")
    sample(SampleConfig(**{**vars(config), "adaptive": Adaptive()}))
    everything = {(r["problem_id"], r["sample"]): r["text"] for r in rows_of(tmp_path / "all")}
    assert len(everything) == 12 * 48
    for row in rows_of(whole):
        assert everything[row["problem_id"], row["sample"]] == row["text"]
    assert ((stored(tmp_path / "all").c_P > 0) == (stored(whole).c_P > 0)).all()


def test_what_it_says_and_keeps(whole: Path, checkpoint: Path, tmp_path: Path) -> None:
    said: list[str] = []
    result = sample(settings(checkpoint, tmp_path / "run"), said.append)
    found = stored(whole)
    solved, drawn = int((found.c_P > 0).sum()), int((found.n_P + found.unscored_P).sum())
    assert (result.drawn, result.stored) == (drawn, drawn)
    assert said[-1] == f"after 48 of 48: {drawn} samples drawn, {solved} of 12 problems solved, {12 - solved} undecided"
    assert said[0].startswith("after 4 of 48: 48 samples drawn, ")
    assert result.ended == (
        f"ended, as the undecided problems have all 48 samples; {drawn} samples: "
        f"{576 / drawn:.1f}x fewer than 48 of every problem"
    )
    kept = json.loads((tmp_path / "run" / "adaptive.json").read_text())
    assert [look["look"] for look in kept["looks"]] == list(LOOKS)
    assert kept["looks"][-1] == {
        "look": 48, "drawn": drawn, "undecided": 12 - solved, "solved": solved, "low": solved, "high": solved,
    }  # fmt: skip
    assert kept["ended"] == "the undecided problems have all 48 samples"
    rule = json.loads((tmp_path / "run" / "run.json").read_text())["config"]["adaptive"]
    assert rule == {"looks": list(LOOKS), "enough": 1, "target_width": None}
    assert (tmp_path / "run" / "adaptive.json").read_bytes() == (whole / "adaptive.json").read_bytes()


def test_a_finished_run_draws_nothing(whole: Path, checkpoint: Path) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in whole.rglob("*")}
    result = sample(settings(checkpoint, whole))
    assert (result.drawn, result.stored) == (0, len(rows_of(whole)))
    assert {p.name: p.stat().st_mtime_ns for p in whole.rglob("*")} == before


def test_a_run_killed_again_and_again_equals_an_undisturbed_one(whole: Path, checkpoint: Path, tmp_path: Path) -> None:
    most = touches(lambda: sample(settings(checkpoint, tmp_path / "counted")))
    config = settings(checkpoint, tmp_path / "run")
    hits = kill_again_and_again(lambda: sample(config), most, kills=8, seed=2)
    assert hits >= 3
    assert rows_of(tmp_path / "run") == rows_of(whole)
    names = sorted(p.name for p in (tmp_path / "run" / "samples").iterdir() if not p.name.startswith("."))
    assert names == sorted(p.name for p in (whole / "samples").iterdir())


def test_lost_parts_are_asked_for_and_drawn_again(whole: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "run")
    parts = SampleStore(RunFolder(out)).parts()
    first = next(p for p in parts if 0 in pq.read_table(p)["sample"].to_pylist())
    Path(first).unlink()
    with pytest.raises(ReachlabError, match="give its `reachlab sample` command again"):
        stored(out)
    sample(settings(checkpoint, out))
    assert rows_of(out) == rows_of(whole)


def test_a_width_ends_the_run_early(whole: Path, checkpoint: Path, tmp_path: Path) -> None:
    result = sample(settings(checkpoint, tmp_path / "run", target_width=0.5))
    rows = rows_of(tmp_path / "run")
    assert result.ended.startswith("ended, as the interval is no wider than 0.5; ")
    everything = rows_of(whole)
    assert len(rows) < len(everything)
    assert all(row in everything for row in rows)
    found, to_the_end = stored(tmp_path / "run"), stored(whole)
    assert found.largest_k < to_the_end.largest_k
    ks = list(range(1, found.largest_k + 1))
    assert found.pass_at_k(ks) == pytest.approx(to_the_end.pass_at_k(ks), abs=1e-12)
    assert sample(settings(checkpoint, tmp_path / "run", target_width=0.5)).drawn == 0


def test_a_run_judged_again_is_right_or_asks_for_samples(
    whole: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finished run is the one that another verifier would have given from the start."""
    out = shutil.copytree(whole, tmp_path / "run")
    store = SampleStore(RunFolder(out))
    problems = {p.id: p for p in store.problems()}
    monkeypatch.setattr(Coin, "salt", "another verifier")
    for part in store.parts():
        store.rejudge(part, Coin().judge([(problems[s.problem_id], s.text) for s in store.part(part)]))
    with pytest.raises(ReachlabError, match="verdicts were changed"):
        store.outcomes()
    sample(settings(checkpoint, out))
    sample(settings(checkpoint, tmp_path / "fresh"))
    found, fresh = stored(out), stored(tmp_path / "fresh")
    assert found.stopping is not None
    assert fresh.stopping is not None
    for name in ("n_P", "c_P", "unscored_P"):
        assert (getattr(found, name) == getattr(fresh, name)).all()
    assert (found.stopping.before_P == fresh.stopping.before_P).all()


def test_other_rules_are_refused(whole: Path, checkpoint: Path) -> None:
    with pytest.raises(ReachlabError, match=r"adaptive.enough was 1, now 2"):
        sample(settings(checkpoint, whole, enough=2))
    with pytest.raises(ReachlabError, match=r"adaptive.target_width was null, now 0.1"):
        sample(settings(checkpoint, whole, target_width=0.1))
    with pytest.raises(ReachlabError, match=r'adaptive was \{"enough": 1.*, now null'):
        sample(SampleConfig(**{**vars(settings(checkpoint, whole)), "adaptive": Adaptive()}))


def test_a_run_without_it_says_nothing_of_it(checkpoint: Path, tmp_path: Path) -> None:
    config = SampleConfig(
        **{**vars(settings(checkpoint, tmp_path / "run")), "adaptive": Adaptive(), "problems": 2, "samples": 2}
    )
    assert sample(config).ended == ""
    assert "adaptive" not in (tmp_path / "run" / "run.json").read_text()
    assert stored(tmp_path / "run").stopping is None


def test_chains_need_a_run_that_draws_all(whole: Path) -> None:
    with pytest.raises(ReachlabError, match="CoT-pass@k needs a run without it"):
        SampleStore(RunFolder(whole)).outcomes(chain=True)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"looks": [4]}, "no plan with looks, enough and target_width"),
        ("yes", "no plan"),
        ({"looks": [4], "enough": 1, "target_width": "narrow"}, "no plan"),
        ({"looks": [4, 4], "enough": 1, "target_width": None}, "do not ascend"),
        ({"looks": [], "enough": 1, "target_width": None}, "do not ascend"),
    ],
)
def test_a_damaged_plan_is_named(whole: Path, tmp_path: Path, rule: object, says: str) -> None:
    out = shutil.copytree(whole, tmp_path / "run")
    document = json.loads((out / "run.json").read_text())
    document["config"]["adaptive"] = rule
    (out / "run.json").write_text(json.dumps(document))
    with pytest.raises(ReachlabError, match=f"run.json: config.adaptive .*{says}"):
        stored(out)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--adaptive", "--shard", "0/2"], "--shard does not go with --adaptive"),
        (["--enough", "2"], "add --adaptive"),
        (["--target-width", "0.1"], "add --adaptive"),
        (["--adaptive", "--target-width", "1"], "target_width=1.0 must be between 0 and 1"),
        (["--adaptive", "--enough", "0"], "enough=0 must be 1 or more"),
        (["--adaptive", "--first-look", "-1"], "first_look=-1 must be 0"),
        (["--adaptive", "--enough", "9", "--samples", "8"], "must be at most samples=8"),
    ],
)
def test_settings_that_cannot_be(command: Command, tmp_path: Path, words: list[str], says: str) -> None:
    code, _, err = command("sample", "--model", "m", "--task", TASK, "--out", tmp_path / "run", *words)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert says in err
    assert not (tmp_path / "run").exists()
