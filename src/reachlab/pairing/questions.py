"""What a stored problem asks, and whether two runs ask it, whatever template stands around the question.

A run's problems hold prompts. Of our own runs the bare question is known, and questions are compared as they are, but
for spacing and Unicode's two ways to write an accent (NFC). Of a log it may be a whole prompt. Then what the prompts of
a run begin with (as nine of ten of them do) is taken off, then what the rest ends with; two runs that ask the same
under two templates are left with the same, and under different questions they are not. Where worked examples differ
from problem to problem nothing is common: there the one's question has to be found in the other's prompt, at its end or
at length.
"""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from reachlab.pictures.reference import NOISE
from reachlab.store.samples import SampleStore
from reachlab.types import Chat, Problem, Text

MOST = 0.9
"""The share of a run's prompts that begin, or end, with what is taken for its template."""
LOOKED_AT = 1000
"""Prompts that are looked at for it."""
TELLING = 24
"""Characters of a question that say which it is, wherever they stand in a prompt."""
OWN = ("sample", "reference")
"""Kinds of runs whose problems keep the bare question."""


@dataclass(frozen=True, slots=True)
class Asks:
    """What one problem asks. `question` is empty where a log does not hold it; `pictures` are their hashes, or their
    references in a run that is older than these."""

    id: str
    question: str
    answer: Any
    options: tuple[str, ...]
    pictures: tuple[str, ...]
    hashed: bool
    """Whether the pictures are known by their hashes."""
    blind: bool
    """Whether noise stands in their place."""

    @property
    def plain(self) -> str:
        """The question, spaced and written in one way."""
        return plain(self.question)


class RunAsks:
    """What a run's problems ask, by id."""

    def __init__(self, store: SampleStore, name: str):
        """Read them.

        Raises:
            ReachlabError: no run of samples, or one that is damaged.
        """
        document = store.folder.read_json("run.json") if store.folder.exists("run.json") else {}
        config: Mapping[str, Any] = document.get("config") or {}
        self.name, self.task = name, str(config.get("task") or "")
        # A run that was exported comes in as it was.
        self.own = document.get("kind") in OWN or "exported" in config
        problems = store.problems()
        hashes = store.image_hashes() if any(p.images for p in problems) else {}
        self.by_id = {p.id: _asks(p, hashes) for p in problems}

    @cached_property
    def cores(self) -> dict[str, str]:
        """Each question without what the run's questions have in common; nothing where that is all there is."""
        questions = [asks for asks in self.by_id.values() if asks.question]
        return dict(zip([asks.id for asks in questions], cores([asks.plain for asks in questions]), strict=True))

    @property
    def says(self) -> bool:
        """Whether the run holds any question."""
        return any(asks.question for asks in self.by_id.values())

    @cached_property
    def ending(self) -> str:
        """What most of the run's questions end with, backwards."""
        return _ending([asks.plain for asks in self.by_id.values() if asks.question])


def _asks(problem: Problem, hashes: Mapping[str, Sequence[str]]) -> Asks:
    about = problem.metadata
    question = about.get("bare") or about.get("question") or text_of(problem.prompt)
    pictures = hashes.get(problem.id)
    return Asks(
        id=problem.id,
        question=str(question),
        answer=problem.answer,
        options=tuple(map(str, about["choices"])) if isinstance(about.get("choices"), list) else (),
        pictures=problem.images if pictures is None else tuple(pictures),
        hashed=pictures is not None or not problem.images,
        blind=any(reference.startswith(NOISE) for reference in problem.images),
    )


def text_of(prompt: Text) -> str:
    """A prompt as one text: a chat's messages one below the other."""
    if isinstance(prompt, Chat):
        return "\n".join(str(message.get("content") or "") for message in prompt.messages)
    return prompt


def plain(text: str) -> str:
    """A text in Unicode's composed form, every gap one blank."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def differing(ours: RunAsks, theirs: RunAsks, ids: Sequence[str]) -> list[str]:
    """Those of the ids, in their order, under which two runs, which both know the questions, ask different ones."""
    pairs = [(ours.by_id[i], theirs.by_id[i]) for i in ids]
    left = [i for i, (a, b) in zip(ids, pairs, strict=True) if a.question != b.question and a.plain != b.plain]
    if not left or (ours.own and theirs.own):
        return left
    # The same problems of both: so that what they have in common is the same too, but for the templates.
    own, other = [a.plain for a, _ in pairs], [b.plain for _, b in pairs]
    if len(set(own)) > 1 and len(set(other)) > 1:
        same = {i for i, a, b in zip(ids, cores(own), cores(other), strict=True) if a == b}
        left = [i for i in left if i not in same]
    return [i for i in left if not _setting(ours, theirs, i) and not _setting(theirs, ours, i)]


def undecidable(ours: RunAsks, theirs: RunAsks) -> bool:
    """Whether template and question can't be told apart: two runs with a single text each, of which one is no bare
    question."""
    both_own = ours.own and theirs.own
    return not both_own and not any(ours.cores.values()) and not any(theirs.cores.values())


def other_pictures(ours: RunAsks, theirs: RunAsks, a: Asks, b: Asks) -> bool:
    """Whether a problem of one run shows other pictures than one of the other. Noise stands for any (a blind run), and
    a log may not hold what was shown."""
    if a.pictures == b.pictures or a.blind or b.blind:
        return False
    if not (a.pictures and b.pictures):
        return ours.own and theirs.own
    return a.hashed and b.hashed


def _setting(ours: RunAsks, theirs: RunAsks, problem_id: str) -> bool:
    """Whether the question of the one, as far as it tells the problem from others, stands in the other's prompt."""
    core = ours.cores[problem_id] or ours.by_id[problem_id].plain
    text = theirs.by_id[problem_id].plain
    if len(core) >= TELLING:
        return core in text
    rest = _without_end([text], theirs.ending)[0]
    before = rest.removesuffix(core)
    return rest.endswith(core) and not (before[-1:].isalnum() and core[:1].isalnum())


def cores(texts: Sequence[str]) -> list[str]:
    """Each text without what most of them begin with, and then without what most of the rests end with."""
    begin = beginning(texts)
    rests = [text[_common(text, begin) :] for text in texts]
    return _without_end(rests, _ending(rests))


def beginning(texts: Sequence[str]) -> str:
    """The longest text with which most of the texts begin."""
    step = max(1, len(texts) // LOOKED_AT)
    looked = sorted(texts[::step])
    many = math.ceil(MOST * len(looked))
    longest = ""
    # Texts that begin alike are neighbours once they are sorted.
    for first, last in zip(looked, looked[many - 1 :], strict=False):
        if last.startswith(first[: len(longest) + 1]):
            shared = _common(first, last)
            longest = first[:shared] if shared > len(longest) else longest
    return longest


def _ending(texts: Sequence[str]) -> str:
    return beginning([text[::-1] for text in texts])


def _without_end(texts: Sequence[str], ending: str) -> list[str]:
    return [text[: len(text) - _common(text[::-1], ending)] for text in texts]


def _common(text: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    low, high = 0, min(len(text), len(other))
    if text.startswith(other[:high]):
        return high
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text.startswith(other[:middle]) else (low, middle - 1)
    return low
