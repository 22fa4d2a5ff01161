"""Which verl is here, and whether it is one whose trainer can be extended."""

from importlib.metadata import PackageNotFoundError, version

from reachlab.errors import ReachlabError
from reachlab.extras import missing

SUPPORTED = "0.9.1"
"""The version of verl that this has been tested with."""


def check_version() -> None:
    """Raises:
    ReachlabError: verl is of another version, or absent.
    """
    try:
        found = version("verl")
    except PackageNotFoundError:
        raise missing("verl", "reachlab.integrations.verl") from None
    if found != SUPPORTED:
        raise ReachlabError(f"verl {found}: Reachlab's trainer is for {SUPPORTED}: pip install verl=={SUPPORTED}")
