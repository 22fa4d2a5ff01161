"""Pairs of runs that a user could hold against each other, and that are not about the same; and pairs that are."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.pairing.matching_runs import FORMULAS, GOLDS, SYMBOLS, WORDS, asked, logged, stored

from reachlab.errors import ReachlabError
from reachlab.pairing.matching import Match, Matched, match_runs, remarks_on
from reachlab.store.samples import SampleStore
from reachlab.types import Chat, Problem

Two = tuple[SampleStore, SampleStore]
SIX = "6 with another question"
ABEL = "Question:\n{}\nAnswer:\nLet's think step by step.\n"
QWEN = "<|im_start|>user\n{}\nPut your final answer within \\boxed{{}}.<|im_end|>\n<|im_start|>assistant\n"
SHOTS = ("Q: 1+1?\nA: 2\n\n", "Q: 2+3?\nA: 5\n\n", "Q: 4-1?\nA: 3\n\n", "Q: 7-7?\nA: 0\n\n")


def match(stores: Sequence[SampleStore], how: Match = "id") -> Matched:
    return match_runs(stores, [store.folder.name for store in stores], how)


def two(tmp_path: Path, base: Sequence[Problem], other: Sequence[Problem], kind: str = "sample") -> Two:
    return stored(tmp_path / "base", base), stored(tmp_path / "other", other, kind=kind)


def written(template: str, questions: Sequence[str] = WORDS) -> list[str]:
    return [template.format(question) for question in questions]


def changed(values: Sequence[str], at: int, value: str) -> list[str]:
    return [value if i == at else old for i, old in enumerate(values)]


def shuffled(problems: Sequence[Problem]) -> list[Problem]:
    """The same problems in another order, numbered anew."""
    order = [3, 5, 4, 0, 2, 1]
    return [replace(problems[at], id=str(i)) for i, at in enumerate(order)]


def gym(seed: int, settings: str = "") -> list[Problem]:
    """Chains of sums under the numbers of a list, as a data set of drawn problems has them."""
    rng = Random(f"{seed} {settings}")
    drawn = [[rng.randrange(10, 99) for _ in range(3)] for _ in range(6)]
    questions = [
        f"State the final answer to the following arithmetic problem: {' + '.join(map(str, d))} =" for d in drawn
    ]
    return asked(questions, [str(sum(d)) for d in drawn])


def checks(*asserts: str) -> dict[str, object]:
    return {"code": "\n".join(asserts), "names": ["test"]}


EDITED = WORDS[2].replace("150", "170")
ADD, ADD_0, SUB = "assert add(1, 2) == 3", "assert add(0, 0) == 0", "assert sub(2, 1) == 1"
PROGRAMS = ['def add(a, b):\n    """Sum."""', 'def sub(a, b):\n    """Difference."""']
SCENES = [("scene:count 3 red",), ("scene:count 4 red",), ("scene:count 5 red",)]
COUNT = ["How many red shapes are there?"] * 3
PAIRS: dict[str, tuple[Callable[[], list[Problem]], Callable[[], list[Problem]], str, str]] = {
    # what is mismatched: base, other, the kind of the other run, what has to be said
    "GSM8K against MATH, both from 0": (asked, lambda: asked(SYMBOLS, FORMULAS), "sample", SIX),
    "GSM8K against a log of MATH": (asked, lambda: logged(SYMBOLS, FORMULAS), "import", SIX),
    "GSM8K against a templated log of MATH": (
        asked, lambda: logged(written(ABEL, SYMBOLS), FORMULAS), "import", SIX,
    ),
    "a log of MATH without gold answers": (asked, lambda: logged(SYMBOLS, [None] * 6), "import", SIX),
    "the same file in another order": (asked, lambda: shuffled(asked()), "sample", SIX),
    "a log in another order": (asked, lambda: shuffled(logged(written(QWEN))), "import", SIX),
    "two problems swapped": (
        asked, lambda: asked([WORDS[1], WORDS[0], *WORDS[2:]], [GOLDS[1], GOLDS[0], *GOLDS[2:]]), "sample",
        "2 with another question: '0' asks \"Janet's ducks",
    ),
    "numbered from 1": (
        asked, lambda: asked(ids=[str(i) for i in range(1, 7)]), "sample", "of 5 ids in both, 5 with another question",
    ),
    "one question edited": (
        asked, lambda: asked(changed(WORDS, 2, EDITED)), "sample", "1 with another question: '2'",
    ),
    "one question of a templated log edited": (
        asked, lambda: logged(written(ABEL, changed(WORDS, 2, EDITED))), "import",
        "1 with another question: '2'",
    ),
    "one gold answer edited": (
        asked, lambda: asked(WORDS, changed(GOLDS, 4, "61")), "sample",
        "1 with another gold answer: '4' has '60' and '61'",
    ),
    "one gold answer of a log edited": (
        asked, lambda: logged(written(ABEL), changed(GOLDS, 4, "61")), "import", "1 with another gold answer: '4'",
    ),
    "another revision of the benchmark": (
        lambda: asked(SYMBOLS, FORMULAS),
        lambda: asked([*SYMBOLS[:5], "Which of these is a third of $3$?"], changed(FORMULAS, 1, "q - p")), "sample",
        "1 with another question: '5' asks 'Which of these fractions is half",
    ),
    "another problem seed of drawn problems, numbered": (lambda: gym(0), lambda: gym(1), "sample", SIX),
    "another split, numbered": (
        lambda: asked()[:3], lambda: asked(WORDS[3:], GOLDS[3:]), "sample", "3 with another question",
    ),
    "other pictures under the same ids and questions": (
        lambda: asked(COUNT, ["3", "4", "5"], images=SCENES),
        lambda: asked(COUNT, ["3", "4", "5"], images=[*SCENES[:2], ("scene:count 5 blue",)]), "sample",
        "1 with other pictures: '2'",
    ),
    "pictures in another order": (
        lambda: asked(COUNT, ["3", "4", "5"], images=SCENES),
        lambda: asked(COUNT, ["3", "4", "5"], images=SCENES[::-1]), "sample", "2 with other pictures",
    ),
    "pictures against none": (
        lambda: asked(COUNT, ["3", "4", "5"], images=SCENES), lambda: asked(COUNT, ["3", "4", "5"]), "sample",
        "3 with other pictures",
    ),
    "programs under more tests": (
        lambda: asked(PROGRAMS, [checks(ADD), checks(SUB)]),
        lambda: asked(PROGRAMS, [checks(ADD, ADD_0), checks(SUB)]), "sample", "1 with another gold answer: '0'",
    ),
    "options in another order": (
        lambda: asked(["Which?\n\nA. red\nB. blue"], ["A"], choices=["red", "blue"]),
        lambda: asked(["Which?\n\nA. blue\nB. red"], ["B"], choices=["blue", "red"]), "sample",
        "1 with another question",
    ),
    "a question of which one run has the half": (
        lambda: asked(), lambda: asked([question[: len(question) // 2] for question in WORDS]), "sample",
        SIX,
    ),
    "no questions, other gold answers": (
        asked, lambda: logged([""] * 6, FORMULAS), "import", "6 with another gold answer",
    ),
    "formulas that are none another": (
        lambda: asked(SYMBOLS, FORMULAS), lambda: asked(SYMBOLS, changed(FORMULAS, 1, "p - 2q")), "sample",
        "1 with another gold answer: '1' has 'p - q' and 'p - 2q'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", PAIRS)
def test_mismatched_runs_are_refused(what: str, tmp_path: Path) -> None:
    base, other, kind, said = PAIRS[what]
    with pytest.raises(ReachlabError) as refused:
        match(two(tmp_path, base(), other(), kind))
    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith("base and other are not about the same problems")
    assert said in message
    assert "--match question" in message


def test_there_are_twenty_of_them() -> None:
    assert len(PAIRS) >= 20


CHATS = [
    Chat(({"role": "system", "content": "Be brief."}, {"role": "user", "content": f"{q}\nBox it."})) for q in WORDS
]
SAME: dict[str, tuple[Callable[[], list[Problem]], Callable[[], list[Problem]], str]] = {
    "two templates": (lambda: asked(prompts=written(ABEL)), lambda: asked(prompts=written(QWEN)), "sample"),
    "a chat against plain text": (asked, lambda: asked(prompts=CHATS), "sample"),
    "a bare question against a log's prompt": (asked, lambda: logged(written(QWEN)), "import"),
    "two logs of two templates": (lambda: logged(written(ABEL)), lambda: logged(written(QWEN)), "import"),
    "a log of half the problems": (asked, lambda: logged(written(QWEN))[3:], "import"),
    "a log of one problem": (asked, lambda: logged(written(QWEN))[2:3], "import"),
    "worked examples that differ by problem": (
        asked, lambda: logged([f"{SHOTS[i % 4]}{SHOTS[(i + 1) % 4]}Q: {q}\nA:" for i, q in enumerate(WORDS)]), "import",
    ),
    "a question that ends the other's": (
        lambda: asked(["2+3=?", "3+5=?"], ["5", "8"]),
        lambda: logged([f"{SHOTS[0]}2+3=?", f"{SHOTS[1]}3+5=?"], ["5", "8"]), "import",
    ),
    "other spacing, and an accent in two parts": (
        lambda: asked(["Wie groß ist das  Caf\u00e9?", "Und\nhier?"], ["1", "2"]),
        lambda: asked(["Wie groß ist das Cafe\u0301?", "Und hier? "], ["1", "2"]), "sample",
    ),
    "gold answers written otherwise": (
        lambda: asked(SYMBOLS, FORMULAS),
        lambda: asked(
            SYMBOLS,
            [
                "(3, \\dfrac{\\pi}{2})", "-q+p", "14/3", "3 times 3.\n#### 9", "So it is $\\boxed{27}$.", "0.5",
            ],
        ), "sample",
    ),
    "a log without gold answers": (asked, lambda: logged(WORDS, [None] * 6), "import"),
    "a letter against the option's text": (
        lambda: asked(["Which?\n\nA. red\nB. blue"], ["B"], choices=["red", "blue"]),
        lambda: asked(["Which?\n\nA. red\nB. blue"], ["blue"]), "import",
    ),
    "a blind run": (
        lambda: asked(COUNT, ["3", "4", "5"], images=SCENES),
        lambda: asked(COUNT, ["3", "4", "5"], images=[(f"noise:{one}",) for (one,) in SCENES]), "sample",
    ),
    "a log that does not hold the pictures": (
        lambda: asked(COUNT, ["3", "4", "5"], images=SCENES), lambda: logged(COUNT, ["3", "4", "5"]), "import",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SAME)
def test_runs_that_ask_the_same_are_compared(what: str, tmp_path: Path) -> None:
    base, other, kind = SAME[what]
    found = match(two(tmp_path, base(), other(), kind))
    assert [o.name for o in found.outcomes] == ["base", "other"]
    assert found.remarks == ()
    # The other way round it is the same.
    assert match([*reversed(found.stores)]).remarks == ()


def test_what_cannot_be_checked_is_said(tmp_path: Path) -> None:
    found = match(two(tmp_path, asked(), logged(["", "", *WORDS[2:]], [None, *GOLDS[1:]]), "import"))
    (said,) = found.remarks
    assert said.startswith("base and other: paired by id alone: whether 2 of 6 problems ask the same")
    assert said.endswith("the gold answers of 1 agree")
    nothing = match([stored(tmp_path / name, logged([""] * 6, [None] * 6), kind="import") for name in ("a", "b")])
    assert nothing.remarks == (
        "a and b: paired by id alone: whether 6 of 6 problems ask the same is not known, for their bare questions are "
        "not in both runs",
    )  # fmt: skip


def test_a_template_that_cannot_be_told_from_the_question_is_said(tmp_path: Path) -> None:
    stores = [
        stored(tmp_path / name, logged(written(template)[:1], [None]), kind="import")
        for name, template in (("a", ABEL), ("b", QWEN))
    ]
    (said,) = match(stores).remarks
    assert "whether 1 of 1 problems ask the same" in said


def test_what_the_base_does_not_say_others_say_of_each_other(tmp_path: Path) -> None:
    silent = stored(tmp_path / "silent", logged([""] * 6, GOLDS), kind="import")
    words, symbols = stored(tmp_path / "words", asked()), stored(tmp_path / "symbols", asked(SYMBOLS))
    with pytest.raises(ReachlabError, match="words and symbols are not about the same problems"):
        match([silent, words, symbols])


def test_a_run_without_questions_is_compared_with_one_that_has_them_only_by_who_knows(tmp_path: Path) -> None:
    silent = stored(tmp_path / "silent", logged([""] * 6, [None] * 6), kind="import")
    words = stored(tmp_path / "words", asked())
    for pair in ((silent, words), (words, silent)):
        with pytest.raises(ReachlabError, match=r"cannot be told, for silent holds no questions; .* --match unchecked"):
            match(pair)
        (said,) = match(pair, "unchecked").remarks
        assert "paired by id alone, whatever they ask, as you say" in said
    # Neither has questions: there is nothing that contradicts, and it is said.
    other = stored(tmp_path / "other", logged([""] * 6, [None] * 6), kind="import")
    assert "whether 6 of 6 problems ask the same is not known" in match((silent, other)).remarks[0]


def test_few_problems_in_common_are_said(tmp_path: Path) -> None:
    many = [Problem(id=str(i), prompt=f"{i}+{i}=", answer=str(2 * i)) for i in range(40)]
    both = stored(tmp_path / "a", many), stored(tmp_path / "b", many[38:])
    assert match(both).remarks == ("a and b share 2 problems only, of 40 and 2: what is said is said of these",)
    assert match((both[1], stored(tmp_path / "c", many[35:]))).remarks == ()


def test_runs_side_by_side_are_not_refused_but_named(tmp_path: Path) -> None:
    runs = [asked(), asked(prompts=written(QWEN)), asked(SYMBOLS, FORMULAS), asked(ids=list("abcdef"))]
    stores = [stored(tmp_path / str(at), problems) for at, problems in enumerate(runs)]
    assert remarks_on(stores, "wxyz") == [
        "w and y are about other problems (6 of 6 with one id ask something else): their numbers are of different "
        "questions",
        "w and z share no problem: their numbers are of different questions",
    ]
    assert remarks_on(stores[:1], "w") == []


def test_one_run_alone_is_read_as_it_is(tmp_path: Path) -> None:
    found = match([stored(tmp_path / "a", asked())])
    assert found.outcomes[0].c_P.tolist() == [1] * 6
    assert found.to_dict() == {"match": "id", "remarks": []}


# -- by question -----------------------------------------------------------------------------------------------------


def test_problems_are_paired_by_question(tmp_path: Path) -> None:
    base = stored(tmp_path / "base", asked())
    problems = shuffled(asked(prompts=written(QWEN)))
    other = stored(tmp_path / "other", problems)
    found = match([base, other], "question")
    assert found.remarks == ("other: 6 of 6 problems found in base by question",)
    ours, theirs = found.outcomes
    assert set(ours.problem_ids) == set(theirs.problem_ids)
    names = dict(zip(theirs.problem_ids, problems, strict=True))
    assert all(names[p.id].metadata["question"] == p.metadata["question"] for p in asked())
    assert found.to_dict()["match"] == "question"


def test_what_finds_no_partner_is_counted(tmp_path: Path) -> None:
    base = asked([*WORDS, "Twice?", "Twice?"], [*GOLDS, "1", "1"])
    other = asked(
        [WORDS[5], WORDS[4], SYMBOLS[0], "Twice?", "Twice?"], [GOLDS[5], "61", FORMULAS[0], "1", "1"],
        ids=["a", "b", "0", "6", "c"],
    )  # fmt: skip
    found = match(two(tmp_path, base, other), "question")
    assert found.remarks == (
        "other: 2 of 5 problems found in base by question, 1 without the same question there, 1 whose partner has "
        "another gold answer, 1 asked more than once, which are left out",
    )
    # By question; without a partner and with an id that is taken; of two that ask the same the one with the same id.
    assert found.outcomes[1].problem_ids == ("5", "b", "0 of other", "6", "c")


def test_a_log_is_paired_by_what_tells_its_prompts_apart(tmp_path: Path) -> None:
    base, other = two(tmp_path, asked(), shuffled(logged(written(QWEN), [None] * 6)), "import")
    found = match([base, other], "question")
    assert found.remarks == ("other: 6 of 6 problems found in base by question",)
    assert found.outcomes[1].problem_ids == ("3", "5", "4", "0", "2", "1")


@pytest.mark.parametrize(
    ("other", "said"),
    [(asked(SYMBOLS, FORMULAS), "no question is in both"), (logged([""] * 6), "other: holds no questions")],
)
def test_nothing_to_pair_by(other: list[Problem], said: str, tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match=said):
        match(two(tmp_path, asked(), other, "import"), "question")


def test_runs_that_share_questions_and_no_id_are_told_what_to_do(tmp_path: Path) -> None:
    stores = two(tmp_path, asked(), asked(ids=[f"q{i}" for i in range(6)]), "import")
    with pytest.raises(ReachlabError, match="share no id, and 6 questions: pair them by these with --match question"):
        match(stores)
