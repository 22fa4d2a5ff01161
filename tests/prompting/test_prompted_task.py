import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.conftest import Command
from tests.models.chats import BASE, CHATML, GEMMA, INSTRUCT, Shape, made

from reachlab.boundary.compare import compare
from reachlab.errors import ReachlabError
from reachlab.prompting.prompted_task import prompted_task
from reachlab.prompting.rendered import as_written, show_prompts
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.tasks.asking import AskConfig
from reachlab.types import Chat

INSTRUCTED = INSTRUCT[0]


@pytest.fixture
def chatting(checkpoint: Path, tmp_path: Path) -> Path:
    """A tiny model, whose turns end as its texts do, called an instruct model."""
    folder = Path(shutil.copytree(checkpoint, tmp_path / "tiny-instruct"))
    template = "{% for m in messages %}+{{ m.content }}{% endfor %}{% if add_generation_prompt %}=:{% endif %}"
    (folder / "chat_template.jinja").write_text(template)
    return folder


def folder_of(shape: Shape, parent: Path) -> str:
    return str(made(shape, parent)[1])


@pytest.mark.parametrize("spec", ["countdown", "chain", "programs", "gym:chain_sum"])
def test_an_instruct_model_is_asked_by_chat_in_every_family(spec: str, tmp_path: Path) -> None:
    found = prompted_task(spec, AskConfig(), folder_of(INSTRUCTED, tmp_path))
    assert isinstance(found.task.problems("test", 1)[0].prompt, Chat)
    assert found.identity == {"template": "chat"}
    assert found.remark == (
        "asked through its chat template (its chat template ends a turn with <|im_end|>, and so does the model); "
        "--template plain asks it in plain text"
    )


def test_a_base_model_is_asked_in_plain_text(tmp_path: Path) -> None:
    found = prompted_task("chain", AskConfig(), folder_of(BASE[0], tmp_path))
    assert isinstance(found.task.problems("test", 1)[0].prompt, str)
    assert found.identity == {"template": "plain"}
    assert found.remark.endswith("a base model); --template chat asks it through its chat template")
    # Nothing to choose, nothing to say.
    silent = prompted_task("chain", AskConfig(), folder_of(BASE[5], tmp_path))
    assert silent.remark == ""
    assert silent.how == "asked in plain text (its tokenizer has no chat template)"


def test_the_user_is_obeyed(tmp_path: Path) -> None:
    instruct, base = folder_of(INSTRUCTED, tmp_path), folder_of(BASE[0], tmp_path)
    plain = prompted_task("chain", AskConfig(template="plain"), instruct)
    assert (plain.identity, plain.remark) == ({"template": "plain"}, "asked in plain text")
    chat = prompted_task("chain,template=chat", AskConfig(system="Be brief."), base)
    assert chat.identity == {"template": "chat", "system": "Be brief."}
    assert chat.remark == (
        "asked through its chat template; a turn ends with <|im_end|>, which does not end this model's answers: they "
        "may go on up to --max-tokens"
    )
    few = prompted_task("chain", AskConfig(shots=1), base)
    assert few.remark.startswith("asked in plain text, after 1 worked example (")


def test_a_benchmark_s_template_is_for_models_asked_in_plain_text(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"problem": "2+2?", "answer": "4"}\n')
    spec = f"math500:{tmp_path}/x.jsonl"
    base = prompted_task(spec, AskConfig(), folder_of(BASE[0], tmp_path))
    assert base.identity == {"template": "boxed"}
    assert prompted_task(spec, AskConfig(), folder_of(INSTRUCTED, tmp_path)).identity == {"template": "chat"}
    assert (
        prompted_task(spec, AskConfig(template="plain"), folder_of(BASE[1], tmp_path)).identity["template"] == "plain"
    )


def test_what_the_checkpoint_refuses_is_refused(tmp_path: Path) -> None:
    gemma = folder_of(INSTRUCT[5], tmp_path)
    with pytest.raises(ReachlabError, match="System role not supported"):
        prompted_task("chain", AskConfig(system="Be brief."), gemma)
    with pytest.raises(ReachlabError, match="knows no 'enable_thinking'"):
        prompted_task("chain", AskConfig(chat_template_kwargs='{"enable_thinking": false}'), gemma)
    with pytest.raises(ReachlabError, match="plain does not go through the checkpoint's own"):
        prompted_task("chain", AskConfig(chat_template_kwargs='{"a": 1}'), folder_of(BASE[0], tmp_path))
    with pytest.raises(ReachlabError, match="no chat template; ask it in plain text"):
        prompted_task("chain", AskConfig(template="chat"), folder_of(BASE[5], tmp_path))
    assert GEMMA != CHATML


def test_reasoning_that_the_template_begins_is_in_each_problem(tmp_path: Path) -> None:
    task = prompted_task("chain", AskConfig(), folder_of(INSTRUCT[7], tmp_path)).task
    assert task.problems("test", 1)[0].metadata["opens"] == "<think>"


def test_a_model_behind_a_server() -> None:
    for name, template in (("Qwen/Qwen3-8B", "chat"), ("Qwen/Qwen3-8B-Base", "plain"), ("mine", "chat")):
        assert prompted_task("chain", AskConfig(), name).identity == {"template": template}
    assert "taken for an instruct model" in prompted_task("chain", AskConfig(), "mine").remark
    told = prompted_task("chain", AskConfig(chat_template_kwargs='{"a": 1}'), "mine")
    assert told.identity["chat_template_kwargs"] == {"a": 1}


def test_a_model_trained_here_is_asked_as_in_its_training(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for name in ("model", "checkpoints/step-000010"):
        _, folder = made(Shape(name, CHATML, "<|im_end|>", ("<|im_end|>",), INSTRUCTED.marks), run)
    ask = {"template": "chat-bare", "system": "Be brief.", "chat_template_kwargs": {"enable_thinking": False}}

    def trained(ask: Mapping[str, object], kind: str = "rl", task: str = "chain") -> None:
        (run / "run.json").write_text(json.dumps({"kind": kind, "config": {"task": task, "ask": ask}}))

    trained(ask)
    for model in (run, run / "model", folder):
        found = prompted_task("countdown", AskConfig(), str(model) if model != run else str(run / "model"))
        assert found.identity == ask
        assert "as in its training" in found.remark
    assert prompted_task("chain", AskConfig(system="No."), str(folder)).identity == {**ask, "system": "No."}
    assert prompted_task("chain", AskConfig(template="plain"), str(folder)).identity == {"template": "plain"}
    trained({"template": "plain"})
    assert prompted_task("chain", AskConfig(), str(folder)).identity == {"template": "plain"}
    trained({"template": "chat", "examples": [["1+1?", "2"]]})
    assert prompted_task("chain", AskConfig(), str(folder)).identity["examples"] == [["1+1?", "2"]]
    trained({"template": "mine.txt", "template_hash": "x"})
    with pytest.raises(ReachlabError, match=r"template of a file \(mine.txt\), which is not there as it was"):
        prompted_task("chain", AskConfig(), str(folder))
    # A benchmark's own form is no choice: of another task it is another one.
    trained({"template": "boxed"}, task="math500")
    assert prompted_task("chain", AskConfig(), str(folder)).identity == {"template": "plain"}
    # Pretraining asks nobody.
    trained(ask, kind="pretrain")
    assert prompted_task("chain", AskConfig(), str(folder)).identity == {"template": "chat"}
    (run / "run.json").write_text("[1]")
    assert prompted_task("chain", AskConfig(), str(folder)).identity == {"template": "chat"}


def test_what_a_model_gets_is_shown_token_for_token(tmp_path: Path) -> None:
    model = folder_of(INSTRUCTED, tmp_path)
    shown = show_prompts("chain", "test", 2, 0, "", AskConfig(system="Be brief."), model)
    assert shown.ask == {"template": "chat", "system": "Be brief."}
    assert len(shown.problems) == 2
    for row in shown.problems:
        assert as_written(model, Chat(tuple(row["prompt"]))) == row["written"]
        assert row["written"].startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n")
        assert row["written"].endswith("<|im_end|>\n<|im_start|>assistant\n")
        assert row["prompt"][0] == {"role": "system", "content": "Be brief."}
        marks = sum(row["written"].count(mark) for mark in INSTRUCTED.marks)
        assert row["tokens"] == len(row["written"]) - sum(
            row["written"].count(mark) * (len(mark) - 1) for mark in INSTRUCTED.marks
        )
        assert marks == 5
    with pytest.raises(ReachlabError, match="no such model folder"):
        show_prompts("chain", "test", 2, 0, "", AskConfig(), "none")


def test_the_command_line_shows_samples_and_refuses_another_way(
    chatting: Path, command: Command, tmp_path: Path
) -> None:
    words = ("--model", str(chatting), "--template", "chat-bare")
    code, out, _ = command("tasks", "countdown,numbers=3", *words, "--problems", "1")
    assert code == 0
    assert out.startswith("asked through its chat template, as chat-bare\n\n--- ")
    assert ':=:\n--- answer: {"numbers"' in out
    told = json.loads(command("tasks", "countdown,numbers=3", *words, "--problems", "1", "--json")[1])
    assert told["ask"] == {"template": "chat-bare"}
    assert told["problems"][0]["prompt"][0]["role"] == "user"
    few = ("--problems", "2", "--samples", "2", "--max-tokens", "4")
    drawn = ("sample", *words, "--task", "countdown,numbers=3", *few, "--out", str(tmp_path / "run"))
    code, _, err = command(*drawn)
    assert code == 0, err
    assert "note: asked through its chat template, as chat-bare" in err
    code, _, err = command(*drawn, "--system", "Be brief.")
    assert code == 2
    assert 'ask.system was null, now "Be brief."' in err
    assert err.splitlines()[-1].startswith("error: ")
    assert command(*drawn)[0] == 0
    # One that was asked otherwise is compared with it problem by problem.
    plain = [*drawn[:-1], str(tmp_path / "plain")]
    plain[plain.index("chat-bare")] = "plain"
    assert command(*plain)[0] == 0
    compared = compare([SampleStore(RunFolder(tmp_path / name)).outcomes() for name in ("plain", "run")])
    assert len(compared.problem_ids) == 2


def test_no_prompt_is_shown_as_python(command: Command) -> None:
    for words in (("gym:chain_sum",), ("countdown", "--template", "chat"), ("chain,template=chat",)):
        code, out, _ = command("tasks", *words, "--problems", "1")
        assert code == 0
        assert "Chat(" not in out
        assert "{'" not in out
    assert "system: Be brief." in command("tasks", "countdown", "--template", "chat", "--system", "Be brief.")[1]
