"""maj@k: how often the final answer that most of k samples come to is right, ties split (`boundary/voting.py`).

An answer is right where most of its samples are. Source: Wang et al. 2022, *Self-Consistency Improves Chain of Thought
Reasoning in Language Models* (arXiv 2203.11171); that all subsets are counted, or many drawn, is ours.
"""

from reachlab.boundary.voting import majority_at_k
from reachlab.measures.answers import Answers, read_answers
from reachlab.measures.measure import Computed, FigureLook, Measure, Missing, Result
from reachlab.measures.measured_run import MeasuredRun


def majority_vote(run: MeasuredRun) -> Computed:
    """maj@k, with the standard error that drawing subsets adds at each k; 0 where all subsets were counted."""
    answers = run.once(read_answers)
    if not isinstance(answers, Answers):
        return Missing(answers)
    ks = run.ks()
    votes = majority_at_k(answers.ballots, ks, seed=run.intervals.seed)
    added = 100 * votes.error_K.max()
    return Result(
        curve=run.curve(votes.table_PK, ks),
        document={"error": votes.error_K.tolist()},
        remarks=(f"maj@k counts drawn subsets, which adds a standard error of {added:.2f}",) if added else (),
    )


VOTES = Measure(
    name="votes",
    title="Majority vote",
    row="maj@k",
    look=FigureLook(axis="maj@k"),
    caption="maj@k: how often the final answer that most of k samples come to is right.",
    source="arXiv 2203.11171",
    compute=majority_vote,
)
