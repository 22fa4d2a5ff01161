"""`compare`, `report` and `power` as users type them: those of docs/boundary.md, and several runs, pairs, clusters."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Command

from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Problem, Sample, Verdict

PAGE = (Path(__file__).parents[1] / "docs" / "boundary.md").read_text()
COMPARING = PAGE[PAGE.index("\n## Compare\n") : PAGE.index("\n## Beyond pass@k\n")]
DOCUMENTED = [line.split(" > ")[0] for line in COMPARING.splitlines() if line.startswith("reachlab ")]
PROBLEMS, SAMPLES = 24, 8


def make_run(folder: Path, chances: list[float], seed: int) -> None:
    """A run of samples: each problem right with its chance; six templates of four problems."""
    rng, store = np.random.default_rng(seed), SampleStore(RunFolder(folder))
    store.folder.claim("sample", {"task": "countdown", "model": folder.name, "seed": seed}, {})
    asked = [
        Problem(id=f"p{i}", prompt=f"question {i}", answer=str(i), metadata={"template": i % 6})
        for i in range(len(chances))
    ]
    store.write_problems(asked)
    store.write_part(
        [
            Sample(
                problem_id=problem.id,
                index=i,
                text=f"{rng.random()}",
                tokens=3,
                finish="stop",
                logprob=-1.0,
                seed=i,
                engine="made",
                verdict=Verdict.correct() if rng.random() < chance else Verdict.wrong(),
                final_answer="1",
            )
            for problem, chance in zip(asked, chances, strict=True)
            for i in range(SAMPLES)
        ]
    )


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the commands find where `make demo` has been, but small; the tables and clusters of the docs beside it."""
    monkeypatch.chdir(tmp_path)
    rates = np.linspace(0.02, 0.6, PROBLEMS)
    for seed, (name, scale) in enumerate({"base": 1.0, "grpo": 1.6, "pods": 1.5, "distilled": 1.4}.items()):
        make_run(tmp_path / "runs/demo/samples" / name, (rates * scale).tolist(), seed)
    data = tmp_path / "examples" / "data"
    data.mkdir(parents=True)
    (data / "clusters.csv").write_text("id,cluster\n" + "".join(f"p{i},{i % 6}\n" for i in range(PROBLEMS)))
    right = np.random.default_rng(0).random((2, PROBLEMS, SAMPLES)) < 0.4
    np.savez(tmp_path / "right.npz", base=right[0], rl=right[1])
    for name, table in zip(("base", "rl"), right, strict=True):
        np.savetxt(data / f"{name}.csv", table, fmt="%d", delimiter=",")
    return tmp_path / "runs/demo/samples"


@pytest.mark.parametrize("line", DOCUMENTED)
def test_the_docs_commands_run_as_written(line: str, demo: Path, command: Command) -> None:
    program, *words = shlex.split(line)
    assert program == "reachlab"
    more = [] if words[0] == "power" else ["--resamples", "100"]
    code, out, err = command(*words, *more)
    assert code == 0, err
    assert "is " in out or "report.html" in out or "problems" in out


def test_the_page_of_recipes_names_their_runs(demo: Path, command: Command) -> None:
    words = (f"base={demo}/base", f"rl={demo}/grpo,{demo}/pods", f"distilled={demo}/distilled")
    code, _, err = command("report", *words, "--pairs", "all", "--resamples", "100", "--out", "page.html")
    assert code == 0, err
    page = Path("page.html").read_text()
    assert "rl is a recipe: the mean over 2 runs (grpo, pods)" in page
    assert "distilled against rl is " in page
    code, out, _ = command("compare", *words, "--resamples", "100", "--json")
    found = json.loads(out)
    assert [model["runs"] for model in found["models"]] == [["base"], ["grpo", "pods"], ["distilled"]]
    assert found["extrapolation"][1] is None
    assert found["models"][1]["mean_n"] == 2 * SAMPLES


def test_clusters_by_a_field_and_by_a_file_are_the_same(demo: Path, command: Command) -> None:
    found = []
    for named in ("template", "examples/data/clusters.csv"):
        words = (demo / "base", demo / "grpo", "--cluster", named, "--resamples", "100", "--json")
        code, out, err = command("compare", *words)
        assert code == 0, err
        found.append(json.loads(out))
    assert found[0]["clusters"] == 6
    assert found[0]["pairs"] == found[1]["pairs"]
    code, out, _ = command("compare", demo / "base", demo / "grpo", "--cluster", "template", "--resamples", "100")
    assert out.startswith("24 problems in 6 clusters, ")
    said = "95% intervals over clusters of problems; the verdicts' hold for all k and pairs at once"
    assert said in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("base", "grpo", "--cluster", "level"), "24 of 24 problems have no such field"),
        (("base", "--same-within", "0"), "same_within=0 must be above 0"),
        (("base", "rl=grpo,grpo"), "names a run twice"),
        (("--matrix", "right.npz", "--cluster", "template"), "tables have no fields"),
        (("--matrix", "right.npz", "--match", "question"), "tables hold no questions"),
        (("--matrix", "right.npz", "--memory", "base"), "--memory goes with runs"),
        (("base", "--level", "1"), "level 1 is not between 0 and 1"),
    ],
)
def test_refusals_are_one_line(words: tuple[str, ...], said: str, demo: Path, command: Command) -> None:
    places = [word.replace("grpo", f"{demo}/grpo") if "grpo" in word else word for word in words]
    places = [f"{demo}/base" if word == "base" and "--memory" not in words else word for word in places]
    code, out, err = command("compare", *places)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") <= 2


def test_power_plans_from_single_runs(demo: Path, command: Command) -> None:
    code, _, err = command("power", f"{demo}/base", f"rl={demo}/grpo,{demo}/pods")
    assert code == 2
    assert "plans from one run of each model, and rl has more" in err
