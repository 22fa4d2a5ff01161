from pathlib import Path

import fsspec
import pytest
from tests.reporting.conftest import training

import reachlab as rl
from reachlab.errors import ReachlabError
from reachlab.runs import RunFolder
from reachlab.store.frame import load_run
from reachlab.store.samples import SampleStore


def test_it_reads_what_lies_there(runs: Path) -> None:
    run, store = rl.Run(runs / "base"), SampleStore(RunFolder(runs / "base"))
    outcomes = store.outcomes()
    assert (run.name, run.kind, run.path, len(run)) == ("base", "sample", str(runs / "base"), 72)
    assert run.verdicts == {
        "correct": int(outcomes.c_P.sum()),
        "wrong": 70 - int(outcomes.c_P.sum()),
        "unscored": 2,
    }
    assert run.correct_P.tolist() == outcomes.c_P.tolist()
    assert run.drawn_P.tolist() == [10, 12, 12, 12, 12, 12]
    assert run.unscored_P.tolist() == [2, 0, 0, 0, 0, 0]
    assert run.problem_ids == outcomes.problem_ids
    assert run.problems()[0] == store.problems()[0]
    assert run.to_frame(problems=True).equals(load_run(runs / "base", problems=True))
    assert rl.load_run(run).equals(load_run(runs / "base"))


def test_samples_come_one_by_one_and_each_once(runs: Path) -> None:
    run, store = rl.Run(runs / "base"), SampleStore(RunFolder(runs / "base"))
    everything = store.samples()
    store.write_part(everything[:5])  # once more, as overlapping writers leave it
    assert sorted(run, key=lambda s: (s.problem_id, s.index)) == sorted(
        everything, key=lambda s: (s.problem_id, s.index)
    )
    wanted = [s for s in everything if s.problem_id == "p1" and s.verdict.status == "wrong"]
    assert sorted(run.samples("p1", verdict="wrong"), key=lambda s: s.index) == wanted
    with pytest.raises(ValueError, match="there is no problem 'p9'"):
        run.samples("p9")
    with pytest.raises(ValueError, match=r"samples: verdict='right' must be one of 'correct', 'wrong', 'unscored'"):
        run.samples(verdict="right")  # type: ignore[arg-type]


def test_its_pass_at_k_is_the_comparison_s(runs: Path) -> None:
    found = rl.Run(runs / "base").pass_at_k([1, 8], resamples=300)
    curve = rl.compare([runs / "base"], resamples=300).models[0].curve
    assert found.mean.tolist() == curve.values[[0, 7]].tolist()
    assert found.low.tolist() == curve.low[[0, 7]].tolist()


def test_it_says_where_it_came_from(runs: Path) -> None:
    training(runs / "grpo", "rl", 3)
    import numpy as np
    from tests.reporting.conftest import draw, samples

    samples(runs / "after", draw(np.array([0.5, 0.5]), 4, 0), model_path=runs / "grpo")
    run = rl.Run(runs / "after")
    lineage = run.lineage
    assert lineage["model"] == str(runs / "grpo")
    assert lineage["trained_by"] == [str(runs / "grpo")]
    assert lineage["engines"] == {"transformers": 8}
    assert lineage["task"] == run.config["task"] == "countdown,numbers=4"
    assert lineage["versions"]["numpy"]
    assert run.to_dict()["samples"] == 8
    assert "<th>task</th><td>countdown,numbers=4</td>" in run._repr_html_()
    assert repr(run) == f"Run({str(runs / 'after')!r})"


def test_a_run_behind_a_url(runs: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(runs / "base"), "/library/base", recursive=True)
    run = rl.Run("memory://library/base")
    assert len(run) == 72
    assert rl.compare([run, runs / "rl"], resamples=100).base == "base"


def test_what_is_no_run_of_samples_says_so(runs: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none: not a run folder"):
        rl.Run(runs / "none")
    with pytest.raises(OSError, match="none: not a run of samples"):
        rl.load_run(runs / "none")
    with pytest.raises(ValueError, match="path=3 must be a path, a URL or a run"):
        rl.Run(3)  # type: ignore[arg-type]
    training(runs / "grpo", "rl", 2)
    with pytest.raises(ReachlabError, match="a run of kind rl, which holds no samples"):
        len(rl.Run(runs / "grpo"))
    (runs / "base" / "problems.jsonl").write_text("{")
    with pytest.raises(ValueError, match=r"problems\.jsonl:1"):
        rl.Run(runs / "base").problems()
