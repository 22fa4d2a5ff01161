"""What a run's samples say beyond pass@k: chains, votes, the best of k, distinct solutions, copies, luck, doubts.

Each is a mean over problems at several k with its bootstrap interval, beside pass@k at the same k:

    CoT-pass@k   a sample counts if its whole chain holds (`SampleStore.outcomes(chain=True)`)
    maj@k        a vote on final answers (`boundary/voting.py`)
    entropy      of a problem's final answers, as far as k samples show it (`boundary/answer_entropy.py`)
    pass^k       all of k samples are right (`boundary/allk.py`)
    best@k       the sample with the highest log-probability, whole or per token (`boundary/bestof.py`)
    distinct     different texts, and different right ones, among k samples (`boundary/duplicates.py`)
    luck@k       the run's answers against other problems' gold answers (`reachlab guess`)

Besides, the verdicts that a person should look at, of all samples (`doubts.py`).

What a run has no data for is None, and `notes` says why. Of an adaptive run, whose later samples were drawn because
of what the earlier ones were, all but pass@k uses the samples before the first look, which every problem has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from reachlab.boundary.allk import pass_hat_k
from reachlab.boundary.answer_entropy import answer_entropy, frequency_entropy
from reachlab.boundary.bestof import best_of_k
from reachlab.boundary.bootstrap import SHARE, Ends, Weights, bootstrap_interval, resampling_weights
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.voting import Ballots, majority_at_k
from reachlab.errors import ReachlabError
from reachlab.measures.answers import Answers
from reachlab.measures.chance_rate import Guess, read_guess
from reachlab.measures.copies import Duplicates, find_duplicates
from reachlab.measures.doubts import Doubts, read_doubts
from reachlab.store.columns import codes_of, verdicts
from reachlab.store.samples import NoChainsError, SampleStore

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A quantity at each k: its mean over problems, and the ends of its interval."""

    ks: tuple[int, ...]
    values: Floats
    low: Floats
    high: Floats

    def to_dict(self) -> dict[str, Any]:
        """Plain lists."""
        return {
            "ks": list(self.ks),
            "values": self.values.tolist(),
            "low": self.low.tolist(),
            "high": self.high.tolist(),
        }


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evidence:
    """All that is known of one run; ``notes`` says of what is missing why, by its name in `to_dict`.

    ``problems`` have a scored sample. ``votes_error`` is what drawing subsets adds to the standard error of the vote,
    at each k; 0 where all subsets were counted. ``frequency_entropy`` is what `answer_entropy` replaces: that of the
    frequencies, the mean over problems. ``answers`` is how the samples come down to final answers.
    """

    name: str
    problems: int
    samples: int
    unscored: int
    passing: Line
    all_right: Line
    chain: Line | None = None
    votes: Line | None = None
    votes_error: Floats | None = None
    answers: Answers | None = None
    answer_entropy: Line | None = None
    frequency_entropy: float | None = None
    best_sum: Line | None = None
    best_mean: Line | None = None
    distinct: Line | None = None
    distinct_correct: Line | None = None
    duplicates: Duplicates
    doubts: Doubts
    guess: Guess | None = None
    luck: Line | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers for JSON; None for what is missing."""

        def plain(line: Line | None) -> dict[str, Any] | None:
            return None if line is None else line.to_dict()

        votes = plain(self.votes)
        if votes is not None and self.votes_error is not None:
            votes["error"] = self.votes_error.tolist()
        entropy = plain(self.answer_entropy)
        if entropy is not None and self.answers is not None:
            entropy |= {"frequencies": self.frequency_entropy, "silent": self.answers.silent}
        return {
            "name": self.name,
            "problems": self.problems,
            "samples": self.samples,
            "unscored": self.unscored,
            "pass": plain(self.passing),
            "all_right": plain(self.all_right),
            "chain": plain(self.chain),
            "votes": votes,
            "answer_entropy": entropy,
            "best_of": None
            if self.best_sum is None
            else {"logprob": plain(self.best_sum), "logprob_per_token": plain(self.best_mean)},
            "distinct": plain(self.distinct),
            "distinct_correct": plain(self.distinct_correct),
            "duplicates": self.duplicates.to_dict(),
            "doubts": self.doubts.to_dict(),
            "luck": plain(self.luck),
            "guess": None if self.guess is None or self.luck is None else self.guess.to_dict(self.luck.ks),
            "notes": dict(self.notes),
        }


def read_evidence(
    store: SampleStore,
    *,
    ks: Sequence[int] | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Evidence:
    """Read all that a run's samples say.

    Args:
        store: the run.
        ks: values of k; of a quantity, those it has samples for, or else its largest. None: powers of two, and the
            largest.
        resamples: bootstrap resamples over problems.
        level: of the intervals.
        seed: of the resamples, and of the subsets drawn for votes.

    Raises:
        ReachlabError: no scored sample, or a store that cannot be read.
    """
    outcomes = store.outcomes()
    if not outcomes.n_P.any():
        raise ReachlabError(f"{store.folder.url}: no sample is scored")
    reading = _Reading(store, outcomes.problem_ids, ks, _Intervals(resamples, level, seed), seed)
    chain = reading.chain()
    answers = reading.answers()
    votes, votes_error = reading.votes(answers)
    best_sum, best_mean = reading.best_of()
    duplicates = reading.duplicates()
    guess, luck = reading.luck()
    doubts = read_doubts(store)
    if doubts.note:
        reading.notes["gold"] = doubts.note
    return Evidence(
        name=store.folder.name,
        problems=int((outcomes.n_P > 0).sum()),
        samples=len(reading.row_N),
        unscored=int(outcomes.unscored_P.sum()),
        passing=reading.passing(outcomes),
        all_right=reading.all_right(),
        chain=chain,
        votes=votes,
        votes_error=votes_error,
        answers=answers,
        answer_entropy=reading.entropy(answers),
        frequency_entropy=None if answers is None else float(frequency_entropy(answers.ballots).mean()),
        best_sum=best_sum,
        best_mean=best_mean,
        distinct=reading.distinct(duplicates, duplicates.distinct_PM),
        distinct_correct=reading.distinct(duplicates, duplicates.distinct_correct_PM),
        duplicates=duplicates,
        doubts=doubts,
        guess=guess,
        luck=luck,
        notes=reading.notes,
    )


class _Intervals:
    """Bootstrap intervals; quantities of the same number of problems share their resamples."""

    def __init__(self, resamples: int, level: float, seed: int):
        self.resamples, self.level, self.seed = resamples, level, seed
        self._weights: dict[int, Weights] = {}

    def line(self, table_PK: Floats, ks: tuple[int, ...], ends: Ends | None = SHARE) -> Line:
        """The mean over problems and its interval; `ends` as of `bootstrap_interval`."""
        problems = len(table_PK)
        if problems not in self._weights:
            self._weights[problems] = resampling_weights(problems, self.resamples, self.seed)
        low_K, high_K = bootstrap_interval(table_PK, self._weights[problems], self.level, ends)
        return Line(ks, table_PK.mean(axis=0), low_K, high_K)


class _Reading:
    """One run on its way to be evidence. Its samples are the scored ones, its problems those that have some."""

    def __init__(
        self, store: SampleStore, ids: Sequence[str], ks: Sequence[int] | None, intervals: _Intervals, seed: int
    ):
        self.store, self.intervals, self.seed, self._ks = store, intervals, seed, ks
        self.notes: dict[str, str] = {}
        self.below: int | None = None
        if (plan := store.plan()) is not None:
            self.below = plan.looks[0]
            self.notes["adaptive"] = f"all but pass@k is of the first {self.below:,} samples of each problem"
        table, row_N = store.numbered(["verdict", "final_answer", "logprob", "tokens"])
        right_N, wrong_N, _ = verdicts(table)
        early_N = np.ones(len(table), bool) if self.below is None else table["sample"].to_numpy() < self.below
        drawn_P = np.bincount(row_N[early_N])
        self.fewest = int(drawn_P[drawn_P > 0].min())
        chosen_N = (right_N | wrong_N) & early_N
        self.table = table.filter(pa.array(chosen_N))
        self.right_N = right_N[chosen_N]
        rows_P, self.row_N = np.unique(row_N[chosen_N], return_inverse=True)
        self.problem_ids = tuple(ids[row] for row in rows_P)
        if not len(self.row_N):
            raise ReachlabError(f"{store.folder.url}: no sample before the first look is scored")
        self.n_P = np.bincount(self.row_N)

    def ks(self, most: int) -> tuple[int, ...]:
        """The values of k up to `most`."""
        if self._ks is not None:
            return tuple(k for k in sorted(set(self._ks)) if 1 <= k <= most) or (most,)
        return tuple(sorted({*(2**i for i in range(most.bit_length())), most}))

    def passing(self, outcomes: Outcomes) -> Line:
        """pass@k of the problems that have scored samples."""
        scored = outcomes.select([p for p, n in zip(outcomes.problem_ids, outcomes.n_P, strict=True) if n])
        ks = self.ks(scored.largest_k)
        return self.intervals.line(scored.pass_at_k(ks), ks)

    def all_right(self) -> Line:
        """pass^k."""
        ks = self.ks(int(self.n_P.min()))
        c_P = np.bincount(self.row_N, weights=self.right_N, minlength=len(self.n_P)).astype(np.int64)
        return self.intervals.line(pass_hat_k(self.n_P, c_P, ks), ks)

    def chain(self) -> Line | None:
        """CoT-pass@k."""
        try:
            outcomes = self.store.outcomes(chain=True)
        except NoChainsError as error:
            self.notes["chain"] = str(error).removeprefix(f"{self.store.folder.url}: ")
            return None
        return self.passing(outcomes) if outcomes.n_P.any() else None

    def answers(self) -> Answers | None:
        """How the samples come down to final answers."""
        if old := self.store.older_than("final_answer"):
            self.notes["votes"] = (
                f"{old:,} samples are older than final answers; `reachlab verify {self.store.folder.url}` reads them"
            )
            return None
        if self.table["final_answer"].null_count == len(self.table):
            self.notes["votes"] = "no text comes down to a final answer"
            return None
        return Answers(self.problem_ids, self._ballots())

    def votes(self, answers: Answers | None) -> tuple[Line | None, Floats | None]:
        """maj@k, and the error that drawing subsets adds."""
        if answers is None:
            return None, None
        ks = self.ks(int(self.n_P.min()))
        found = majority_at_k(answers.ballots, ks, seed=self.seed)
        return self.intervals.line(found.table_PK, ks), found.error_K

    def entropy(self, answers: Answers | None) -> Line | None:
        """Answer-level entropy."""
        ks = self.ks(int(self.n_P.min()))
        if answers is None or ks[-1] == 1:
            return None
        return self.intervals.line(answer_entropy(answers.ballots, ks), ks, None)

    def _ballots(self) -> Ballots:
        """Samples by final answer; an answer is right where most of its samples are."""
        answer_N, answers = codes_of(self.table["final_answer"])
        silent_N = answer_N < 0
        key_N = (self.row_N * (len(answers) + 1) + answer_N)[~silent_N]
        key_C, class_N, votes_C = np.unique(key_N, return_inverse=True, return_counts=True)
        right_C = np.bincount(class_N, weights=self.right_N[~silent_N], minlength=len(key_C))
        return Ballots(
            row_C=key_C // (len(answers) + 1),
            votes_C=votes_C,
            right_C=2 * right_C > votes_C,
            silent_P=np.bincount(self.row_N[silent_N], minlength=len(self.n_P)),
        )

    def best_of(self) -> tuple[Line | None, Line | None]:
        """best@k by log-probability, of the whole text and per token."""
        if missing := self.table["logprob"].null_count:
            self.notes["best_of"] = f"{missing:,} samples have no log-probability"
            return None, None
        sum_N = self.table["logprob"].to_numpy().astype(np.float64)
        mean_N = sum_N / np.maximum(self.table["tokens"].to_numpy(), 1)
        ks = self.ks(int(self.n_P.min()))
        by_sum, by_mean = (
            self.intervals.line(best_of_k(self.row_N, score_N, self.right_N, len(self.n_P), ks), ks)
            for score_N in (sum_N, mean_N)
        )
        return by_sum, by_mean

    def duplicates(self) -> Duplicates:
        """Distinct texts and copies, unscored samples included."""
        run = self.store.folder
        known = run.read_json("run.json").get("config", {}).get("decoding") if run.exists("run.json") else None
        decoding = known if isinstance(known, dict) else None
        return find_duplicates(self.store, decoding, self.ks(self.fewest), self.below)

    def distinct(self, duplicates: Duplicates, table_PM: Floats) -> Line | None:
        """Distinct texts among m samples, of the problems that have samples."""
        table_PM = table_PM[duplicates.distinct_P > 0]
        return self.intervals.line(table_PM, duplicates.ms, None) if duplicates.ms else None

    def luck(self) -> tuple[Guess | None, Line | None]:
        """What `reachlab guess` found."""
        guess, why = read_guess(self.store)
        if guess is None or not guess.most:
            self.notes["guess"] = why or "no shuffled answer could be judged"
            return guess, None
        ks = self.ks(guess.most)
        return guess, self.intervals.line(guess.table(ks), ks)
