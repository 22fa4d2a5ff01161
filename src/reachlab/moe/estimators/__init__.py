"""What stands in for the answer of an expert that a token did not visit: an estimator a file, a line here. No torch:
the command line reads this."""

from typing import TYPE_CHECKING

from reachlab.choices import Choices, one_of

if TYPE_CHECKING:
    from reachlab.moe.estimators.estimator import Estimator

ESTIMATORS: "Choices[type[Estimator]]" = Choices(
    "estimator",
    {
        "routed": "reachlab.moe.estimators.routed:Routed",
        "shrunk": "reachlab.moe.estimators.shrunk:Shrunk",
        "probed": "reachlab.moe.estimators.probed:Probed",
        "linear": "reachlab.moe.estimators.linear:Linear",
    },
    adopt="reachlab.moe.estimators.estimator:adopted",
)

if TYPE_CHECKING:
    EstimatorName = str
else:
    EstimatorName = one_of(ESTIMATORS)
