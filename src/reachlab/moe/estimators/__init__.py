"""What stands in for the answer of an expert that a token did not visit: an estimator a file, a line here. No torch:
the command line reads this."""

from typing import TYPE_CHECKING, Literal

from reachlab.choices import Choices

if TYPE_CHECKING:
    from reachlab.moe.estimators.estimator import Estimator

ESTIMATORS: "Choices[type[Estimator]]" = Choices(
    "there is no estimator",
    {
        "routed": "reachlab.moe.estimators.routed:Routed",
        "shrunk": "reachlab.moe.estimators.shrunk:Shrunk",
        "probed": "reachlab.moe.estimators.probed:Probed",
        "linear": "reachlab.moe.estimators.linear:Linear",
    },
)

if TYPE_CHECKING:
    EstimatorName = str
else:
    EstimatorName = Literal[tuple(ESTIMATORS)]
