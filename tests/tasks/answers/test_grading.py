import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tasks.answers.cases import CASES, CHOICES

from reachlab.tasks.answers.grading import gold_of, grade, read
from reachlab.tasks.judging import Judge
from reachlab.tasks.math import Math
from reachlab.types import Problem

SHARED = Path(__file__).parents[3].parent / "shared" / "cases" / "math.jsonl"


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    """A case that hangs fails by itself."""
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.mark.parametrize("kind", CASES)
def test_the_verdict_on_each_case(kind: str) -> None:
    wrong = []
    for gold, text, want in CASES[kind]:
        graded = grade(gold_of(gold), text)
        if graded.status not in want.split("|"):
            wrong.append((gold, text, want, graded))
    assert wrong == []


def test_the_verdict_on_each_choice() -> None:
    wrong = []
    for gold, options, text, want in CHOICES:
        graded = grade(gold_of(gold, options), text)
        if graded.status not in want.split("|"):
            wrong.append((gold, text, want, graded))
    assert wrong == []


def test_the_verdict_on_each_hard_case() -> None:
    """What a reader with a grudge found: bounds, lists, denials, corrections, units, odd LaTeX."""
    rows = [json.loads(line) for line in (Path(__file__).parent / "hard_cases.jsonl").read_text().splitlines()]
    assert len(rows) > 300
    wrong = []
    for gold, text, want, *options in rows:
        graded = grade(gold_of(gold, tuple(*options)), text)
        if graded.status not in want.split("|"):
            wrong.append((gold, text, want, graded))
    assert wrong == []


@pytest.mark.parametrize(
    ("gold", "question", "text"),
    [
        ("6+9i", "Evaluate $(1+2i)6-3i$.", "We evaluate $(1+2i)6-3i$."),
        ("11\\sqrt{2}", "Simplify $\\sqrt{242}$.", "\\boxed{\\sqrt{242}}"),
        ("x^2+2x+1", "Expand $(x+1)^2$.", "The answer is $(x+1)^2$."),
    ],
)
def test_to_repeat_the_question_is_no_answer(gold: str, question: str, text: str) -> None:
    graded = grade(gold_of(gold), text, question=question)
    assert graded.status == "wrong"
    assert graded.reason.startswith("a formula of the question")
    assert grade(gold_of(gold), f"\\boxed{{{gold}}}", question=question).status == "correct"


def test_a_verdict_rests_on_the_final_answer() -> None:
    for cases in CASES.values():
        verdicts: dict[tuple[str, str | None], set[str]] = {}
        for gold, text, _ in cases:
            graded = grade(gold_of(gold), text)
            assert graded.final == read(gold_of(gold), text)
            assert graded.status == "wrong" or graded.final is not None
            assert graded.status == "correct" or graded.final != gold_of(gold).canonical
            verdicts.setdefault((gold, graded.final), set()).add(graded.status)
        assert all(len(found) == 1 for found in verdicts.values())


GOLDS = sorted({gold for cases in CASES.values() for gold, _, _ in cases})


@pytest.mark.parametrize("form", ["\\boxed{{{}}}", "<think>no</think> <answer>{}</answer>"])
def test_every_gold_answer_is_itself(form: str) -> None:
    assert [gold for gold in GOLDS if grade(gold_of(gold), form.format(gold)).status != "correct"] == []


@settings(max_examples=200, deadline=None)
@given(
    text=st.text()
    | st.text(alphabet="0123456789.,/$\\{}()[]%-+= axA:#*\n<>")
    | st.lists(
        st.sampled_from(
            ["\\boxed{", "}", "$", "The answer is ", "#### ", "<answer>", "</answer>", "\n", "5", "B", "\\frac"]
        )
    ).map("".join),
    gold=st.sampled_from(["5", "\\sqrt{2}", "B", "Evelyn", "1,2", "(0,1]", "x=2y"]),
)
def test_any_text_has_a_verdict_and_one_reading(text: str, gold: str) -> None:
    graded = grade(gold_of(gold), text)
    assert graded.final == read(gold_of(gold), text)
    assert graded.status in ("correct", "wrong", "unscored")
    assert bool(graded.reason) == (graded.status != "correct")
    if graded.stated is not None:
        assert 0 <= graded.stated.start <= graded.stated.end <= len(text)


@settings(max_examples=100, deadline=None)
@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_a_number_is_no_other_number(a: int, b: int) -> None:
    for form in ("\\boxed{{{:,}}}", "#### {}", "The answer is ${}$.", "We get {}", "<answer>{:.1f}</answer>"):
        assert (grade(gold_of(str(a)), form.format(b)).status == "correct") == (a == b)


@pytest.mark.parametrize(
    ("text", "stated", "mark"),
    [
        ("We get \\boxed{5} in all.", "5", "box"),
        ("<think>4</think><answer> 5 </answer>", " 5 ", "answer tag"),
        ("so\n#### 5\n", "5", "####"),
        ("**Answer:** 5 apples", "5 apples", "Answer:"),
        ("So the answer is 5, since 2+3=5.", "5, since 2+3=5.", "phrase"),
        ("Thus $x = 5$.", "$x = 5$", "formula"),
        ("She has 5 apples.", "5", "number"),
    ],
)
def test_where_an_answer_stands_and_how_it_is_marked(text: str, stated: str, mark: str) -> None:
    graded = grade(gold_of("5"), text)
    assert graded.status == "correct"
    assert graded.stated is not None
    assert (text[graded.stated.start : graded.stated.end].strip(), graded.stated.mark) == (stated.strip(), mark)


def test_why_there_is_no_answer() -> None:
    for text, reason in (
        ("<think>It is 5", "the reasoning does not end"),
        ("<think>It is 5</think>", "nothing after the reasoning"),
        ("I do not know.", "no answer found"),
        (f"\\boxed{{{'5' * 5000}}}", "too long to be an answer"),
    ):
        graded = grade(gold_of("5"), text)
        assert (graded.status, graded.reason, graded.final) == ("wrong", reason, None)


def test_what_nothing_can_tell_is_unscored() -> None:
    for gold, text, why in (
        ("9^{9^{9^{9}}}", "\\boxed{9^{9^{9^{8}}}}", "too large to be computed"),
        ("\\left(\\right.\\frac", "\\boxed{5}", "has no mathematical reading"),
    ):
        graded = grade(gold_of(gold), text)
        assert graded.status == "unscored"
        assert why in graded.reason


def hostile_answers() -> list[str]:
    """What a text may do to whoever computes it: powers, sums, nests, lengths, and marks without end."""
    towers = [
        f"\\boxed{{{a}^{{{b}^{{{c}}}}}}}"
        for a in (2, 9, "x", "e")
        for b in (3, 9, "x")
        for c in (9, 99, "x", "k!", "10")
    ]
    sums = [
        f"\\boxed{{\\{kind}_{{k=1}}^{{{n}}} k^{{{p}}}}}"
        for kind in ("sum", "prod")
        for n in ("10^9", "n", "\\infty")
        for p in (1, 99)
    ]
    large = [
        "100000000!",
        "(10^{10^{10}})!",
        "\\binom{10^9}{5\\cdot10^8}",
        "5!!!!!!!!",
        "10^{-99999999}",
        "1e999999",
        "9**9**9",
        "((9^9)^9)^9",
    ]
    odd = [
        "\\int_0^\\infty e^{-x^{x^x}}dx",
        "\\lim_{x\\to0}\\frac{\\sin x}{x}",
        "\\sqrt[9999]{2}",
        "\\frac{0}{0}",
        "\\tan\\frac{\\pi}{2}",
        "\\log 0",
        "0^0",
        "\\infty-\\infty",
    ]
    nests = [
        "(" * 300 + "2" + ")" * 300,
        "\\sqrt{" * 200 + "2" + "}" * 200,
        "\\frac1" * 300,
        "x^" * 900 + "2",
        "\\text{" * 200 + "a" + "}" * 200,
        "{" * 900,
    ]
    long = [
        "1," * 1500,
        "x+" * 1500,
        "9" * 3999,
        "9" * 100_000,
        "1 " * 1500,
        "a or " * 600,
        "\\pm" * 500,
        "|" * 2000,
        "0." + "3" * 3000,
    ]
    boxes = [f"\\boxed{{{x}}}" for x in (*large, *odd, *nests, *long)]
    marks = [
        m * 20_000
        for m in (
            "\\boxed{",
            "#### ",
            "#### 7\n",
            "Answer: ",
            "the answer is ",
            "<answer>",
            "</think>",
            "<think>",
            "\nQuestion: 7",
            "$",
            "\\[",
            "(",
            "7 ",
            "A: 7\n",
            "答案是",
        )
    ]
    bare = [*large, *odd, *nests, *long]
    code = [
        "__import__('os').system('id')",
        "().__class__.__bases__",
        "lambda: 0",
        "exec('1')",
        "\\input{/etc/passwd}",
        "\\def\\x{\\x}\\x",
        "%n%s",
        "\ud800",
        "\x00" * 100,
        "\u202e" * 100,
        "∑" * 500,
        "x=x=x=x",
        "\\begin{matrix}" * 50,
        "&" * 500,
        "\\\\" * 500,
    ]
    framed = [*(f"\\boxed{{{c}}}" for c in code), *(f"The answer is {b}." for b in bare)]
    return [*towers, *sums, *boxes, *marks, *bare, *code, *framed]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gold", "honest"), [("5", "\\boxed{5}"), ("\\sqrt{2}+x", "\\boxed{x+\\sqrt{2}}"), ("(0,1]", "$0<x\\le1$")]
)
def test_hostile_answers_in_a_row_harm_nothing(gold: str, honest: str) -> None:
    import psutil

    signal.alarm(0)
    problem = Problem(id="x", prompt="?", answer=gold)
    hostile = hostile_answers()
    assert len(hostile) >= 200
    with Judge(Math(), workers=2, timeout_s=5) as judge:
        assert judge.verify([(problem, honest)])[0].status == "correct"
        before = psutil.Process().memory_info().rss
        verdicts = judge.verify([(problem, text) for text in hostile])
        assert psutil.Process().memory_info().rss - before < 64 << 20
        assert judge.verify([(problem, honest)])[0].status == "correct"
    assert [t[:60] for t, v in zip(hostile, verdicts, strict=True) if v.status == "correct"] == []
    assert all(v.reason for v in verdicts)


@pytest.mark.skipif(not SHARED.exists(), reason="the cases are not beside this checkout")
@pytest.mark.slow
def test_the_cases_beside_this_checkout() -> None:
    signal.alarm(0)
    rows = [json.loads(line) for line in SHARED.read_text().splitlines()]
    pairs = [(Problem(id=str(i), prompt="?", answer=r["answer"]), r["response"]) for i, r in enumerate(rows)]
    with Judge(Math()) as judge:
        verdicts = judge.verify(pairs)
    assert [r for r, v in zip(rows, verdicts, strict=True) if v.status not in r["want"].split("|")] == []
