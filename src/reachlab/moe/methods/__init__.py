"""How a router learns: a method a file, a line here."""

from reachlab.moe.method import Method, TopK
from reachlab.moe.methods.default import Default
from reachlab.moe.methods.densemixer import DenseMixer
from reachlab.moe.methods.lossfree import LossFree
from reachlab.moe.methods.sparsemixer import SparseMixer

METHODS: dict[str, type[Method]] = {
    "topk": TopK,
    "default": Default,
    "densemixer": DenseMixer,
    "sparsemixer": SparseMixer,
    "lossfree": LossFree,
}
