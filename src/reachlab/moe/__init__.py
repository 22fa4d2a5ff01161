"""Dense gradients for the routers of sparse mixtures of experts (Default MoE, arXiv 2504.12463)."""

from reachlab.moe.densify import Densified, densified, densify, undensify
from reachlab.moe.storage import restore, save, saved

__all__ = ["Densified", "densified", "densify", "restore", "save", "saved", "undensify"]
