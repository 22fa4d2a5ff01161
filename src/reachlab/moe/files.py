"""What a densified model's state beside its checkpoint is called.

Its content is safetensors. Its name does not end so, nor in `.bin` or `.pt`: vLLM 0.32
reads every such file of a folder as weights, and stops at one that holds others.
"""

from pathlib import Path

from reachlab.errors import ReachlabError

FILE = "routers.state"
FORMER = "routers.safetensors"
"""What it was called at first; read, and no longer written."""


def find_state(folder: str | Path) -> Path | None:
    """The state in a checkpoint's folder, under either name; None where there is none.

    Raises:
        ReachlabError: both lie there.
    """
    found = [path for name in (FILE, FORMER) if (path := Path(folder) / name).is_file()]
    if len(found) > 1:
        raise ReachlabError(f"{folder}: holds {FILE} and {FORMER}: keep one; {FORMER} is an earlier version's")
    return found[0] if found else None
