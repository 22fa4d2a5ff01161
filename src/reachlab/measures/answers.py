"""How a run's scored samples come down to final answers: what votes and their entropy are of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reachlab.boundary.voting import Ballots
from reachlab.measures.measured_run import MeasuredRun
from reachlab.store.columns import codes_of


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The final answers of each problem's samples, of the problems that have some."""

    problem_ids: tuple[str, ...]
    ballots: Ballots

    @property
    def silent(self) -> int:
        """Samples that state no final answer."""
        return int(self.ballots.silent_P.sum())

    def select(self, problem_ids: Sequence[str]) -> Ballots:
        """The ballots of these problems, which must be among them, in this order."""
        place = {name: row for row, name in enumerate(self.problem_ids)}
        return self.ballots.select(np.array([place[name] for name in problem_ids], np.int64))


def read_answers(run: MeasuredRun) -> Answers | str:
    """A run's answers, or why there are none."""
    if old := run.store.older_than("final_answer"):
        return f"{old:,} samples are older than final answers; `reachlab verify {run.url}` reads them"
    if run.table["final_answer"].null_count == len(run.table):
        return "no text states a final answer that could be counted; of some tasks the whole text is the answer"
    return Answers(run.problem_ids, _ballots(run))


def _ballots(run: MeasuredRun) -> Ballots:
    """Samples by final answer; an answer is right where most of its samples are."""
    answer_N, answers = codes_of(run.table["final_answer"])
    silent_N = answer_N < 0
    key_N = (run.row_N * (len(answers) + 1) + answer_N)[~silent_N]
    key_C, class_N, votes_C = np.unique(key_N, return_inverse=True, return_counts=True)
    right_C = np.bincount(class_N, weights=run.right_N[~silent_N], minlength=len(key_C))
    return Ballots(
        row_C=key_C // (len(answers) + 1),
        votes_C=votes_C,
        right_C=2 * right_C > votes_C,
        silent_P=np.bincount(run.row_N[silent_N], minlength=len(run.n_P)),
    )
