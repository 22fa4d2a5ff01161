"""Pictures that come inside a data file, put where a reference can point: a file named by the hash of its bytes.

The folder is `pictures` in what the environment variable REACHLAB_CACHE names, or in ``~/.cache/reachlab``. It may be
emptied at any time: loading the task again fills it.
"""

import hashlib
import os
from pathlib import Path

from reachlab.errors import ReachlabError
from reachlab.runs import write_atomically

ENDINGS = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp"}


def keep(data: bytes) -> str:
    """The reference of a picture whose file these bytes are.

    Raises:
        ReachlabError: the folder cannot be written.
    """
    ending = next((end for start, end in ENDINGS.items() if data.startswith(start)), ".bin")
    base = os.environ.get("REACHLAB_CACHE") or Path.home() / ".cache" / "reachlab"
    path = Path(base) / "pictures" / f"{hashlib.blake2b(data, digest_size=16).hexdigest()}{ending}"
    if not path.is_file() or path.stat().st_size != len(data):
        try:
            write_atomically(path, data)
        except ReachlabError as error:
            raise ReachlabError(f"{error}; REACHLAB_CACHE names another folder to keep pictures in") from error
    return str(path)
