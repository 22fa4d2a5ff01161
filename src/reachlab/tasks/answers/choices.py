"""Multiple choice: which letter an answer picks.

The gold answer is a letter, an option's text, or both, and so is an answer. Options are the problem's, or those that
its question lists. An answer whose letter and text are of two options picks neither.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from reachlab.tasks.answers.extraction import Mark
from reachlab.tasks.answers.kinds import CLAUSE_END, LEAD, SENTENCE, prose
from reachlab.tasks.answers.quantities import DENIED
from reachlab.tasks.answers.spelling import canonical, spell

LETTERS = "ABCDEFGHIJ"
MOST_OPTIONS = len(LETTERS)

GOLD = re.compile(r"\(?([A-J](?:(?:, ?|,? ?and |/| )?[A-J])*)(?:\)?|(?:\)|[.:]) ?.*)", re.DOTALL)
LETTER = re.compile(
    r"[\s*_`\"'(\[{$]*(?:(?:option|choice|letter|answer)s?[\s*_:]*)?[\s*_`\"'(\[{$]*(?P<letters>[A-J](?:(?:\s*(?:,"
    r"|and|&|、|/)\s*|,? )(?:and )?[A-J](?![A-Za-z]))*)"
    r"(?P<close>[)\]}$*_`\"']*)(?P<after>[\s.:,;)]|$|[^\x00-\x7f])(?!\s*=)",
)
CAPITALS = re.compile(r"[A-J]{2,}")
PICKED = re.compile(
    r"(?i:\b(?:option|choice|letter|choose|pick|select|answer)s?(?:[ ]+(?:is|are|would be"
    r"|should be|must be))?)[\s*_:]+[(\"'*]*(?P<a>[A-J])(?![A-Za-z'])(?! (?!because|since"
    r"|as |is |and |or |for |here)[a-z])|\((?P<b>[A-J])\)|\*\*\(?(?P<c>[A-J])(?:[.):][^*\n]*)?\*\*"
    r"|\\(?:text|textbf|mathbf|mathrm)\{\(?(?P<d>[A-J])\)?\}|(?<![A-Za-z])(?P<e>[B-H])(?= is (?:the )?(?:correct"
    r"|right|best|true|answer))|选\s*(?P<f>[A-J])"
    r"|\$\\?(?P<g>[A-J])\$"
)
FIRST = re.compile(r"[\s*_`\"'(\[]*(?P<letter>[A-J])(?:[)\]*_`\"']*(?:[.):]|\s*\n|\s*$))")
LISTED = re.compile(
    r"(?:(?<=\n)|(?<=^)|(?<=\s)|(?<=\$)|(?<=quad)|(?<=~))(?:\\(?:text|textbf|mathrm|mathbf"
    r"|mbox)\{)?(?:\((?P<p>[A-J])\)|(?P<d>[A-J])[.):])\}?[ \t~\\]*",
)


@dataclass(frozen=True, slots=True)
class ChoiceKind:
    """One letter, or several; `options` are the texts behind A, B, C ... where they are known."""

    options: tuple[str, ...] = ()

    def boxed(self, content: str) -> str | None:
        """The letters, or the option, that a box holds; a box with anything else is passed over."""
        return self.picked(content)

    def begun(self, clause: str, *, last: bool) -> str | None:
        """The letters at the beginning of a clause, or the one option that it holds."""
        return self.picked(clause)

    def picked(self, clause: str) -> str | None:
        """The letters that a clause picks, as ``B`` or ``A,C``."""
        text = prose(spell_lightly(clause)).strip(" \t\n.*_`\"'")
        lead = LEAD.match(text) if not re.match(r"[A-Ja-j](?![a-z])", text) else None
        text = text[lead.end() if lead else 0 :]
        if DENIED.match(text.split(" ")[0] + " "):
            return None
        found = LETTER.match(text)
        if found and not self._article(text, found):
            letters = _letters(found["letters"])
            rest = text[found.end() :].strip(" \t.:,;)*_\n")
            return letters if self._agrees(letters, rest) else f"{letters} {rest}"[:200]
        if (word := text.strip("()[]{}$ .")) and CAPITALS.fullmatch(word) and sorted(set(word)) == list(word):
            return _letters(word)
        return self._option(text)

    def loose(self, text: str) -> tuple[str, int, int, Mark] | None:
        """The one letter of the last sentence that picks any; a letter that the text begins with; an option's text."""
        sentences = [s for s in SENTENCE.split(text) if s.strip()]
        first = FIRST.match(text)
        for sentence in reversed(sentences[-6:]):
            picks = [m for m in PICKED.finditer(sentence) if not DENIED.search(sentence[: m.start()])]
            letters = {m[m.lastgroup or 0] for m in picks}
            if len(letters) == 1:
                return letters.pop(), 0, len(text), "letter"
            if letters:
                return None
        if first:
            line = text[: max(text.find("\n", first.start("letter")), 0) or len(text)]
            return self.picked(line) or first["letter"], 0, len(line), "letter"
        for sentence in sentences[-1:]:
            if (letter := self._option(sentence)) is not None and not DENIED.search(sentence):
                return letter, 0, len(text), "letter"
        whole = self.picked(text) if len(sentences) == 1 else None
        return None if whole is None else (whole, 0, len(text), "letter")

    def _article(self, text: str, found: re.Match[str]) -> bool:
        """Whether an "A" or "I" is a word of a sentence."""
        return (
            found["letters"] in "AI"
            and found["after"].isspace()
            and not found["close"]
            and text[found.end() : found.end() + 1].islower()
        )

    def _agrees(self, letters: str, rest: str) -> bool:
        """Whether the text behind a letter is not another option's."""
        if not rest or len(letters) > 1 or not self.options:
            return True
        other = (
            self._option(CLAUSE_END.split(rest, maxsplit=1)[0]) if self._exactly(rest) is None else self._exactly(rest)
        )
        return other in (None, letters)

    def _exactly(self, text: str) -> str | None:
        said = canonical(text)
        same = [letter for letter, option in zip(LETTERS, self.options, strict=False) if canonical(option) == said]
        return same[0] if len(same) == 1 and said else None

    def _option(self, text: str) -> str | None:
        """The letter of the one option whose text this is, or holds."""
        if (letter := self._exactly(text)) is not None:
            return letter
        said = f" {_words(text)} "
        held = {
            letter: words
            for letter, option in zip(LETTERS, self.options, strict=False)
            if (words := _words(option)) and f" {words} " in said
        }
        longest = [
            a for a, words in held.items() if not any(words in other and words != other for other in held.values())
        ]
        return longest[0] if len(longest) == 1 else None


def gold_choice(answer: str, options: tuple[str, ...]) -> str | None:
    """The letters of a gold answer; None where it is not a choice."""
    bare = spell(answer)
    found = GOLD.fullmatch(bare)
    if found:
        picked = [c for c in found[1] if c in LETTERS]
        if len(set(picked)) == len(picked) and (picked == sorted(picked) or "," in found[1]):
            return _letters(found[1])
    return ChoiceKind(options)._exactly(answer) if options else None


@lru_cache(maxsize=4096)
def options_in(question: str) -> tuple[str, ...]:
    """The options that a question lists from A on, () where it lists none."""
    marks = [(m["p"] or m["d"], m.start(), m.end()) for m in LISTED.finditer(question)]
    chain: list[tuple[int, int]] = []
    for letter, begin, end in marks:
        if letter == "A":
            chain = [(begin, end)]
        elif chain and letter == LETTERS[len(chain)]:
            chain.append((begin, end))
    if len(chain) < 2:
        return ()
    ends = [begin for begin, _ in chain[1:]] + [len(question)]
    last = question.find("\n\n", chain[-1][1])
    ends[-1] = last if last >= 0 else len(question)
    return tuple(
        question[end:stop].strip(" \t\n\\$,;").removesuffix("\\qquad").strip()
        for (_, end), stop in zip(chain, ends, strict=True)
    )


def spell_lightly(text: str) -> str:
    """Without TeX's fonts and boxes around letters."""
    return FONT.sub(r"\1", FONT.sub(r"\1", text)).replace("\\ ", " ").replace("~", " ")


FONT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|boxed|textrm)\s*\{([^{}]*)\}")


def _letters(text: str) -> str:
    return ",".join(sorted(c for c in text if c in LETTERS))


def _words(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))
