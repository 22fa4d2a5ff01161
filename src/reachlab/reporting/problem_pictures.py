"""The pictures of the problem browser: small copies, as many as the page has room for, the problems that changed first.

A run keeps references to its pictures and their hashes (`store/samples.py`). A picture that is not there any more, or
is another one now, is not shown, and the page says so.
"""

import base64
import io
import json
from collections.abc import Sequence
from typing import Any

from PIL import Image

from reachlab.errors import ReachlabError
from reachlab.pictures.reference import fingerprint, open_picture
from reachlab.reporting.blocks import packed
from reachlab.store.samples import SampleStore

BUDGET = 8_000_000
"""Most bytes of pictures in the page."""
SIDE = 640
"""Pixels of the longer side of a copy, at most."""
LEFT_OUT = "A picture is left out: the page has no room for more. It is {}."


def frame(store: SampleStore, problem_ids: Sequence[str], order: Sequence[int], budget: int = BUDGET) -> dict[int, str]:
    """A block for each problem with pictures: a JSON list of `data:` URLs, or of words where there is none to show.

    Args:
        store: the run whose problems they are. problem_ids: the page's problems. order: their positions, the most
            wanted first.
        budget: most bytes of all copies.

    Raises:
        ReachlabError: the run's problems cannot be read.
    """
    shown = {problem.id: problem.images for problem in store.problems() if problem.images}
    hashes, found = store.image_hashes() if shown else {}, {}
    for p in order:
        said = []
        for at, reference in enumerate(shown.get(problem_ids[p], ())):
            words = _small(reference, hashes.get(problem_ids[p], [])[at : at + 1])
            if words.startswith("data:"):
                budget -= len(words)
            said.append(words if budget > 0 or not words.startswith("data:") else LEFT_OUT.format(reference[:200]))
        if said:
            found[p] = packed(json.dumps(said))
    return found


def copies(references: Sequence[str], hashes: Sequence[str]) -> list[str]:
    """A `data:` URL of a copy of each picture, or words in its place; `hashes` are those of the run."""
    return [_small(reference, hashes[at : at + 1]) for at, reference in enumerate(references)]


def _small(reference: str, then: Sequence[str]) -> str:
    """A `data:` URL of a copy, or why there is none."""
    try:
        if [fingerprint(reference)] != list(then):
            return f"The picture is not shown: {reference[:200]} has changed since the run."
        picture = open_picture(reference)
    except ReachlabError as error:
        return f"The picture is not shown: {error}"
    picture = picture.copy()
    picture.thumbnail((SIDE, SIDE))
    kinds: dict[str, dict[str, Any]] = {"png": {"optimize": True}, "jpeg": {"quality": 85}}
    files = {kind: _file(picture, kind, options) for kind, options in kinds.items()}
    kind = min(files, key=lambda name: len(files[name]))
    return f"data:image/{kind};base64,{base64.b64encode(files[kind]).decode()}"


def _file(picture: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
