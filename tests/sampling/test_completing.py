import json
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Command
from tests.measures.memorised import benchmark, learn
from tests.tiny import TASK, kill_again_and_again, rows_of, touches

from reachlab.engines.config import DecodingChoice
from reachlab.errors import ReachlabError
from reachlab.measures.completions import QuestionMemory, read_completions
from reachlab.measures.doubts import read_doubts
from reachlab.runs import RunFolder
from reachlab.sampling.completing import longest_rest
from reachlab.sampling.config import SampleConfig, VerifyConfig
from reachlab.sampling.run import sample
from reachlab.sampling.verifying import verify
from reachlab.store.config import Adaptive
from reachlab.store.samples import SampleStore
from reachlab.tasks.asking import AskConfig
from reachlab.tasks.registry import load_task
from reachlab.types import Sample, Verdict

CUT = f"{TASK},prefix=0.6"


@pytest.fixture
def settings(checkpoint: Path, tmp_path: Path) -> dict[str, Any]:
    """A run of three small parts."""
    return {
        "model": str(checkpoint), "task": TASK, "out": str(tmp_path / "run"), "problems": 6, "prefix": 0.6, "part": 2,
        "decoding": DecodingChoice(max_tokens=12),
    }  # fmt: skip


def document(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(folder) / "run.json").read_text())
    return found


def test_a_run_that_asks_for_the_rest(settings: dict[str, Any]) -> None:
    heard: list[str] = []
    result = sample(SampleConfig(**settings), heard.append)
    assert (result.drawn, result.stored, result.doubts) == (6, 6, None)
    assert heard == ["shown the first 60 % of each question in plain text, and asked for the rest"]
    config = document(settings["out"])["config"]
    assert (config["task"], config["ask"], config["samples"]) == (CUT, {"template": "bare"}, 1)
    assert (config["decoding"]["temperature"], config["decoding"]["max_tokens"]) == (0.0, 12)
    store, task = SampleStore(RunFolder(settings["out"])), load_task(CUT)
    assert store.problems() == task.problems("test", 6)
    for row in rows_of(settings["out"]):
        problem = next(p for p in store.problems() if p.id == row["problem_id"])
        assert task.verify(problem, row["text"]).status == row["verdict"]
        assert row["answered"] in ("correct", "wrong")
    assert result.completions is not None
    memory = result.completions.memory()
    assert memory is not None
    assert (memory.questions, memory.missing, memory.answers, memory.share) == (6, 0, 6, 0.6)
    assert sample(SampleConfig(**settings)).drawn == 0
    spelled = {**settings, "task": CUT, "prefix": None}
    assert sample(SampleConfig(**spelled)).drawn == 0
    with pytest.raises(ReachlabError, match="prefix"):
        sample(SampleConfig(**{**settings, "prefix": None, "samples": 1}))


def test_room_is_made_for_the_rest_and_an_answer(settings: dict[str, Any]) -> None:
    heard: list[str] = []
    sample(SampleConfig(**{**settings, "decoding": DecodingChoice()}), heard.append)
    shown = max(len(str(p.prompt)) for p in SampleStore(RunFolder(settings["out"])).problems())
    longest = max(len(p.answer["rest"]) for p in SampleStore(RunFolder(settings["out"])).problems())
    assert document(settings["out"])["config"]["decoding"]["max_tokens"] == 64 - shown
    assert f"answers may take {64 - shown} tokens and not {longest + 8 + 256}" in heard[1]


def test_servers_are_asked_with_room_for_half_the_characters(settings: dict[str, Any]) -> None:
    problems = load_task(CUT).problems("test", 6)
    longest = max(len(p.answer["rest"]) for p in problems)
    assert longest_rest(SampleConfig(**settings), problems, served=True) == longest // 2
    assert longest_rest(SampleConfig(**settings), problems, served=False) == longest  # a token a character


def test_more_samples_and_warmth_where_they_are_said(settings: dict[str, Any]) -> None:
    config = SampleConfig(**{**settings, "samples": 3, "decoding": DecodingChoice(temperature=1.0, max_tokens=12)})
    assert sample(config).drawn == 18
    memory = read_completions(SampleStore(RunFolder(settings["out"]))).memory()
    assert memory is not None
    assert memory.questions == 6


def test_what_is_left_out_is_said(settings: dict[str, Any], tmp_path: Path) -> None:
    rows = [{"question": q, "answer": "1"} for q in ("1 + 1 =", "12=", "3 4 5")]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    heard: list[str] = []
    sample(SampleConfig(**{**settings, "task": f"math:{tmp_path}/rows.jsonl", "problems": None}), heard.append)
    assert heard[0] == "1 question is left out, of less than two words; 2 stay"
    assert document(settings["out"])["config"]["problems"] == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ask": AskConfig(template="chat")}, "with nothing around it"),
        ({"ask": AskConfig(shots=1)}, "with nothing around it"),
        ({"adaptive": Adaptive(on=True)}, "--adaptive does not go with a prefix"),
        ({"task": "countdown,prefix=0.4"}, "--prefix 0.6, and the task says prefix=0.4"),
        ({"task": "chain"}, "none of its 6 questions can be cut"),
        ({"decoding": DecodingChoice(max_tokens=2)}, "--max-tokens 2: no room for the rest of every question"),
    ],
)
def test_what_cannot_be(change: dict[str, Any], says: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ReachlabError, match=says):
        sample(SampleConfig(**{**settings, **change}))
    assert not Path(settings["out"]).exists()


@pytest.mark.parametrize("prefix", [0.0, 1.0, -0.5, 2.0])
def test_a_prefix_is_a_share(prefix: float, settings: dict[str, Any]) -> None:
    with pytest.raises(ReachlabError, match="must be above 0 and below 1"):
        SampleConfig(**{**settings, "prefix": prefix})


def test_a_run_killed_anywhere_is_the_run_undisturbed(settings: dict[str, Any]) -> None:
    counted = {**settings, "out": settings["out"] + "-counted"}
    most = touches(lambda: sample(SampleConfig(**counted)))
    assert kill_again_and_again(lambda: sample(SampleConfig(**settings)), most, kills=4, seed=1) >= 1
    assert rows_of(settings["out"]) == rows_of(counted["out"])


def test_completions_are_judged_again_and_no_answers(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.claim("sample", {"task": CUT, "model": "m"})
    store, task = SampleStore(folder), load_task(CUT)
    problem = task.problems("test", 1)[0]
    solution = problem.metadata["whole"]["metadata"]["solution"]
    texts = [f"{problem.answer['rest']}{solution}", str(solution)]
    store.write_problems([problem])
    store.write_part(
        [
            Sample(
                problem_id=problem.id, index=i, text=text, tokens=5, finish="length", logprob=None, seed=i,
                engine="e", verdict=Verdict.wrong(),
            )
            for i, text in enumerate(texts)
        ]
    )  # fmt: skip
    assert verify(VerifyConfig(run=str(folder.url))) == {"wrong -> correct": 1}
    assert [(row["verdict"], row["answered"]) for row in rows_of(folder.url)] == [
        ("correct", "correct"),
        ("wrong", "correct"),
    ]
    assert read_doubts(store).cut == 0
    with pytest.raises(ReachlabError, match=r"holds the rest of questions, cut at prefix=0\.6, which"):
        verify(VerifyConfig(run=str(folder.url), task="countdown"))
    with pytest.raises(ReachlabError, match="does not judge"):
        verify(VerifyConfig(run=str(folder.url), task=f"{TASK},prefix=0.5"))


def test_a_run_of_answers_is_not_judged_as_completions(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.claim("sample", {"task": TASK})
    with pytest.raises(ReachlabError, match="holds answers to whole questions"):
        verify(VerifyConfig(run=str(folder.url), task=CUT))


@pytest.mark.slow
def test_a_model_that_has_learned_a_benchmark_completes_it_and_no_fresh_questions(
    tmp_path: Path, command: Command
) -> None:
    task = f"math:{benchmark(tmp_path / 'all.jsonl', 40)}"
    model = learn(task, tmp_path / "model", steps=160)
    found: dict[str, QuestionMemory] = {}
    for split in ("train", "test"):
        out = tmp_path / split
        words = ("sample", "--model", model, "--task", task, "--split", split, "--prefix", "0.6", "--out", out)
        code, printed, err = command(*words)
        assert code == 0, err
        memory = read_completions(SampleStore(RunFolder(out))).memory()
        assert memory is not None
        assert printed.splitlines()[1] == memory.line()
        found[split] = memory
    known, fresh = found["train"], found["test"]
    assert known.questions + fresh.questions == 40
    assert known.exact / known.questions >= 0.8
    assert known.right / known.answers >= 0.4
    assert (fresh.exact, fresh.right) == (0, 0)
    assert known.low > fresh.high
