import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.tasks.judging import Judge
from reachlab.tasks.math import Math, boxed_answer, marked_answer
from reachlab.tasks.registry import load_task
from reachlab.tasks.templates import TEMPLATES
from reachlab.types import Problem

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def data(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"benchmark file {name} is not beside this checkout")
    return DATA / name


def write(path: Path, *rows: Any) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def judged(gold: str, text: str) -> str:
    return Math().verify(Problem(id="x", prompt="?", answer=gold), text).status


SHAPES = {
    "gsm8k": ({"question": "2+2?", "answer": "2+2=<<2+2=4>>4\n#### 4"}, "0", "4", "2+2=<<2+2=4>>4\n#### 4"),
    "math": (
        {"problem": "2+2?", "solution": "It is $\\boxed{4}$.", "answer": "4", "unique_id": "test/a/1.json"},
        "test/a/1.json",
        "4",
        "It is $\\boxed{4}$.",
    ),
    "aime": ({"id": 60, "problem": "2+2?", "question": "other", "answer": "204"}, "60", "204", None),
    "amc": ({"id": 0, "problem": "2+2?", "answer": 27.0}, "0", "27", None),
    "amc fraction": ({"id": 0, "problem": "2+2?", "answer": 0.5}, "0", "0.5", None),
    "minerva": (
        {"problem": "2+2?", "solution": "\\[s=\\boxed{\\frac{1}{2}} \\mathrm{~cm}\\]", "idx": 3},
        "3",
        "\\frac{1}{2}",
        "\\[s=\\boxed{\\frac{1}{2}} \\mathrm{~cm}\\]",
    ),
    "model solutions": (
        {"question": "2+2?", "ground_truth": "2+2=4\nA: 1,234"},
        "0",
        "1,234",
        "2+2=4\nA: 1,234",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_read(shape: str, tmp_path: Path) -> None:
    row, identity, gold, solution = SHAPES[shape]
    task = Math(write(tmp_path / "a.jsonl", row))
    (problem,) = task.problems("all")
    assert (problem.id, problem.answer, problem.prompt) == (identity, gold, "2+2?")
    assert task.solve(problem, random.Random(0)) == solution
    if solution is not None:
        assert task.verify(problem, solution).status == "correct"


def test_a_compressed_file_blank_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(
        gzip.compress(b'\xef\xbb\xbf\n{"question": "1?", "answer": "1"}\n\n{"question": "2?", "answer": "2"}\n')
    )
    assert [p.answer for p in Math(str(path)).problems("all")] == ["1", "2"]


def test_an_id_that_some_rows_lack_is_not_the_id(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"question": "1?", "answer": "1", "id": "a"}, {"question": "2?", "answer": "2"})
    assert [p.id for p in Math(path).problems("all")] == ["0", "1"]


GOOD = {"question": "1?", "answer": "1"}


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([GOOD, '{"question": "2?", "ans'], r"a\.jsonl:2: not JSON .* truncated"),
        ([GOOD, [1]], r"a\.jsonl:2: list found"),
        ([GOOD, {"answer": "2"}], r"a\.jsonl:2: no field problem or question or prompt or .*; its fields: answer"),
        ([GOOD, {"question": "2?"}], r"a\.jsonl:2: no field answer or .*; its fields: question"),
        ([GOOD, {"question": "2?", "answer": None}], r"a\.jsonl:2: no field answer"),
        ([GOOD, {"question": 2, "answer": "2"}], r"a\.jsonl:2: field 'question': text wanted, found 2"),
        ([GOOD, {"question": " ", "answer": "2"}], r"a\.jsonl:2: field 'question': text wanted"),
        (
            [GOOD, {"question": "2?", "answer": [2]}],
            r"a\.jsonl:2: field 'answer': text or a number wanted, found \[2\]",
        ),
        ([GOOD, {"question": "2?", "answer": True}], r"a\.jsonl:2: field 'answer': text or a number wanted"),
        (
            [GOOD, '{"question": "2?", "answer": NaN}'],
            r"a\.jsonl:2: field 'answer': text or a number wanted, found nan",
        ),
        ([GOOD, {"question": "2?", "answer": "so\n#### ?"}], r"a\.jsonl:2: field 'answer': no answer in"),
        ([GOOD, {"question": "2?", "answer": ""}], r"a\.jsonl:2: field 'answer': no answer in ''"),
        (
            [GOOD, {"question": "2?", "solution": "It is 4."}],
            r"a\.jsonl:2: field 'solution': no final answer",
        ),
        (
            [GOOD, {"question": "2?", "solution": "\\boxed{4"}],
            r"a\.jsonl:2: field 'solution': no final answer",
        ),
        (
            [{**GOOD, "id": 7}, {"question": "2?", "answer": "2", "id": 7}],
            r"a\.jsonl:2: id '7' again \(first at .*a\.jsonl:1\)",
        ),
        ([], r"a\.jsonl: empty file"),
        (["", "  "], r"a\.jsonl: empty file"),
    ],
)
def test_bad_files(tmp_path: Path, lines: list[Any], says: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines))
    with pytest.raises(ReachlabError, match=says) as caught:
        Math(str(path))
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match=r"nowhere\.jsonl: no such file"):
        Math(str(tmp_path / "nowhere.jsonl"))
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReachlabError, match="not UTF-8 text"):
        Math(str(tmp_path / "b.jsonl"))
    whole = gzip.compress(b'{"question": "1?", "answer": "1"}\n' * 100)
    for bad in (b"no archive at all", whole[: len(whole) // 2]):
        (tmp_path / "c.jsonl.gz").write_bytes(bad)
        with pytest.raises(ReachlabError, match=r"c\.jsonl\.gz: damaged or truncated archive"):
            Math(str(tmp_path / "c.jsonl.gz"))
    with pytest.raises(ReachlabError, match="not readable"):
        Math(str(tmp_path))


def test_templates_change_the_prompt_and_not_the_split(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *({"question": f"{{{i}}}?", "answer": i} for i in range(50)))
    plain, boxed = load_task(f"math:{path}"), load_task(f"math:{path},template=boxed")
    assert plain.problems("all")[3].prompt == "{3}?\n"
    assert boxed.problems("all")[3].prompt == (
        "{3}?\nPlease reason step by step, and put your final answer within \\boxed{}.\n"
    )
    assert [p.id for p in plain.problems("test")] == [p.id for p in boxed.problems("test")]
    with pytest.raises(
        ReachlabError, match=f"no template 'b', and no file of that name; there are: {', '.join(TEMPLATES)}"
    ):
        load_task(f"math:{path},template=b")


def test_without_a_file_there_are_no_problems_to_ask() -> None:
    with pytest.raises(ReachlabError, match="has no problems of its own"):
        Math().problems("all")


def test_where_an_answer_is_marked() -> None:
    assert marked_answer("#### 3. Combine\nso\n#### 18\n\n") == "18"
    assert marked_answer("A: 18") == "18"
    assert marked_answer("#### 18\nand more") is None
    assert marked_answer("") is None
    assert boxed_answer("\\boxed{1} then \\boxed{\\frac{1}{2}}!") == "\\frac{1}{2}"
    assert boxed_answer("\\boxed{1} then \\boxed{2") == "1"
    assert boxed_answer("nothing") is None


@pytest.mark.parametrize(
    ("gold", "text"),
    [
        ("18", "so 9*2=18\n#### 18"),
        ("18", "so\nA: $18.00"),
        ("1000", "#### 1,000 dollars."),
        ("70,000", "The answer is 70000."),
        ("20", "A: 20%"),
        ("18", "We get 16 - 7 = 9, and 9 * 2 = 18."),
        ("18", "The final answer is $\\boxed{18}$."),
        ("18", "A: The answer is 18"),
        ("\\frac{1}{2}", "\\boxed{0.5}"),
        ("\\frac{1}{2}", "#### 1/2"),
        ("\\frac{1}{2}", "A: \\frac{2}{4}"),
        ("0.333333", "A: 1/3"),
        ("1.39e-10", "$1.39 \\times 10^{-10}$"),
        ("1e-5", "\\boxed{0.00001}"),
        ("123456789012345678901234567890123456789", "$123456789012345678901234567890123456789$"),
        ("3/4", "\\boxed{0.75}"),
        ("20%", "\\boxed{20\\%}"),
        ("2k", "\\boxed{2k}"),
        ("p - q", "Hence $-q+p$."),
        ("\\left( 3, \\frac{\\pi}{2} \\right)", "the point is $\\boxed{(3, \\pi/2)}$"),
        ("\\text{Evelyn}", "\\boxed{\\text{Evelyn}}"),
        ("4.5e33", "\\boxed{4.5e33}"),
        ("4.5e33", "$\\boxed{4.5 \\times 10^{33}}$"),
        ("\\$32,\\!348", "\\boxed{\\$32,\\!348}"),
    ],
)
def test_right_answers(gold: str, text: str) -> None:
    assert judged(gold, text) == "correct"


@pytest.mark.parametrize(
    ("gold", "text"),
    [
        ("18", ""),
        ("18", "I do not know."),
        ("18", "18 is not it\n#### 19"),
        ("18", "A: 1.8"),
        ("18", "A: -18"),
        ("2", "A: 2x+1"),
        ("2k", "\\boxed{2}"),
        ("18", "#### ###"),
        ("\\frac{1}{2}", "\\boxed{\\frac{1}{3}}"),
        ("(1,2)", "\\boxed{(2,1)}"),
        ("1.39e-10", "$5 \\times 10^{-10}$"),
        ("1e-7", "A: 0"),
        ("123456789012345678901234567890123456789", "$123456789012345678901234567890123456788$"),
    ],
)
def test_wrong_answers(gold: str, text: str) -> None:
    assert judged(gold, text) == "wrong"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("18 - 2 = 16\n#### 16", "16"),
        ("x\nA: 5 apples, of 9 fruits", "5"),
        ("#### Evelyn", "Evelyn"),
        ("so \\boxed{1}, or rather \\boxed{\\text{June 20}}", "June 20"),
        ("\\boxed{7}\n#### 8", "7"),
        ("The final answer is $\\frac{1}{2}$. We used 3 lemmas.", "1/2"),
        ("Answer: (C)\nbecause 7", "C"),
        ("the answer is 1,234.5. Good", "2469/2"),
        ("I think of 4 dollars", "4"),
        ("No idea.", None),
        ("", None),
    ],
)
def test_what_an_answer_comes_down_to(text: str, answer: str | None) -> None:
    assert Math().final_answer(Problem(id="x", prompt="?", answer="1"), text) == answer


@settings(deadline=None)
@given(st.text() | st.text("0123456789.,/$\\{}()%-+= a"))
def test_no_text_breaks_the_final_answer(text: str) -> None:
    problem = Problem(id="x", prompt="?", answer="1")
    for said in (text, f"#### {text}", f"\\boxed{{{text}}}", f"the answer is {text}"):
        answer = Math().final_answer(problem, said)
        assert answer is None or answer == answer.strip() != ""


@pytest.mark.parametrize("solver", ["6b_finetuning", "175b_verification"])
def test_real_answers_come_down_to_the_gold_answer_where_they_are_right(solver: str) -> None:
    task = Math()
    for line in data("gsm8k_model_solutions.jsonl").read_text().splitlines()[::10]:
        row = json.loads(line)
        problem = Problem(id="x", prompt=row["question"], answer=str(marked_answer(row["ground_truth"])))
        text = row[solver]["solution"]
        assert (task.final_answer(problem, text) == task.gold(problem)) == row[solver]["is_correct"]


def test_a_gold_answer_without_a_reading_is_an_error_and_not_a_wrong_answer() -> None:
    with pytest.raises(ValueError, match="has no mathematical reading"):
        judged("$", "\\boxed{5}")


@settings(max_examples=30, deadline=None)
@given(
    st.integers(-(10**6), 10**6),
    st.sampled_from(["#### {}", "A: {}", "\\boxed{{{}}}", "The answer is ${}$."]),
)
def test_a_number_is_itself_and_no_other(n: int, form: str) -> None:
    assert judged(str(n), form.format(n)) == "correct"
    assert judged(str(n + 1), form.format(n)) == "wrong"


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("gsm8k_train.jsonl", 7473),
        ("gsm8k_test.jsonl", 1319),
        ("gsm8k_model_solutions.jsonl", 1319),
        ("math500.jsonl", 500),
        ("aime24.jsonl", 30),
        ("amc23.jsonl", 40),
        ("minerva.jsonl", 272),
    ],
)
def test_real_files_load_and_split(name: str, count: int) -> None:
    task = Math(str(data(name)))
    train, test = task.problems("train"), task.problems("test")
    assert len(task.problems("all")) == len(train) + len(test) == count
    assert not {task.key(p) for p in train} & {task.key(p) for p in test}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "answer", "every"),
    [
        ("math500.jsonl", "{p.metadata[solution]}", 1),
        ("minerva.jsonl", "It is $\\boxed{{{p.answer}}}$.", 4),  # sympy is slow on many of these
    ],
)
def test_real_answers_are_judged_correct(name: str, answer: str, every: int) -> None:
    task = Math(str(data(name)))
    problems = task.problems("all")[::every]
    with Judge(task, timeout_s=30) as judge:
        verdicts = judge.verify([(p, answer.format(p=p)) for p in problems])
    assert [p.id for p, v in zip(problems, verdicts, strict=True) if v.status != "correct"] == []


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(ReachlabError, match=r"HumanEval\.jsonl\.gz:1: no field answer or"):
        Math(str(data("HumanEval.jsonl.gz")))
