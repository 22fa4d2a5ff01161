"""A run's problems, a line of JSON each, and a hash of what they ask.

A line ends with a checksum of what stands before it, under `sum`: a flipped bit is an error and not another question. A
line without one (of an earlier day, or written by hand) is taken as it stands.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.pictures.reference import fingerprint
from reachlab.storable import encoded, storable
from reachlab.types import Problem, read_prompt, written_prompt


def write_problem(problem: Problem) -> str:
    """A problem as it is kept: of pictures a reference each, and a hash that tells whether one has changed."""
    hashes = {"image_hashes": [fingerprint(reference) for reference in problem.images]} if problem.images else {}
    row = storable(asdict(problem) | {"prompt": written_prompt(problem.prompt)} | hashes)
    body = json.dumps(row, sort_keys=True, ensure_ascii=False)
    return f"{body[:-1]}{_mark(_sum(body))}"


def read_problem(line: str, place: str) -> Problem:
    """A problem from its line; `place` says where that stands.

    Raises:
        ReachlabError: it is none, or not what was written.
    """
    try:
        row = json.loads(line)
        total = row.pop("sum", None)
        prompt = read_prompt(row.pop("prompt"))
        images = row.pop("images")
        row.pop("image_hashes", None)
        # Only JSON's escapes can spell half a surrogate pair; looking for it in every text takes most of the time.
        escaped = "\\ud" in line or "\\uD" in line
        problem = Problem(prompt=prompt, images=tuple(images), **(storable(row) if escaped else row))
        if not isinstance(problem.id, str) or not isinstance(problem.metadata, Mapping):
            raise TypeError("id is no text" if not isinstance(problem.id, str) else "metadata is no object")
        if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
            raise TypeError("images are no list of texts")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ReachlabError(f"{place}: not a problem ({error})") from error
    if total is not None and total != _sum(f"{line.removesuffix(_mark(total))}}}"):
        raise ReachlabError(
            f"{place}: not the line that was written: its checksum does not fit; where it was changed on purpose, take "
            'its "sum" out'
        )
    return problem


def hash_problems(problems: Sequence[Problem]) -> str:
    """A hash of what is asked and what counts as right; part of a run's identity."""
    digest = hashlib.blake2b(digest_size=16)
    for p in problems:
        question: list[Any] = [p.id, written_prompt(p.prompt), p.answer, *map(fingerprint, p.images)]
        digest.update(json.dumps(storable(question), sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _sum(body: str) -> str:
    return f"{zlib.crc32(encoded(body)):08x}"


def _mark(total: str) -> str:
    return f', "sum": "{total}"}}'
