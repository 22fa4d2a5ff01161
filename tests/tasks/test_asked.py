import json
from pathlib import Path
from random import Random

import pytest

from reachlab.errors import ReachlabError
from reachlab.store.problems import read_problem, write_problem
from reachlab.tasks.asked import Asked
from reachlab.tasks.asking import Asking
from reachlab.tasks.judging import Judge
from reachlab.tasks.registry import load_task
from reachlab.tasks.templates import BOXED, CHOICE, TEMPLATES, template_named
from reachlab.types import Chat, Filled, Problem

GENERATED = ("countdown,numbers=3", "chain", "programs", "scenes", "gym:chain_sum")


def asked(spec: str, name: str, **more: object) -> Asked:
    return load_task(spec, Asking(template=template_named(name), **more))  # type: ignore[arg-type]


def said(problem: Problem) -> str:
    """What the user says last."""
    assert isinstance(problem.prompt, Chat)
    return str(problem.prompt.messages[-1]["content"])


@pytest.mark.parametrize("spec", GENERATED)
@pytest.mark.parametrize("name", ["plain", "bare", "chat", "chat-bare", "r1-zero", "orz"])
def test_a_way_of_asking_changes_nothing_but_the_prompt(spec: str, name: str) -> None:
    plain, other = load_task(spec), asked(spec, name)
    problems, again = plain.problems("test", 3, 5), other.problems("test", 3, 5)
    assert [p.id for p in problems] == [p.id for p in again]
    for problem, same in zip(problems, again, strict=True):
        assert (other.key(same), other.gold(same)) == (plain.key(problem), plain.gold(problem))
        assert other.bared(same) == plain.bared(problem)
        assert plain.bare(problem) in str(same.prompt)
        # Whoever judges, the problem says how an answer to it is read.
        answer = other.solve(same, Random(0))
        assert answer is not None
        for judge in (plain, other):
            assert judge.verify(same, answer).status == "correct"
            assert judge.final_answer(same, answer) == plain.final_answer(problem, str(plain.solve(problem, Random(0))))
            assert judge.check_steps(same, answer) == plain.check_steps(problem, str(plain.solve(problem, Random(0))))
    (streamed,) = (next(task.stream("train", 3)) for task in (other,))
    assert streamed.id == next(plain.stream("train", 3)).id


@pytest.mark.parametrize("spec", GENERATED)
def test_an_instruct_model_is_told_where_the_answer_goes(spec: str) -> None:
    task = asked(spec, "chat")
    (problem,) = task.problems("test", 1)
    assert "between <answer> and </answer>" in said(problem)
    right = str(task.solve(problem, Random(0)))
    assert right.startswith("<answer>")
    assert right.endswith("</answer>")
    for text in (f"Let me see. <answer>0</answer> No.\n{right}", f"<think>1 <answer>0</answer></think>{right} So."):
        assert task.verify(problem, text).status == "correct"
    for text in (f"{right} <answer>0+0=0</answer>", f"<think>{right}", "<answer></answer>"):
        assert task.verify(problem, text).status == "wrong"


def test_the_plain_forms_of_families(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"question": "2+2?", "answer": "4"}\n')
    assert (
        load_task("chain").problems("test", 1)[0].prompt
        == load_task("chain,template=bare").problems("test", 1)[0].prompt
    )
    (gym,) = load_task("gym:chain_sum").problems("test", 1)
    assert str(gym.prompt).endswith("\nGive the final answer between <answer> and </answer>.\n")
    (bare,) = load_task("gym:chain_sum,template=bare").problems("test", 1)
    assert gym.metadata == {"bare": bare.prompt, "said": [[0, len(str(gym.prompt))]]}
    for name, prompt in (("plain", "2+2?\n"), ("bare", "2+2?")):
        assert load_task(f"math:{tmp_path}/m.jsonl,template={name}").problems("all")[0].prompt == prompt


def test_math_is_asked_for_a_box_and_choices_for_a_letter(tmp_path: Path) -> None:
    rows = [
        {"question": "2+2?", "answer": "It is 4.\n#### 4"},
        {"question": "2+2?", "choices": ["3", "4"], "answer": "B", "id": "c"},
    ]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = asked(f"math:{tmp_path}/m.jsonl", "chat")
    number, choice = task.problems("all")
    assert said(number) == f"2+2?\n{BOXED}"
    assert said(choice) == f"{CHOICE}\n\n2+2?\n\nA. 3\nB. 4"
    # What is taught is what is asked for.
    assert task.solve(number, Random(0)) == "It is 4.\n#### 4\n\\boxed{4}"
    assert task.solve(choice, Random(0)) is None
    assert set(number.metadata) == {"question", "solution"}  # the question is there anyway


def test_code_is_asked_for_in_a_block(tmp_path: Path) -> None:
    begins = 'def double(x):\n    """Twice x."""\n'
    row = {
        "task_id": "T/0", "prompt": begins, "entry_point": "double", "canonical_solution": "    return 2 * x\n",
        "test": "def check(f):\n    assert f(2) == 4\n",
    }  # fmt: skip
    (tmp_path / "c.jsonl").write_text(json.dumps(row) + "\n")
    spec = f"code:{tmp_path}/c.jsonl,UNSANDBOXED=true"
    plain, chat = load_task(spec), asked(spec, "chat")
    (problem,), (told,) = plain.problems("all"), chat.problems("all")
    assert problem.prompt == begins
    assert plain.solve(problem, Random(0)) == "    return 2 * x\n"
    assert said(told).startswith(f"Complete this function:\n\n```python\n{begins}```\n\n")
    solution = chat.solve(told, Random(0))
    assert solution == f"```python\n{begins}    return 2 * x\n```"
    assert (plain.key(problem), chat.key(told)) == (begins, begins)
    with Judge(chat, workers=1, timeout_s=20) as judge:
        assert [v.status for v in judge.verify([(told, solution), (told, "```python\nx=1\n```")])] == [
            "correct",
            "wrong",
        ]


@pytest.mark.parametrize("spec", ["chain", "gym:chain_sum"])
def test_reasoning_that_the_prompt_begins_has_to_end(spec: str) -> None:
    for task in (asked(spec, "orz"), asked(spec, "chat", opens="<think>")):
        (problem,) = task.problems("test", 1)
        assert problem.metadata["opens"] == "<think>"
        answer = str(task.solve(problem, Random(0)))
        assert "</think>" in answer
        right = answer.rpartition("</think>")[2].strip()
        assert task.verify(problem, answer).status == "correct"
        assert task.verify(problem, f"so </think> {right}").status == "correct"
        assert task.verify(problem, f"<think>so </think> {right}").status == "correct"  # as a server puts it
        assert task.verify(problem, f"so {right}").status == "wrong"


def test_worked_examples_in_plain_text() -> None:
    task = asked("chain", "plain", shots=2)
    (problem,) = task.problems("test", 1)
    first, second, last = str(problem.prompt).split("\n")
    own = load_task("chain")
    for line in (first, second):
        question, answer = line.split("?")
        posed = [p for p, _ in zip(own.stream("train", 0), range(50), strict=False) if p.prompt == f"{question}?"]
        assert own.verify(posed[0], answer).status == "correct"
        assert own.split_of(posed[0]) == "train"
    assert last == own.problems("test", 1)[0].prompt
    assert task.decoding == {"stop": ("\n",)}
    assert asked("gym:chain_sum", "plain", shots=1).decoding == {"stop": ("\nQuestion:",)}
    assert asked("chain", "chat", shots=2).decoding == {}
    assert asked("chain", "orz").decoding == {"stop": ("\nUser:",)}


def test_an_example_is_never_the_problem_itself() -> None:
    task, own = asked("chain", "plain", shots=3), load_task("chain")
    shown = {line.split("?")[0] for line in str(task.problems("test", 1)[0].prompt).split("\n")[:-1]}
    for problem, _ in zip(own.stream("train", 0), range(20), strict=False):
        *before, last = str(task.ask(problem).prompt).split("\n")
        assert len(before) == 3
        assert last == problem.prompt
        assert not any(line.startswith(str(problem.prompt)) for line in before)
    assert len(shown) == 3


def test_worked_examples_in_a_chat() -> None:
    task = asked("countdown,numbers=3", "chat", shots=1, system="Be brief.", options={"a": 1})
    prompt = task.problems("test", 1)[0].prompt
    assert isinstance(prompt, Chat)
    assert [m["role"] for m in prompt.messages] == ["system", "user", "assistant", "user"]
    assert prompt.options == {"a": 1}
    assert prompt.messages[0]["content"] == "Be brief."
    assert prompt.messages[2]["content"].startswith("<answer>")


def test_examples_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"question": "2+2?", "answer": "4"}\n{"question": "3+3?", "answer": "6"}\n')
    task = asked(f"math:{tmp_path}/m.jsonl", "plain", examples=(("1+1?", "It is 2."), ("2+2?", "4.")))
    first, second = task.problems("all")
    assert first.prompt == "Question: 1+1?\nAnswer: It is 2.\n\nQuestion: 2+2?\nAnswer:"
    assert str(second.prompt).count("Question:") == 3
    with pytest.raises(ReachlabError, match="takes 3 training problems with solutions, and there are 0"):
        asked(f"math:{tmp_path}/m.jsonl", "plain", shots=2).problems("all")
    with pytest.raises(ReachlabError, match="pictures of their own; leave --shots out"):
        asked("scenes", "plain", shots=2).problems("test", 1)


def test_an_answer_goes_from_one_way_of_asking_to_another() -> None:
    plain, chat, orz = load_task("chain"), asked("chain", "chat"), asked("chain", "orz")
    (p,), (c,), (o,) = (task.problems("test", 1) for task in (plain, chat, orz))
    right = str(plain.solve(p, Random(0)))
    assert chat.again(p, right) == (c, f"<answer>{right}</answer>")
    assert plain.again(c, f"So: <answer>{right}</answer>") == (p, right)
    assert chat.again(c, "as it was") == (c, "as it was")
    assert orz.again(p, right) == (o, f"</think>\n\n<answer>{right}</answer>")
    there, back = chat.again(o, f"hm </think> <answer>{right}</answer>")
    assert (there, back) == (c, f"<think>hm </think> <answer>{right}</answer>")
    for task, (problem, text) in (
        (plain, plain.again(o, f"hm </think><answer>{right}</answer>")),
        (chat, (there, back)),
    ):
        assert task.verify(problem, text).status == "correct"


def test_a_question_full_of_braces_comes_through(tmp_path: Path) -> None:
    question = "If {question} is {system} and {plain}, \\frac{1}{2}?"
    (tmp_path / "m.jsonl").write_text(json.dumps({"question": question, "answer": "4"}) + "\n")
    for name in TEMPLATES:
        (problem,) = asked(f"math:{tmp_path}/m.jsonl", name).problems("all")
        text = said(problem) if isinstance(problem.prompt, Chat) else problem.prompt
        assert text.count(question) == 1


def test_a_problem_keeps_where_words_stand_that_could_be_marks(tmp_path: Path) -> None:
    file = tmp_path / "math.jsonl"
    questions = ["What is 1 + 1?", "Is 1 < 2, or <|im_end|>?"]
    file.write_text("".join(json.dumps({"problem": q, "answer": "2"}) + "\n" for q in questions))
    for name in ("plain", "qwen-boxed", "deepseek-r1"):
        task = asked(f"math:{file}", name)
        usual, named = sorted(task.problems("all"), key=lambda p: "<|im_end|>?" in str(p.prompt))
        assert "said" not in usual.metadata
        [again] = [read_problem(write_problem(named), "here")]
        assert again.asked == named.prompt
        assert isinstance(again.asked, Filled)
        words = [again.asked[start:stop] for start, stop in again.asked.said]
        assert sum("<|im_end|>" in word for word in words) == 1
        assert not any("<|im_start|>" in word or "begin" in word for word in words)
        assert task.ask(task.bared(again)) == named
        assert load_task(f"math:{file}").key(again) == task.key(named)
