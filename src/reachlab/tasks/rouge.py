"""ROUGE-L: how much of a text comes again in another, in order.

With L the length of the longest common subsequence of the texts' words,

    P = L / words said,   R = L / words wanted,   F = 2PR / (P + R) = 2L / (words said + words wanted)

Source: Lin 2004, *ROUGE: A Package for Automatic Evaluation of Summaries*. As in the package `rouge-score`, a word is
letters and digits, whatever their case. It drops all that is not ASCII; here letters of any script count, and where
words are not spaced apart (Chinese, Japanese) each character is a word.

L comes from whole rows of the usual table as bits of one number (Hyyrö 2004, *Bit-parallel LCS-length computation
revisited*): a step a word, where the table takes one a pair.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Characters of scripts whose words are not spaced apart, as a range of a regular expression."""
WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")


def words(text: str) -> list[str]:
    """What is compared: words in small letters; where there is none, whatever is spaced apart."""
    return WORD.findall(text.lower()) or text.split()


def rouge_l(said: Sequence[str], wanted: Sequence[str]) -> float:
    """F of ROUGE-L, from 0 to 1; 0 where either is empty."""
    if not said or not wanted:
        return 0.0
    return 2 * longest_common(said, wanted) / (len(said) + len(wanted))


def longest_common(left: Sequence[str], right: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    full = (1 << len(left)) - 1
    places: defaultdict[str, int] = defaultdict(int)
    for place, word in enumerate(left):
        places[word] |= 1 << place
    row = full  # a bit is 0 where the table's row goes up by one
    for word in right:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & full
    return len(left) - row.bit_count()
