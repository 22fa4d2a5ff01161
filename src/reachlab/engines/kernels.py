"""Whether the kernels are here that numba compiles for a CPU (`fused_cpu_kernels.py`, `token_sampling_kernels.py`).

They come with the extra `fast`. Without them a step goes through the model's modules and a token is drawn by torch's
operations: the same function, in other sums. So the tokens are the same but for ties, where a draw falls between two
that the last bits part. What samples while it trains would end in other weights: a run's identity says it (`IDENTITY`).
"""

from functools import cache

import torch

from reachlab.extras import extra_of, is_installed

IDENTITY = {"kernels": "of torch alone (no numba)"}
"""What is added to the identity of a run that trains on what it draws without kernels."""


@cache
def compiled() -> bool:
    """Whether numba can be imported: it is there, and of a version that goes with this numpy."""
    return why_not() == ""


def why_not() -> str:
    """What keeps the kernels away, in words; "" where nothing does."""
    if not is_installed("numba"):
        return "numba is not installed"
    try:
        import numba  # noqa: F401
    except ImportError as error:
        return f"numba cannot be imported ({' '.join(str(error).split())})"
    return ""


def lacking(device: torch.device) -> str:
    """A remark for whoever draws on this device and could be faster; "" where nothing is lost."""
    if device.type != "cpu" or compiled():
        return ""
    extra = extra_of("numba")
    return f"{why_not()}: drawing on a CPU takes up to three times as long; pip install 'reachlab[{extra}]'"
