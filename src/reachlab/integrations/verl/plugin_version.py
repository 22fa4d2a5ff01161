"""Which verl is here, and whether it is one whose trainer can be extended."""

from importlib.metadata import PackageNotFoundError, version

from reachlab.errors import ReachlabError

SUPPORTED = "0.9.1"
"""The version of verl that this has been tested with."""


def check_version() -> None:
    """Raises:
    ReachlabError: verl is of another version, or absent.
    """
    try:
        found = version("verl")
    except PackageNotFoundError:
        found = "(none installed)"
    if found != SUPPORTED:
        raise ReachlabError(f"verl {found}: Reachlab's trainer is for {SUPPORTED}: pip install verl=={SUPPORTED}")
