"""What a run that asks for the rest of questions (`tasks/prefixed.py`) says of its model.

A question is one trial, however many samples it has: its first one counts, so the exact interval
(`boundary/binomial.py`) is one over other questions like these.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.binomial import exact_interval
from reachlab.errors import ReachlabError
from reachlab.store.columns import verdicts
from reachlab.store.samples import SampleStore
from reachlab.tasks.base import Task
from reachlab.tasks.registry import bare_task, prefix_of
from reachlab.types import Problem

ANSWERED = "answered"
"""The column that says whether the answer that comes with a completion is right: a verdict of the task itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionMemory:
    """How a model completes questions."""

    model: str
    run: str
    share: float
    """Of each question that was shown."""
    compared: bool
    """Whether the questions are among those of a comparison that it stands beside."""
    questions: int
    """That were completed, exactly or not."""
    missing: int
    """Of which there is no judged completion."""
    exact: int
    """Completions that are exact."""
    low: float
    high: float
    """The interval of their share."""
    rouge_l: float | None
    """The mean; None where nothing was completed."""
    words: float
    """Of a rest, in the median."""
    answers: int
    """That could be judged."""
    right: int
    """Answers that are right."""

    def line(self) -> str:
        """In words."""
        said = f"exact completions: {self.exact:,} of {self.questions:,} questions"
        said += f" ({100 * self.low:.1f}–{100 * self.high:.1f} %)"
        said += f" after the first {100 * self.share:g} % of each"
        said += f", {self.words:g} {'word' if self.words == 1 else 'words'} left in the median"
        said += "" if self.rouge_l is None else f"; ROUGE-L {self.rouge_l:.2f}"
        said += f"; right answers: {self.right:,} of {self.answers:,}" if self.answers else ""
        return said + (f"; {self.missing:,} without a completion" if self.missing else "")


@dataclass(frozen=True, slots=True, eq=False)
class Completions:
    """The first sample of each question of a run, P of them; of those that are not judged nothing is said."""

    run: str
    weights: str
    share: float
    questions: tuple[str, ...]
    """Whole, whatever their spacing."""
    judged_P: NDArray[np.bool_]
    exact_P: NDArray[np.bool_]
    rouge_P: NDArray[np.float64]
    words_P: NDArray[np.int64]
    answered_P: NDArray[np.str_]

    def memory(
        self, model: str = "", among: frozenset[str] | None = None, *, compared: bool = False, level: float = 0.95
    ) -> QuestionMemory | None:
        """What the questions say of the model; None where there are none.

        Args:
            model: its name.
            among: of a comparison, as `one_line` has them. With `compared` the questions that are among them count,
                else the others; None: all do.
        """
        chosen_P = np.array([among is None or (question in among) == compared for question in self.questions], bool)
        if not chosen_P.any():
            return None
        judged_P = chosen_P & self.judged_P
        n, exact = int(judged_P.sum()), int(self.exact_P[judged_P].sum())
        low, high = exact_interval(exact, n, level)
        right, wrong = (int((self.answered_P[judged_P] == status).sum()) for status in ("correct", "wrong"))
        return QuestionMemory(
            model=model,
            run=self.run,
            share=self.share,
            compared=compared,
            questions=n,
            missing=int(chosen_P.sum()) - n,
            exact=exact,
            low=low,
            high=high,
            rouge_l=float(self.rouge_P[judged_P].mean()) if n else None,
            words=float(np.median(self.words_P[chosen_P])),
            answers=right + wrong,
            right=right,
        )


def read_completions(store: SampleStore) -> Completions:
    """Read a run that asked for the rest of questions.

    Raises:
        ReachlabError: another run, or one without a sample.
    """
    spec = store.spec()
    if (share := prefix_of(spec)) is None:
        raise ReachlabError(
            f"{store.folder.url}: does not ask for the rest of questions; `reachlab sample --prefix 0.6` draws a run "
            "that does"
        )
    asked = [_question(bare_task(spec), problem, store.folder.url) for problem in store.problems()]
    table, row_N = store.numbered(["verdict", "score", ANSWERED])
    right_N, wrong_N, _ = verdicts(table)
    first_N = np.flatnonzero(table["sample"].to_numpy() == 0)
    at_P = np.full(len(asked), -1)
    at_P[row_N[first_N]] = first_N  # the last row stands for a question without a sample, which is not judged
    said = table[ANSWERED].to_pylist() if ANSWERED in table.column_names else [None] * len(table)
    return Completions(
        run=store.folder.name,
        weights=str(store.folder.read_json("run.json")["config"].get("model") or ""),
        share=share,
        questions=tuple(question for question, _ in asked),
        judged_P=(at_P >= 0) & (right_N | wrong_N)[at_P],
        exact_P=right_N[at_P],
        rouge_P=table["score"].to_numpy().astype(np.float64)[at_P],
        words_P=np.array([words for _, words in asked]),
        answered_P=np.array([said[at] or "" for at in at_P.tolist()], np.str_),
    )


def check_same_part(stores: Sequence[SampleStore]) -> None:
    """See that runs that are to be compared show the same part of their questions: all of it, or one share.

    A log's prompt holds the part of a question as it holds the whole, so what a run says of itself decides.

    Raises:
        ReachlabError: two do not.
    """
    shares = [prefix_of(store.spec()) for store in stores]
    for store, share in zip(stores[1:], shares[1:], strict=True):
        if share != shares[0]:
            raise ReachlabError(
                f"{stores[0].folder.url} {_kind(shares[0])}, and {store.folder.url} {_kind(share)}: these are other "
                "questions; beside verdicts, --memory shows how questions are completed"
            )


def _kind(share: float | None) -> str:
    return "asks whole questions" if share is None else f"asks for the rest of questions (prefix={share})"


def _question(task: Task, problem: Problem, url: str) -> tuple[str, int]:
    """The whole question, and how many words of it were left out."""
    try:
        return one_line(task.question(problem)), len(str(problem.answer["rest"]).split())
    except (KeyError, TypeError, AttributeError) as error:
        raise ReachlabError(f"{url}: problem {problem.id!r} is no question that was cut ({error!r:.100})") from error


def one_line(question: str) -> str:
    """A question, whatever its spacing."""
    return " ".join(question.split())
