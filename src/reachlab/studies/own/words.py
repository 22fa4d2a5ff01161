"""What the study found, in sentences that the intervals support.

Each model is held against the base (`boundary/verdict.py`). A gain is then held against the control that had all but
its cause: GRPO and PODS against RL with a random reward, distilling against as many tokens of the base's own answers. A
control explains a gain as far as the two cannot be told apart.
"""

from collections.abc import Iterator, Mapping, Sequence

from reachlab.boundary.compare import compare
from reachlab.boundary.comparison import Findings, Pair
from reachlab.boundary.outcomes import Outcomes

NAMES = {
    "grpo": "RL (GRPO)",
    "pods": "RL (PODS)",
    "random": "RL with a random reward",
    "distilled": "distilling",
    "continued": "training on the base's own answers",
}
CONTROLS = {"grpo": "random", "pods": "random", "distilled": "continued"}
CAUSES = {"grpo": "the reward", "pods": "the reward", "distilled": "what the teacher wrote"}


def verdicts(comparison: Findings) -> list[str]:
    """A sentence a model."""
    return [f"{NAMES[pair.name]}: {pair.verdict.sentence}" for pair in comparison.pairs]


def controlled(comparison: Findings, outcomes: Mapping[str, Outcomes]) -> list[str]:
    """Whether the controls explain what each model gained over the base, at k = 1 and at the largest k."""
    pairs, ks = {pair.name: pair for pair in comparison.pairs}, comparison.ks.tolist()
    found = []
    for name, control in CONTROLS.items():
        (against,) = compare([outcomes[control], outcomes[name]], ks=ks, seed=comparison.seed).pairs
        explained = list(_explained(name, ks, pairs[name], pairs[control], against))
        found += explained or [f"{NAMES[name]}: no sure gain over the base that a control could explain"]
    return found


def _explained(name: str, ks: Sequence[int], gained: Pair, control: Pair, against: Pair) -> Iterator[str]:
    for at in sorted({0, len(ks) - 1}):
        if gained.difference.sign[at] <= 0:
            continue
        what = f"{NAMES[name]}, {'reach' if at else 'accuracy'} (k={ks[at]})"
        difference, other = against.difference.words(at), control.difference.words(at)
        moved = f"{NAMES[CONTROLS[name]]} alone moves it by {other}"
        if against.difference.sign[at] > 0:
            yield f"{what}: {CAUSES[name]} explains the gain, {difference} above the control; {moved}"
        else:
            yield f"{what}: the control explains the gain as far as can be told, {difference} against it; {moved}"
