"""How a router learns: a method a file, a line here."""

from reachlab.moe.method import Method, TopK
from reachlab.moe.methods.default import Default

METHODS: dict[str, type[Method]] = {"topk": TopK, "default": Default}
