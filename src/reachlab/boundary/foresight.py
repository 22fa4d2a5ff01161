"""What a comparison that has not been run yet could detect, from how hard its base finds the problems.

`power.py` plans from two runs of samples. Before there is a second one, how much the true difference varies from
problem to problem has to be supposed: here as much as the base's own pass@k does, which is what two models of the
base's spread have whose pass@k correlate by 1/2 over problems. With q = 1 − p the chance of a wrong sample,

    Var D = Var(q^k) + 2 W,      W = E[q^n − q^2n] for k = n,  E[p q] / n for k = 1,

and a difference x is found with chance `power` by a two-sided test at `level` if x = (z_level + z_power) √(Var D / P).
Models that agree more, problem by problem, show smaller differences.
"""

import math

from scipy.special import ndtri

from reachlab.boundary.beta_binomial import BetaBinomial
from reachlab.errors import ReachlabError


def detectable(
    base: BetaBinomial, problems: int, samples: int, k: int, level: float = 0.95, power: float = 0.8
) -> float:
    """The smallest difference in pass@k that so many problems and samples would show, as a share; k is 1 or `samples`.

    Raises:
        ReachlabError: another k, or no problem.
    """
    if problems < 1 or samples < 1 or k not in (1, samples):
        raise ReachlabError(f"foresight: problems={problems}, samples={samples}, k={k}: k must be 1 or samples")
    failing, twice = (1 - base.pass_at_k([k, 2 * k])).tolist()
    between = max(0.0, twice - failing * failing)
    within = (failing - twice) / (samples if k == 1 else 1)
    z = float(ndtri((1 + level) / 2) + ndtri(power))
    return z * math.sqrt((between + 2 * within) / problems)
