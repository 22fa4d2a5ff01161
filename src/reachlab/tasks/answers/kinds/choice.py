"""Multiple choice: which letter an answer picks.

The gold answer is a letter, an option's text, or both, and so is an answer. Options are the problem's, or those that
its question lists. An answer whose letter and text are of two options picks neither.
"""

import re
from collections import deque
from dataclasses import dataclass
from functools import lru_cache

from reachlab.tasks.answers.extraction import Mark
from reachlab.tasks.answers.kinds.number import NumberKind
from reachlab.tasks.answers.kinds.prose import CLAUSE_END, LEAD, SENTENCE, prose
from reachlab.tasks.answers.quantities import DENIED, NEAR, REJECTED
from reachlab.tasks.answers.spelling import canonical, number_of, spell

LETTERS = "ABCDEFGHIJ"
MOST_OPTIONS = len(LETTERS)

GOLD = re.compile(r"\(?([A-J](?:(?:, ?|,? ?and |/| )?[A-J])*)(?:\)?|(?:\)|[.:]) ?.*)", re.DOTALL)
LETTER = re.compile(
    r"[\s*_`\"'(\[{$]*(?:(?:option|choice|letter|answer)s?[\s*_:]*)?[\s*_`\"'(\[{$]*"
    r"(?P<letters>[A-J](?:(?:\s*(?:,|and|or|&|、|/)\s*|,? )(?:(?:and|or|maybe) )*[A-J](?![A-Za-z]))*)"
    r"(?P<close>[)\]}$*_`\"']*)(?P<after>[\s.:,;)!]|$|[^\x00-\x7f])(?!\s*=)",
)
CAPITALS = re.compile(r"[A-J]{2,}")
GOES_ON = (
    r"(?! (?!because|since|as |is |and |or |for |here|but )[a-z])(?!\s*(?:,|/|&"
    r"|and|or)\s*\(?[A-J](?![A-Za-z]))"
)
"""Not an article, nor one of several."""
PICKED = re.compile(
    r"(?i:\b(?:option|choice|letter|choose|pick|select|answer)s?(?:[ ]+(?:is|are|would be|should be|must be))?)"
    rf"[\s*_:]+[(\"'*]*(?P<a>[A-J])(?![A-Za-z']){GOES_ON}"
    r"|\((?P<b>[A-J])\)|\*\*\(?(?P<c>[A-J])(?:[.):][^*\n]*)?\*\*"
    r"|\\(?:text|textbf|mathbf|mathrm)\{\(?(?P<d>[A-J])\)?\}"
    r"|(?<![A-Za-z])(?P<e>[A-J])(?= is (?:the |my )?(?:final )?(?:correct|right|best|true|answer))"
    r"|(?:选项?[是为]?|选择)\s*(?P<f>[A-J])|\$\\?(?P<g>[A-J])\$"
    rf"|(?i:\b(?:is|be|hence|thus|therefore|so|but))[\s,:]+\(?(?P<h>[A-J])\)?(?=[\s*]*[.!,;]?[\s*]*$)"
)
"""Where a sentence names a letter as its choice."""
DISMISSED = re.compile(
    r"\b(?:rule[sd]? out|eliminat\w+|exclud\w+|reject\w*|discard\w*|not)[\s:]+(?:option "
    r"|choice )?\(?$",
    re.IGNORECASE,
)
REFUSED = re.compile(r"(?:\bnot|n't|\bnever)[ ](?:\w+[ ]){0,2}\(?$", re.IGNORECASE)
MORE = re.compile(
    r"[\s)\]*]*(?:\([^()]*\))?\s*(?:\(?\s*(?:\band\b|\bor\b|,|;|&|\+|/|->)\s*)+"
    r"(?:(?:or|and|possibly|maybe|perhaps)\s+)*\(?([A-J])(?=[)\s.,;]|$)(?! [a-z])"
)
"""A further letter: ``B (or C)``, ``(B); (C)``."""
OUT = re.compile(
    r"[)\s*]*(?:is|was|has been|(?:can|may|must|should) be) (?:eliminated|ruled out|excluded|rejected|discarded)",
    re.IGNORECASE,
)
NEGATED = re.compile(r"\b(?:not|never|no|cannot|neither|nor|rather than|instead of)\b|n't\b", re.IGNORECASE)
CLAUSE = re.compile(r"[;,]|\bbut\b")
FIRST = re.compile(r"[\s*_`\"'(\[]*(?P<letter>[A-J])(?:[)\]*_`\"']*(?:[.):!]|\s*\n|\s*$))")
LISTED = re.compile(
    r"(?:(?<=\n)|(?<=^)|(?<=\s)|(?<=\$)|(?<=quad)|(?<=~))(?:\\(?:text|textbf|mathrm|mathbf|mbox)\{)?"
    r"(?:\((?P<p>[A-J])\)|(?P<d>[A-J])(?:[.):]|(?=\n[A-J](?:\n|$))|(?<=\n[A-J])$))\}?[ \t~\\]*",
)
MOST_PICKS = 20
"""Letters of a sentence that are looked at, from its end."""
PLAIN_WORD = re.compile(r"[^\W\d_]{3}")


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
            if REJECTED.match(text, found.end("letters")) or OUT.match(text, found.end("letters")):
                return None
            letters = _letters(found["letters"])
            if more := MORE.match(text, found.end("letters")):
                letters = _letters("".join({*found["letters"], more[1]}))
            rest = text[found.end() :].strip(" \t.:,;)*_\n")
            return letters if self._agrees(letters, rest) else f"{letters} {rest}"[:200]
        if (word := text.strip("()[]{}$ .!")) and CAPITALS.fullmatch(word) and sorted(set(word)) == list(word):
            return _letters(word)
        option = self._option(text)
        beside = PARENTHESISED.search(text)
        return text[:200] if option and beside and beside[1] != option else option

    def loose(self, text: str) -> tuple[str, int, int, Mark] | None:
        """The one letter of the last sentence that picks any; a letter that the text begins with; an option's text."""
        ends = [s for s in SENTENCE.split(text) if s.strip()]
        concluded = {
            m[m.lastgroup or 0]
            for s in ends[-1:]
            for m in deque(PICKED.finditer(s), maxlen=MOST_PICKS)
            if m["h"] and _meant(s, m)
        }
        if len(concluded) == 1:
            return concluded.pop(), 0, len(text), "letter"
        said = _without_options(text)
        sentences = [s for s in SENTENCE.split(said) if s.strip() and not s.rstrip().endswith("?")]
        for sentence in reversed(sentences[-6:]):
            picks = deque(PICKED.finditer(sentence), maxlen=MOST_PICKS)
            letters = {m[m.lastgroup or 0] for m in picks if _meant(sentence, m)}
            if len(letters) == 1:
                return letters.pop(), 0, len(text), "letter"
            if letters:
                return None
        if first := FIRST.match(said):
            line = said[: max(said.find("\n", first.start("letter")), 0) or len(said)]
            picked = self.picked(line)
            return None if picked is None else (picked, 0, len(text), "letter")
        for clause in reversed(CLAUSE.split(sentences[-1])) if sentences else ():
            if (letter := self._option(clause)) is not None and not self._denies(clause, letter):
                return letter, 0, len(text), "letter"
        whole = self.picked(said) if len(sentences) == 1 and not NEGATED.search(said) else None
        return None if whole is None else (whole, 0, len(text), "letter")

    def _denies(self, clause: str, letter: str) -> bool:
        """Whether a clause names an option to deny it; the option's own words may hold a "no"."""
        return bool(NEGATED.search(_words(clause).replace(_words(self.options[LETTERS.index(letter)]), "")))

    def _article(self, text: str, found: re.Match[str]) -> bool:
        """Whether an "A" or "I" is a word of a sentence."""
        following = text[found.end() :].split(" ", 1)[0].strip(",.;:")
        return (
            found["letters"] in "AI"
            and found["after"].isspace()
            and not found["close"]
            and following[:1].islower()
            and following not in ("because", "since", "as", "is", "and", "or", "for", "but")
        )

    def _agrees(self, letters: str, rest: str) -> bool:
        """Whether the text behind a letter is not another option's."""
        if not rest or len(letters) > 1 or not self.options:
            return True
        other = self._exactly(rest) or self._option(CLAUSE_END.split(rest, maxsplit=1)[0])
        return other in (None, letters)

    def _exactly(self, text: str) -> str | None:
        """The letter of the one option that says just this."""
        bare = spell(text)
        if not bare:
            return None
        number, said = number_of(bare), canonical(text)

        def same(option: str) -> bool:
            other = number_of(spell(option)) if number else None
            if number and other:
                return number.value == other.value and not (number.unit and other.unit and number.unit != other.unit)
            return canonical(option) == said

        found = [letter for letter, option in zip(LETTERS, self.options, strict=False) if same(option)]
        return found[0] if len(found) == 1 else None

    def _option(self, text: str) -> str | None:
        """The letter of the one option whose text this is, or holds; a number must be what the text states."""
        if (letter := self._exactly(text)) is not None:
            return letter
        said = f" {_words(text)} "
        held = {
            letter: words
            for letter, option in zip(LETTERS, self.options, strict=False)
            if PLAIN_WORD.search(option) and (words := _words(option)) and f" {words} " in said
        }
        longest = [a for a, words in held.items() if not any(words in w and words != w for w in held.values())]
        if longest or not any(map(number_of, map(spell, self.options))):
            return longest[0] if len(longest) == 1 else None
        number = NumberKind().begun(text, last=True)
        return None if number is None else self._exactly(number)


PARENTHESISED = re.compile(r"\(([A-J])\)")


def _meant(sentence: str, pick: re.Match[str]) -> bool:
    """Whether a letter is chosen and not dismissed."""
    start, end = pick.span(pick.lastgroup or 0)
    before = sentence[max(0, start - NEAR) : start]
    return not (
        DENIED.search(before.rstrip("(* ") + " ")
        or DISMISSED.search(before)
        or REFUSED.search(before)
        or REJECTED.match(sentence, end)
        or OUT.match(sentence, end)
    )


def _without_options(text: str) -> str:
    """Without the list of options, where a text repeats it: naming all is choosing none."""
    chain = _listed(text)
    if len(chain) < 2:
        return text
    pieces, at = [], 0
    for begin, end in chain:
        pieces.append(text[at:begin])
        line = text.find("\n", end)
        at = len(text) if line < 0 else max(at, line)
    return "".join([*pieces, text[at:]])


def _listed(text: str) -> list[tuple[int, int]]:
    """Where the marks A, B, C ... of a list of options stand."""
    chain: list[tuple[int, int]] = []
    for mark in LISTED.finditer(text):
        letter = mark["p"] or mark["d"]
        if letter == "A":
            chain = [mark.span()]
        elif chain and letter == LETTERS[len(chain) : len(chain) + 1]:
            chain.append(mark.span())
    return chain


TITLED = re.compile(r"\. ?[A-Z\d$\\]")


def gold_choice(answer: str, options: tuple[str, ...]) -> str | None:
    """The letters of a gold answer; None where it is not a choice."""
    bare = spell(answer)
    found = GOLD.fullmatch(bare)
    if found:
        behind = bare[found.end(1) :]
        if not options and behind[:1] in (".", ":") and not TITLED.match(behind):
            return None  # E. coli
        picked = [c for c in found[1] if c in LETTERS]
        if len(set(picked)) == len(picked) and (picked == sorted(picked) or "," in found[1]):
            return _letters(found[1])
    return ChoiceKind(options)._exactly(answer) if options else None


@lru_cache(maxsize=4096)
def options_in(question: str) -> tuple[str, ...]:
    """The options that a question lists from A on, () where it lists none."""
    chain = _listed(question)
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
