import json
from pathlib import Path

import pytest

from reachlab.errors import ReachlabError
from reachlab.tasks.asking import AskConfig, Asking, read_examples
from reachlab.tasks.registry import chosen_template, load_task
from reachlab.tasks.templates import ALIASES, BOXED, TEMPLATES, template_named


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"template": ""}, "--template is empty"),
        ({"shots": -1}, "shots=-1 must be 0 or more"),
        ({"chat_template_kwargs": "{"}, "--chat-template-kwargs: not JSON"),
        ({"chat_template_kwargs": "[1]"}, "a JSON object is wanted"),
        ({"chat_template_kwargs": '{"tokenize": true}'}, "'tokenize' is no option of a chat template"),
    ],
)
def test_what_cannot_be_right_is_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        AskConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (AskConfig(template="abel", system="Be brief."), "--system: the template abel has no place for a system text"),
        (AskConfig(template="qwen25-math-cot", system="Be brief."), "has no place for a system text"),
        (AskConfig(system="Be brief."), "the template plain has no place"),
        (
            AskConfig(template="boxed", chat_template_kwargs='{"a": 1}'),
            "boxed does not go through the checkpoint's own",
        ),
    ],
)
def test_what_a_template_has_no_place_for(config: AskConfig, says: str) -> None:
    asking = config.settled(chosen_template("countdown", config))
    with pytest.raises(ReachlabError, match=says):
        asking.check()


def test_a_system_text_where_there_is_a_place() -> None:
    config = AskConfig(template="qwen-boxed", system="Be brief.")
    asking = config.settled(chosen_template("countdown", config))
    asking.check()
    prompt = load_task("countdown", asking).problems("test", 1)[0].prompt
    assert str(prompt).startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n")


def test_a_template_is_named_beside_the_task_or_in_it() -> None:
    assert chosen_template("chain", AskConfig()) is None
    assert chosen_template("chain,template=auto", AskConfig()) is None
    for spec, config in (("chain,template=abel", AskConfig()), ("chain", AskConfig(template="abel"))):
        assert chosen_template(spec, config) == TEMPLATES["abel"]
    assert chosen_template("chain,template=abel", AskConfig(template="abel")) == TEMPLATES["abel"]
    with pytest.raises(ReachlabError, match="--template bare, and the task says template=abel; leave one of them out"):
        chosen_template("chain,template=abel", AskConfig(template="bare"))
    with pytest.raises(ReachlabError, match="template=3 is neither a name nor a file"):
        chosen_template("chain,template=3", AskConfig())


def test_the_identity_leaves_out_what_is_empty() -> None:
    assert Asking().identity() == {"template": "plain"}
    asking = Asking(template=TEMPLATES["chat"], system="S", options={"a": 1}, shots=2)
    assert asking.identity() == {"template": "chat", "system": "S", "chat_template_kwargs": {"a": 1}, "shots": 2}


def test_examples_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "shots.jsonl"
    path.write_text("".join(json.dumps({"question": f"{i}?", "answer": f"{i}."}) + "\n" for i in range(3)))
    assert read_examples(str(path), 0) == (("0?", "0."), ("1?", "1."), ("2?", "2."))
    assert read_examples(str(path), 2) == (("0?", "0."), ("1?", "1."))
    with pytest.raises(ReachlabError, match="3 examples, --shots asks for 4"):
        read_examples(str(path), 4)
    path.write_text('{"question": "1?"}\n')
    with pytest.raises(ReachlabError, match=r"shots\.jsonl:1: field 'answer': text wanted"):
        read_examples(str(path), 0)
    with pytest.raises(ReachlabError, match="no such file"):
        read_examples(str(tmp_path / "none.jsonl"), 0)


def test_examples_want_a_template_that_has_room_for_them() -> None:
    with pytest.raises(ReachlabError, match="templates plain and chat, and the template orz has no place"):
        AskConfig(shots=2).settled(TEMPLATES["orz"])
    assert AskConfig(shots=2).settled(None).template == TEMPLATES["plain"]
    assert AskConfig(shots=2).settled(TEMPLATES["dapo"]).shots == 2


def test_other_names_are_the_same_templates() -> None:
    assert template_named("open-reasoner") is template_named("orz")
    assert template_named("oat-zero") is TEMPLATES["qwen25-math-cot"]
    assert template_named("simplerl") is TEMPLATES["qwen-boxed"]
    assert set(ALIASES.values()) <= set(TEMPLATES)


def test_published_templates_as_they_were_published() -> None:
    """The beginnings and ends that their repositories and papers have."""
    for name, begins, ends in (
        (
            "r1-zero",
            "A conversation between User and Assistant. The user asks",
            "</answer>. User: {question}. Assistant:",
        ),
        ("orz", "A conversation between User and Assistant. The User asks", "\n{question}\nAssistant: <think>"),
        ("oat-zero-r1", "A conversation between User", "</answer>.\nUser: {question}\nAssistant: <think>"),
    ):
        text = TEMPLATES[name].text
        assert text.startswith(begins)
        assert text.endswith(ends)
        assert TEMPLATES[name].stop == ("\nUser:",)
    assert TEMPLATES["orz"].opens == TEMPLATES["deepseek-r1"].opens == "<think>"
    assert TEMPLATES["r1-zero"].opens == ""
    ((role, said),) = TEMPLATES["dapo"].messages
    assert role == "user"
    assert said.endswith('{question}\n\nRemember to put your answer on its own line after "Answer:".')


def test_a_template_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("Q: {question}\nA:\n")
    found = template_named(str(path))
    assert (found.text, found.chat, found.takes_system) == ("Q: {question}\nA:", False, False)
    assert found.hash
    path.write_text("Q: {question}\nA: \n")
    assert template_named(str(path)).hash != found.hash
    path.write_text("Q: question?\n")
    with pytest.raises(ReachlabError, match=r"has no place for the question; write \{question\}"):
        template_named(str(path))
    path.write_bytes(b"\xff{question}")
    with pytest.raises(ReachlabError, match="not readable"):
        template_named(str(path))


def test_a_chat_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    user = {"role": "user", "content": f"{{question}}\n{BOXED}"}
    path.write_text(json.dumps({"messages": [user], "stop": ["Q:"]}))
    found = template_named(str(path))
    assert (found.messages, found.stop, found.takes_system) == ((("user", user["content"]),), ("Q:",), True)
    path.write_text(json.dumps({"messages": [{"role": "system", "content": "S"}, user]}))
    assert not template_named(str(path)).takes_system
    path.write_text(json.dumps({"text": "{system} {question}"}))
    assert template_named(str(path)).takes_system
    bad: object
    for bad in (
        [],
        {},
        {"text": "{question}", "messages": [user]},
        {"text": "{question}", "more": 1},
        {"messages": [3]},
    ):
        path.write_text(json.dumps(bad))
        with pytest.raises(ReachlabError, match="a JSON object wanted"):
            template_named(str(path))
    path.write_text("{")
    with pytest.raises(ReachlabError, match=r"mine\.json: not readable"):
        template_named(str(path))
