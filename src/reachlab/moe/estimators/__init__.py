"""What stands in for the answer of an expert that a token did not visit: an estimator a file, a line here."""

from reachlab.moe.estimators.estimator import Estimator
from reachlab.moe.estimators.linear import Linear
from reachlab.moe.estimators.probed import Probed
from reachlab.moe.estimators.routed import Routed
from reachlab.moe.estimators.shrunk import Shrunk

ESTIMATORS: dict[str, type[Routed] | type[Probed]] = {
    "routed": Routed,
    "shrunk": Shrunk,
    "probed": Probed,
    "linear": Linear,
}

__all__ = ["ESTIMATORS", "Estimator"]
