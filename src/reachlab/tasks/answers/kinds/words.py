"""A word or a few as the answer: a name, a day, yes or no."""

import re
from dataclasses import dataclass

from reachlab.tasks.answers.extraction import Mark
from reachlab.tasks.answers.kinds.prose import CLAUSE_END, SENTENCE, prose
from reachlab.tasks.answers.spelling import spell, words_of


@dataclass(frozen=True, slots=True)
class WordsKind:
    """A word or a few: a name, a day, yes or no. `count` is how many the right answer has."""

    count: int
    leads: bool = False
    """Whether it may be a text's first word (yes, no, true, false)."""

    def boxed(self, content: str) -> str | None:
        """Whatever the box holds."""
        return content

    def begun(self, clause: str, *, last: bool) -> str | None:
        """The words of the clause, without what introduces them."""
        whole = words_of(spell(clause))
        if whole is not None and len(whole.split()) == self.count:
            return whole
        stop = CLAUSE_END.search(clause)
        said = prose(clause[: stop.start()] if stop else clause).strip(" *_`\"'()[]")
        said = spell(re.sub(r"^(?:the|a|an|is|that|:|it is|it's)\s+", "", said, flags=re.IGNORECASE))
        words = words_of(said)
        return None if words is None or (not last and len(words.split()) > self.count + 2) else words

    def loose(self, text: str) -> tuple[str, int, int, Mark] | None:
        """The last words of the last sentence that has any; for yes or no, the first word of the text."""
        bare = prose(text)
        first = re.match(r"[\W_]*(yes|no|true|false)\b(?![ ]+\w+[ ]+\w)", bare, re.IGNORECASE) if self.leads else None
        if first:
            return first[1], 0, len(text), "words"
        sentences = [s for s in SENTENCE.split(bare) if re.search(r"[^\W\d_]", s)]
        if not sentences or sentences[-1].rstrip().endswith("?"):
            return None
        words = TOKENS.findall(bare if len(sentences[-1].split()) < self.count else sentences[-1])
        said, before = words[-self.count :], [word.casefold() for word in words[: -self.count]]
        while before and before[-1] in ARTICLES:
            before.pop()
        # Who is named last need not be meant: "A beats B", "B, not A", "taller than A".
        if {",", ":", "="} & set(said) or (before and before[-1] not in COPULAS) or NEGATIVES & set(before[-6:]):
            return None
        return " ".join(said), 0, len(text), "words"


TOKENS = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|[,:=]")
ARTICLES = frozenset(["a", "an", "the"])
COPULAS = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "be",
        "equals",
        "becomes",
        "called",
        "named",
        "on",
        "as",
        "only",
        "=",
        ":",
        "thus",
        "therefore",
        "so",
        "hence",
    ]
)
NEGATIVES = frozenset(
    [
        "not",
        "never",
        "no",
        "isn't",
        "aren't",
        "wasn't",
        "cannot",
        "can't",
        "don't",
        "doesn't",
        "nor",
        "neither",
        "than",
        "rather",
        "instead",
        "anything",
        "unlikely",
    ]
)
