"""Which device a name means."""

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
