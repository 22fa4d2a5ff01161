"""The table beside the verdicts, and the commands of docs/boundary.md under "Reach or memory?", run as written."""

import json
import shlex
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tests.conftest import Command
from tests.reporting.conftest import samples
from tests.tiny import loud, tiny_config, tiny_tokenizer

from reachlab.boundary.binomial import exact_interval
from reachlab.errors import ReachlabError
from reachlab.measures.completions import QuestionMemory
from reachlab.models.build import build_model
from reachlab.models.checkpoint import save_model
from reachlab.reporting.memory_table import COLUMNS, ELSEWHERE, UNSEEN, meaning, print_memories, read_memories, tabulate
from reachlab.runs import RunFolder
from reachlab.sampling.completing import judge_answers, prefixed
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task
from reachlab.types import Problem, Sample, Verdict

PAGE = (Path(__file__).parents[2] / "docs" / "boundary.md").read_text()
SECTION = PAGE[PAGE.index("\n## Reach or memory?\n") : PAGE.index("\n## Along training")]
TASK = "countdown,prefix=0.5"
Models = list[tuple[str, list[SampleStore]]]


def compared(folder: Path, weights: str, problems: list[Problem]) -> tuple[str, list[SampleStore]]:
    """A run of answers by a model."""
    run = samples(folder, np.array([[True, False]] * len(problems)), problems=problems)
    document = run.read_json("run.json")
    document["config"]["model"] = weights
    run.write("run.json", json.dumps(document))
    return folder.name, [SampleStore(run)]


def completed(folder: Path, weights: str, exact: list[bool], seed: int = 0) -> str:
    """A run of completions by a model; after an exact one follows the right answer."""
    run, task = RunFolder(folder), load_task(TASK)
    run.claim("sample", {"task": TASK, "model": weights})
    store = SampleStore(run)
    problems = task.problems("test", len(exact), seed)
    store.write_problems(problems)
    rows = []
    for problem, right in zip(problems, exact, strict=True):
        text = f"{problem.answer['rest']}{problem.metadata['whole']['metadata']['solution']}" if right else " 1=1:"
        rows.append(
            Sample(
                problem_id=problem.id, index=0, text=text, tokens=9, finish="stop", logprob=None, seed=0, engine="e",
                verdict=Verdict.correct() if right else Verdict.wrong(score=0.25),
            )
        )  # fmt: skip
    store.write_part(rows)
    cut = prefixed(task)
    assert cut is not None
    judge_answers(store, cut, timeout_s=5)
    return str(folder)


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """Two models, asked four questions."""
    problems = load_task("countdown").problems("test", 4)
    return [compared(tmp_path / name, f"weights of {name}", problems) for name in ("base", "rl")]


def ids(models: Models) -> list[str]:
    return [p.id for p in models[0][1][0].problems()]


def test_runs_are_found_by_weights_and_questions_by_their_words(models: Models, tmp_path: Path) -> None:
    runs = [
        completed(tmp_path / "b", "weights of rl", [True, False, True, False, True, True]),
        completed(tmp_path / "a", "weights of base", [True, False]),
    ]
    rows = read_memories(runs, models, ids(models), 0.95)
    assert [(m.model, m.run, m.compared, m.exact, m.questions, m.right, m.answers) for m in rows] == [
        ("base", "a", True, 1, 2, 1, 2),
        ("rl", "b", True, 2, 4, 2, 4),
        ("rl", "b", False, 2, 2, 2, 2),
    ]
    assert (rows[1].low, rows[1].high) == exact_interval(2, 4)
    assert rows[1].rouge_l == pytest.approx(0.625)
    assert read_memories([], models, ids(models), 0.95) == []


def test_problems_that_are_not_compared_are_others(models: Models, tmp_path: Path) -> None:
    run = completed(tmp_path / "a", "weights of base", [True, False])
    (row,) = read_memories([run], models, ids(models)[2:], 0.95)
    assert (row.compared, row.questions) == (False, 2)


def test_the_same_ids_with_other_questions_are_others(tmp_path: Path) -> None:
    asked = load_task("countdown").problems("test", 2)
    strange = [Problem(id=p.id, prompt="1 2=3:", answer=p.answer) for p in asked]
    models = [compared(tmp_path / "base", "w", strange)]
    (row,) = read_memories([completed(tmp_path / "a", "w", [True, True])], models, [p.id for p in asked], 0.95)
    assert not row.compared
    assert meaning([row]) == ELSEWHERE


def test_a_model_may_be_named(models: Models, tmp_path: Path) -> None:
    run = completed(tmp_path / "a=b", "of elsewhere", [True])
    with pytest.raises(ReachlabError, match=r"its model is none of those compared \(base, rl\).*--memory base="):
        read_memories([run], models, ids(models), 0.95)
    (row,) = read_memories([f"rl={run}"], models, ids(models), 0.95)
    assert row.model == "rl"
    with pytest.raises(ReachlabError, match="does not ask for the rest of questions"):
        read_memories([models[0][1][0].folder.url], models, ids(models), 0.95)


def test_models_of_the_same_weights_share_a_row(tmp_path: Path) -> None:
    problems = load_task("countdown").problems("test", 1)
    models = [compared(tmp_path / name, "w", problems) for name in ("cold", "warm")]
    (row,) = read_memories([completed(tmp_path / "a", "w", [True])], models, ids(models), 0.95)
    assert row.model == "cold, warm"


def row(model: str, exact: int, *, among: bool = True) -> QuestionMemory:
    low, high = exact_interval(exact, 40)
    return QuestionMemory(
        model=model, run="r", share=0.6, compared=among, questions=40, missing=2, exact=exact, low=low, high=high,
        rouge_l=0.5, words=12.5, answers=39, right=3,
    )  # fmt: skip


def test_the_table() -> None:
    table = tabulate([row("base", 10), row("base", 0, among=False)])
    assert table.columns == COLUMNS
    assert [[(cell.text, cell.interval) for cell in r.cells] for r in table.rows] == [
        [("40 compared", "2 without a completion"), ("60%", ""), ("10 = 25.0%", "12.7–41.2"), ("0.50", ""),
         ("3 of 39", ""), ("12.5", "")],
        [("40 others", "2 without a completion"), ("60%", ""), ("0 = 0.0%", "0.0–8.8"), ("0.50", ""),
         ("3 of 39", ""), ("12.5", "")],
    ]  # fmt: skip


def test_several_runs_of_a_model_are_told_apart() -> None:
    rows = [row("base", 1), replace(row("base", 2), run="s"), row("rl", 0)]
    assert [r.name for r in tabulate(rows).rows] == ["base (r)", "base (s)", "rl"]


def test_what_it_means() -> None:
    assert "Where base does so on the compared questions" in meaning([row("base", 10), row("rl", 0)])
    assert "Where base or rl does so" in meaning([row("base", 1), row("rl", 2)])
    assert meaning([row("base", 0), row("base", 7, among=False)]) == UNSEEN
    console = Console(file=StringIO(), width=100, color_system=None)
    print_memories([row("[red]", 10)], console)
    print_memories([], console)
    assert isinstance(console.file, StringIO)
    assert "[red]" in console.file.getvalue()
    assert console.file.getvalue().count("Reach or memory?") == 1


def test_a_table_has_no_questions(command: Command) -> None:
    code, _, err = command("compare", "--matrix", "right.npz", "--memory", "runs/rest")
    assert (code, err.count("\n")) == (2, 1)
    assert "--memory goes with runs" in err


def test_the_commands_of_the_docs(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tokenizer = tiny_tokenizer()
    for seed, name in enumerate(("base", "grpo")):
        model = loud(build_model(tiny_config(), tokenizer, seed=0), scale=0.3 + 0.1 * seed)
        save_model(Path("runs/demo") / name, model, tokenizer)
        asked = f"--task countdown,division=0.2 --problems 6 --samples 4 --max-tokens 8 --out runs/demo/samples/{name}"
        code, _, err = command("sample", "--model", f"runs/demo/{name}", *asked.split())
        assert code == 0, err
    commands = [line for line in SECTION.splitlines() if line.startswith("reachlab ")]
    assert len(commands) == 4
    printed = []
    for line in commands:
        code, out, err = command(*shlex.split(line)[1:])
        assert code == 0, err
        printed.append(out)
    assert "exact completions: 0 of 200 questions (0.0–1.8 %) after the first 60 % of each" in printed[0]
    assert "6 compared" in printed[2]
    assert "194 others" in printed[2]
    assert UNSEEN in printed[2]
    page = Path("memory.html").read_text()
    assert UNSEEN in page
    assert page.index('id="memory"') < page.index('id="summary"')
    assert "194 others" in page
    code, _, err = command("compare", "runs/demo/samples/base", "runs/rest/grpo")
    assert (code, err.count("\n")) == (2, 1)
    assert "these are other questions" in err
    words = [*shlex.split(commands[2])[1:], "--resamples", "100", "--json"]
    code, out, _ = command(*words)
    assert code == 0
    found = json.loads(out)["memory"]
    assert [(m["model"], m["compared"], m["questions"]) for m in found] == [
        ("base", True, 6),
        ("base", False, 194),
        ("grpo", True, 6),
        ("grpo", False, 194),
    ]
