from pathlib import Path

import pytest

from reachlab.errors import ReachlabError
from reachlab.pairing.compared import parse_model, read_compared
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Problem, Sample, Verdict


def run(folder: Path, name: str, right: int, samples: int = 4, problems: int = 3) -> str:
    """A run of samples; the first `right` of each problem's are."""
    store = SampleStore(RunFolder(folder / name))
    store.folder.claim("sample", {"task": "countdown"}, {})
    asked = [Problem(id=f"p{i}", prompt=f"question {i}", answer=str(i)) for i in range(problems)]
    store.write_problems(asked)
    store.write_part(
        [
            Sample(
                problem_id=p.id,
                index=i,
                text="",
                tokens=1,
                finish="stop",
                logprob=None,
                seed=None,
                engine="e",
                verdict=Verdict.correct() if i < right else Verdict.wrong(),
            )
            for p in asked
            for i in range(samples)
        ]
    )
    return str(folder / name)


def test_a_name_stands_before_its_runs(tmp_path: Path) -> None:
    assert (parse_model("runs/a").name, parse_model("runs/a").runs[0].name) == ("", "a")
    assert parse_model("rl=runs/a").name == "rl"
    given = parse_model("rl=runs/a,runs/b")
    assert (given.name, [folder.name for folder in given.runs]) == ("rl", ["a", "b"])
    assert parse_model("memory://bucket/x=1").name == ""
    url = parse_model("rl=memory://bucket/x")
    assert (url.name, url.runs[0].url) == ("rl", "memory://bucket/x")
    # A folder that is there is meant as it stands, whatever signs its name has.
    there = run(tmp_path, "lr=1,2", 1)
    assert parse_model(there).runs[0].name == "lr=1,2"
    assert [folder.name for folder in parse_model(f"rl={there}").runs] == ["lr=1,2"]


def test_runs_of_one_recipe_are_one_model(tmp_path: Path) -> None:
    base, first, second = (run(tmp_path, name, right) for name, right in (("base", 1), ("rl-0", 2), ("rl-1", 4)))
    found = read_compared([f"start={base}", f"rl={first},{second}"])
    assert [recipe.name for recipe in found.recipes] == ["start", "rl"]
    assert [len(stores) for stores in found.stores] == [1, 2]
    assert found.names == ("start", "rl-0", "rl-1")
    assert found.recipes[1].tables([1]).mean(axis=0)[:, 0] == pytest.approx([0.75] * 3)
    assert [o.name for o in found.recipes[1].runs] == ["rl-0", "rl-1"]


def test_folders_of_one_name_are_told_by_their_places(tmp_path: Path) -> None:
    one, two = run(tmp_path / "a", "samples", 1), run(tmp_path / "b", "samples", 2)
    found = read_compared([one, two])
    assert [recipe.name for recipe in found.recipes] == [RunFolder(one).url, RunFolder(two).url]


def test_refuses(tmp_path: Path) -> None:
    base, other = run(tmp_path, "base", 1), run(tmp_path, "other", 2)
    with pytest.raises(ReachlabError, match="name at least one run folder"):
        read_compared([])
    with pytest.raises(ReachlabError, match="base: named twice; a run cannot be compared with itself"):
        read_compared([base, f"rl={base}"])
    with pytest.raises(ReachlabError, match="names a run twice"):
        read_compared([base, f"rl={other},{other}"])
    with pytest.raises(ReachlabError, match="a run's name is empty; write NAME=RUN,RUN"):
        read_compared([base, f"rl={other},"])
    with pytest.raises(ReachlabError, match="two models have the same name; rename one of: base, base"):
        read_compared([base, f"base={other}"])


def test_what_is_no_run_of_samples_is_named(tmp_path: Path) -> None:
    run(tmp_path / "many", "a", 1)
    run(tmp_path / "many", "b", 1)
    with pytest.raises(ReachlabError, match="holds 2 runs of samples and is none itself; name these: a, b"):
        read_compared([str(tmp_path / "many")])
    with pytest.raises(ReachlabError, match="a table and no run; put it behind --matrix"):
        read_compared([str(tmp_path / "right.npz")])
    (tmp_path / "trained" / "model").mkdir(parents=True)
    (tmp_path / "trained" / "model" / "config.json").write_text("{}")
    with pytest.raises(ReachlabError, match=r"trained: a model and no run of samples; draw some: reachlab sample"):
        read_compared([str(tmp_path / "trained")])
    with pytest.raises(ReachlabError, match=r"not a run of samples \(no problems.jsonl\)"):
        read_compared([str(tmp_path / "nothing")])
