"""What stands in for the answer of an expert that a token did not visit: an estimator a file."""

from reachlab.moe.estimators.routed import Routed

ESTIMATORS = {"routed": Routed}
