"""Answer entropy: how many ways a problem's samples come down, as far as k of them show it, the mean over problems.

Ĥ_k = Σ_i (a_i / n) Σ_{v<k} (1/v) C(n − a_i, v) / C(n − 1, v), without bias (`boundary/answer_entropy.py`). Against the
base it is paired at the same k, on the same problems. Sources: Wu et al. 2025, *The Invisible Leash* (arXiv
2507.14843), section 5; Zhang 2012, *Entropy Estimation in Turing's Perspective*.
"""

from collections.abc import Sequence

import numpy as np

from reachlab.boundary.answer_entropy import answer_entropy, frequency_entropy
from reachlab.boundary.bootstrap import bootstrap_interval, resampling_weights
from reachlab.boundary.curve import Curve
from reachlab.measures.answers import Answers, read_answers
from reachlab.measures.measure import Against, Computed, FigureLook, Measure, Missing, PagePart, Result
from reachlab.measures.measured_run import Intervals, MeasuredRun
from reachlab.measures.table import Table


def variety(run: MeasuredRun) -> Computed:
    """The entropy at each k; beside it that of the frequencies, which it replaces, and samples without an answer."""
    answers, ks = run.once(read_answers), run.ks()
    if not isinstance(answers, Answers) or ks[-1] == 1:
        return Missing()
    curve = run.curve(answer_entropy(answers.ballots, ks), ks, None)
    frequencies = float(frequency_entropy(answers.ballots).mean())
    head = ("samples of each", "answer entropy, nats", "of the frequencies", "samples without a final answer")
    entropy = f"{curve.values[-1]:.3f} ({curve.low[-1]:.3f} to {curve.high[-1]:.3f})"
    row = (run.name, (f"{curve.last:,}", entropy, f"{frequencies:.3f}", f"{answers.silent:,}"))
    silent = "1 sample states" if answers.silent == 1 else f"{answers.silent:,} samples state"
    return Result(
        curve=curve,
        tables=(Table("Answer entropy by model", head, (row,)),),
        document={"frequencies": frequencies, "silent": answers.silent},
        remarks=(f"{silent} no final answer: one more answer of the entropy, no vote",) if answers.silent else (),
    )


def less_the_base(base: MeasuredRun, other: MeasuredRun) -> Computed:
    """The paired difference on the shared problems that both have answers to."""
    answers = [run.once(read_answers) for run in (base, other)]
    ids = base.problem_ids if other.shared is None else other.shared.outcomes.problem_ids
    one, two = answers
    if not isinstance(one, Answers) or not isinstance(two, Answers):
        return Missing()
    both = set(one.problem_ids) & set(two.problem_ids)
    shared = [i for i in ids if i in both]
    curve = entropy_difference(one, two, shared, base.intervals)
    if curve is None:
        return Missing()
    return Result(curve=curve, document={"name": other.name, "problems": len(shared)})


def entropy_difference(base: Answers, other: Answers, shared: Sequence[str], intervals: Intervals) -> Curve | None:
    """Answer entropy of one model less another's at the same k, in nats, the mean over the shared problems, which both
    have; None where a problem has a single sample."""
    ballots = [answers.select(shared) for answers in (base, other)]
    most = min((int(found.samples.min()) for found in ballots), default=0) if shared else 0
    if most < 2:
        return None
    ks = tuple(sorted({*(2**i for i in range(1, most.bit_length())), most}))
    base_PK, other_PK = (answer_entropy(found, ks) for found in ballots)
    weights_BP = resampling_weights(len(shared), intervals.resamples, intervals.seed)
    low_K, high_K = bootstrap_interval(other_PK - base_PK, weights_BP, intervals.level)
    return Curve(np.array(ks), (other_PK - base_PK).mean(axis=0), low_K, high_K, intervals.level)


ANSWER_ENTROPY = Measure(
    name="answer_entropy",
    title="Answer entropy",
    row="answer entropy, nats",
    caption="How many different final answers k samples of a problem come to, as an entropy in nats (e to its power is "
    "a number of equally common answers), the mean over problems.",
    source="arXiv 2507.14843; Zhang 2012",
    compute=variety,
    unit="nats",
    part=PagePart(
        id="answers",
        heading="Final answers",
        lead="How many ways a model's samples of one problem come down: 0 where all say the same, at most "
        "1 + 1/2 + … + 1/(k − 1) where no two agree. A sample without a final answer counts as one more answer. The "
        "entropy of the frequencies is too low where samples are few; it is here to be read beside others' numbers.",
    ),
    look=FigureLook(axis="Answer entropy, nats"),
    against=Against(
        compute=less_the_base,
        caption="Paired on the same problems at the same k, with intervals; below zero the model says fewer things.",
        look=FigureLook(axis="Answer entropy less the base's, nats"),
    ),
)
