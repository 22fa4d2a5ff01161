"""The interval of a share that was counted, exact for any number of trials.

It holds every p under which a count as extreme as c of n has a chance above α/2 on its side (Clopper and Pearson 1934):

    low = B(α/2; c, n−c+1),   high = B(1−α/2; c+1, n−c),   B the quantile of a beta distribution; 0 and 1 at the ends

It covers at least 1 − α, for small n more.
"""

from scipy import special


def exact_interval(c: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of the chance of which `c` of `n` trials came true; (0, 1) without a trial."""
    alpha = 1 - level
    low = float(special.betaincinv(c, n - c + 1, alpha / 2)) if c else 0.0
    high = float(special.betaincinv(c + 1, n - c, 1 - alpha / 2)) if c < n else 1.0
    return low, high
