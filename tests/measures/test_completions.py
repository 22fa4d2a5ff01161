from pathlib import Path

import pytest

from reachlab.boundary.binomial import exact_interval
from reachlab.errors import ReachlabError
from reachlab.measures.completions import QuestionMemory, check_same_part, one_line, read_completions
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task
from reachlab.types import NOT_ANSWERED, Sample, Verdict

TASK = "countdown,prefix=0.5"


@pytest.fixture
def store(tmp_path: Path) -> SampleStore:
    """Five questions: two completed, one not, one that nobody answered, one without a sample."""
    folder = RunFolder(tmp_path / "cut")
    folder.claim("sample", {"task": TASK, "model": "weights"})
    store = SampleStore(folder)
    problems = load_task(TASK).problems("test", 5)
    store.write_problems(problems)
    verdicts = [Verdict.correct(), Verdict.wrong(score=0.5), Verdict.correct(), Verdict.unscored(NOT_ANSWERED)]
    rows = [
        Sample(
            problem_id=p.id, index=index, text="", tokens=1, finish="stop", logprob=None, seed=0, engine="e",
            verdict=verdict if index == 0 else Verdict.correct(),
        )
        for p, verdict in zip(problems, verdicts, strict=False)
        for index in (1, 0)
    ]  # fmt: skip
    store.write_part(rows)
    return store


def test_the_first_sample_of_each_question_counts(store: SampleStore) -> None:
    found = read_completions(store)
    assert (found.run, found.weights, found.share) == ("cut", "weights", 0.5)
    low, high = exact_interval(2, 3, 0.9)
    assert found.memory("m", level=0.9) == QuestionMemory(
        model="m", run="cut", share=0.5, compared=False, questions=3, missing=2, exact=2, low=low, high=high,
        rouge_l=2.5 / 3, words=found.words_P[0], answers=0, right=0,
    )  # fmt: skip


def test_those_that_are_compared_and_the_others(store: SampleStore) -> None:
    found = read_completions(store)
    among = frozenset(one_line(f" {q} ") for q in (found.questions[1], found.questions[3]))
    compared, others = (found.memory("m", among, compared=which) for which in (True, False))
    assert compared is not None
    assert others is not None
    assert (compared.questions, compared.missing, compared.exact, compared.rouge_l) == (1, 1, 0, 0.5)
    assert (others.questions, others.missing, others.exact, others.rouge_l) == (2, 1, 2, 1.0)
    assert (compared.compared, others.compared) == (True, False)
    assert found.memory("m", frozenset(), compared=True) is None


def test_in_words(store: SampleStore) -> None:
    memory = read_completions(store).memory()
    assert memory is not None
    assert memory.line() == (
        "exact completions: 2 of 3 questions (9.4–99.2 %) after the first 50 % of each, 1 word left in the median; "
        "ROUGE-L 0.83; 2 without a completion"
    )


def test_problems_that_were_not_cut(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "cut")
    folder.claim("sample", {"task": TASK, "model": "weights"})
    store = SampleStore(folder)
    store.write_problems(load_task("countdown").problems("test", 1))
    with pytest.raises(ReachlabError, match="is no question that was cut"):
        read_completions(store)


def test_runs_of_one_kind_are_compared(tmp_path: Path) -> None:
    stores = []
    for name, task in (("a", "countdown"), ("b", TASK), ("c", "countdown,prefix=0.6"), ("d", TASK)):
        folder = RunFolder(tmp_path / name)
        folder.claim("sample", {"task": task})
        stores.append(SampleStore(folder))
    a, b, c, d = stores
    check_same_part([b, d])
    check_same_part([a])
    with pytest.raises(ReachlabError, match=r"a asks whole questions, and \S+b asks for the rest .*prefix=0\.5"):
        check_same_part([a, b])
    with pytest.raises(ReachlabError, match=r"prefix=0\.5\), and \S+c asks for the rest of questions \(prefix=0\.6\)"):
        check_same_part([b, d, c])


def test_a_run_of_answers_is_none(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.claim("sample", {"task": "countdown"})
    with pytest.raises(ReachlabError, match="does not ask for the rest of questions"):
        read_completions(SampleStore(folder))
