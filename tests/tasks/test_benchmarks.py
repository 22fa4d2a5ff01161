import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image
from tests.tiny import reachlab, tiny_model, tiny_tokenizer

from reachlab.engines.config import Decoding, DecodingChoice
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import save_model
from reachlab.tasks.benchmarks import BENCHMARKS, PAPER
from reachlab.tasks.judging import Judge
from reachlab.tasks.listing import list_tasks
from reachlab.tasks.registry import FAMILIES, load_task
from reachlab.tasks.sandbox import bubble
from reachlab.tasks.templates import BOXED, TEMPLATES, fill

SHARED = Path(__file__).parents[3] / "shared" / "data"
shared = pytest.mark.skipif(not SHARED.exists(), reason="no shared/data")

# A row as each data set of the hub has it.
ROWS: dict[str, dict[str, Any]] = {
    "gsm8k": {"question": "Ann has 3 and gets 4. How many?", "answer": "3+4=<<3+4=7>>7\n#### 7"},
    "math500": {
        "problem": "What is $\\frac{1}{2}+\\frac{1}{3}$?", "solution": "It is $\\boxed{\\frac{5}{6}}$.",
        "answer": "\\frac{5}{6}", "subject": "Algebra", "level": 1, "unique_id": "test/algebra/1.json",
    },
    "minerva": {"question": "Find the speed.", "answer": "4.5e33"},
    "olympiad": {
        "id": 1606, "question": "Find all $x$ with $x^2=4$.", "solution": ["So $x = 2$ or $x = -2$."],
        "final_answer": ["2, -2"], "is_multiple_answer": True, "unit": None, "answer_type": "Numerical",
    },
    "aime24": {"id": 60, "problem": "Every morning ...", "solution": "$\\boxed{204}$.", "answer": "204"},
    "aime25": {"id": "0", "problem": "Find the sum.", "answer": "70"},
    "amc23": {"id": 0, "question": "Cities A and B.", "answer": 27.0, "url": "x"},
    "gpqa": {
        "Record ID": "rec1", "Question": "Which is it?", "Correct Answer": "this", "Incorrect Answer 1": "that",
        "Incorrect Answer 2": "those", "Incorrect Answer 3": "none", "High-level domain": "Physics",
    },
    "mmlu_pro": {
        "question_id": 70, "question": "Which is it?", "options": ["that", "this", "those"], "answer": "B",
        "answer_index": 1, "cot_content": "", "category": "physics", "src": "x",
    },
    "mathvista": {
        "pid": "1", "question": "How many bars?", "image": "x.png", "choices": None, "unit": None, "precision": None,
        "answer": "4", "question_type": "free_form", "answer_type": "integer", "metadata": {"split": "testmini"},
    },
    "mathvision": {"id": "1", "question": "How many? <image1>", "options": [], "image": "x.png", "answer": "12"},
    "geometry3k": {"images": ["x.png"], "problem": "<image>Find x.", "answer": "2\\sqrt{3}"},
    "humaneval": {
        "task_id": "HumanEval/0", "prompt": "def one():\n    ''' One. '''\n", "canonical_solution": "    return 1\n",
        "test": "def check(candidate):\n    assert candidate() == 1\n", "entry_point": "one",
    },
    "mbpp": {
        "task_id": 11, "text": "Write a function.", "code": "def one(): return 1", "test_list": ["assert one() == 1"],
        "test_setup_code": "", "challenge_test_list": [],
    },
    "livecodebench": {
        "question_id": "a", "question_content": "Print 1.", "starter_code": "", "private_test_cases": "[]",
        "public_test_cases": json.dumps([{"input": "", "output": "1", "testtype": "stdin"}]), "metadata": "{}",
    },
}  # fmt: skip
RIGHT = {
    "gsm8k": "So \\boxed{7}.", "math500": "\\boxed{5/6}", "minerva": "\\boxed{4.5\\times 10^{33}}",
    "olympiad": "\\boxed{-2, 2}", "aime24": "\\boxed{204}", "aime25": "70", "amc23": "\\boxed{27}",
    "gpqa": "Answer: this", "mmlu_pro": "Answer: B",
    "mathvista": "\\boxed{4}", "mathvision": "So 12.", "geometry3k": "\\boxed{\\sqrt{12}}",
    "humaneval": "    return 1\n", "mbpp": "```python\ndef one(): return 1\n```", "livecodebench": "```\nprint(1)\n```",
}  # fmt: skip


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_row_of_each(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a file that is named, from a folder, and through the library `datasets` all the same."""
    if BENCHMARKS[name].family == "code" and bubble.available():
        pytest.skip(bubble.available())
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    row = json.dumps(ROWS[name]).replace('"x.png"', json.dumps(str(tmp_path / "x.png")))
    file = tmp_path / f"{name}.jsonl"
    file.write_text(f"{row}\n")
    named = load_task(f"{name}:{file}")
    monkeypatch.setenv("REACHLAB_DATA", str(tmp_path))
    found = load_task(name)
    hub = tmp_path / "hub" / BENCHMARKS[name].family
    hub.mkdir(parents=True)
    split = "test"
    (hub / f"{split}.jsonl").write_text(f"{row}\n")
    through = load_task(f"{name}:datasets:{hub}#{split}")
    assert named.spec == f"{name}:{file}"
    (problem,) = named.problems("all")
    assert found.problems("all") == [problem]
    assert [p.prompt for p in through.problems("all")] == [problem.prompt]
    assert named.decoding == found.decoding == PAPER
    with Judge(named, workers=1, timeout_s=20) as judge:
        (right, wrong) = judge.verify([(problem, RIGHT[name]), (problem, "\\boxed{12345}")])
    assert (right.status, wrong.status) == ("correct", "wrong"), (right, wrong)


def test_without_data_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("REACHLAB_DATA", str(tmp_path))
    with pytest.raises(ReachlabError, match=r"MATH-500#test: not to be had .*name a file .*REACHLAB_DATA"):
        load_task("math500")
    with pytest.raises(ReachlabError, match=r"unknown task family 'math501'; there are: .*math500"):
        load_task("math501")


def test_settings_of_the_family_and_the_users_template(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps(ROWS["aime25"]) + "\n")
    for template, prompt in (
        ("abel", "Question:\nFind the sum.\nAnswer:\nLet's think step by step.\n"),
        ("plain", "Find the sum.\n"),
        (
            "qwen-boxed",
            f"<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
            f"<|im_start|>user\nFind the sum.\n{BOXED}<|im_end|>\n"
            "<|im_start|>assistant\n",
        ),
    ):
        (problem,) = load_task(f"aime25:{tmp_path / 'x.jsonl'},template={template}").problems("all")
        assert problem.prompt == prompt
    with pytest.raises(ReachlabError, match=r"no template 'x', .*; there are: plain, bare, boxed, choice, abel"):
        load_task(f"aime25:{tmp_path / 'x.jsonl'},template=x")


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_hold_the_question_once_and_as_it_is(name: str) -> None:
    question = "If $f(x) = \\frac{a}{b}$ and {x} {question}, {{y}}?"
    template = TEMPLATES[name]
    values = {"question": question, "plain": f"{question}\n", "instructed": f"{question} Be quick.", "system": "S"}
    texts = [template.text, *(text for _, text in template.messages)]
    assert sum(fill(text, values).count(question) for text in texts) == 1


def test_every_family_of_a_benchmark_is_there() -> None:
    assert {b.family for b in BENCHMARKS.values()} <= set(FAMILIES)
    assert not set(BENCHMARKS) & set(FAMILIES)
    assert set(ROWS) == set(BENCHMARKS)


def test_decoding_is_the_users_then_the_benchmarks() -> None:
    assert DecodingChoice().settled({}) == Decoding()
    assert DecodingChoice().settled(PAPER) == Decoding(temperature=0.6, top_p=0.95, max_tokens=16384)
    assert DecodingChoice(temperature=0.0, max_tokens=8).settled(PAPER) == Decoding(
        temperature=0, top_p=0.95, max_tokens=8
    )
    assert Decoding(max_tokens=8).settled(PAPER) == Decoding(max_tokens=8)
    with pytest.raises(ReachlabError, match="temperature"):
        DecodingChoice(temperature=-1)


@pytest.mark.slow
def test_a_run_of_a_benchmark(tmp_path: Path) -> None:
    save_model(tmp_path / "model", tiny_model(), tiny_tokenizer())
    (tmp_path / "aime25.jsonl").write_text(json.dumps(ROWS["aime25"]) + "\n")
    words = ("sample", "--model", tmp_path / "model", "--task", "aime25,template=plain", "--samples", "4")
    found = reachlab(*words, "--max-tokens", "6", "--out", tmp_path / "run", REACHLAB_DATA=str(tmp_path))
    assert found.returncode == 0, found.stderr
    document = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert document["decoding"] == {"temperature": 0.6, "top_p": 0.95, "top_k": 0, "max_tokens": 6, "stop": []}
    assert {"aime25", "livecodebench"} <= {row["task"] for row in list_tasks()}


@shared
@pytest.mark.slow
@pytest.mark.parametrize("name", ["math500", "minerva", "gsm8k_test", "aime24"])
def test_worked_solutions_are_right(name: str) -> None:
    """Against their own answers."""
    task = load_task(f"math:{SHARED / f'{name}.jsonl'}")
    pairs = [(p, text) for p in task.problems("all") if (text := task.solve(p, Random(0))) is not None]
    assert len(pairs) >= 30
    with Judge(task, timeout_s=20) as judge:
        wrong = [p.id for (p, _), v in zip(pairs, judge.verify(pairs), strict=True) if v.status != "correct"]
    assert wrong == []
