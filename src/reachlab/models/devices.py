"""Which device a name means, and what it computes in."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from reachlab.errors import ReachlabError


def choose_device(name: str) -> torch.device:
    """The device that `name` means; "auto" takes a GPU where there is one.

    Raises:
        ReachlabError: a device that this machine has not.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ReachlabError(f"device {name!r} is not usable here: {str(error).splitlines()[0]}") from error
    return device


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[Any]:
    """Compute in `dtype` where it is a narrow one; weights stay what they are."""
    if dtype == torch.float32:
        return nullcontext()
    # Several threads pass at once, and the cache of converted weights is one for all of them.
    return torch.autocast(device.type, dtype, cache_enabled=False)
