"""Options under the names of today: what an option was called before goes on working for one version, and is said."""

import contextlib
import shlex
from collections.abc import Callable, Sequence

OPTIMIZER = {"--method": "--optimizer", "--clip": "--max-grad-norm"}
RENAMED_OPTIONS: dict[str, dict[str, str]] = {
    "pretrain": {**OPTIMIZER, "--accumulate": "--gradient-accumulation"},
    "distill": {**OPTIMIZER, "--accumulate": "--gradient-accumulation"},
    "rl": {
        **OPTIMIZER,
        "--lot": "--random-keep",
        "--normalise": "--advantage-normalisation",
        "--pass-tokens": "--micro-batch-tokens",
        "--updates": "--minibatches",
        "--kl": "--kl-coef",
        "--aggregate": "--loss-aggregation",
        "--overlong": "--overlong-buffer",
        "--lam": "--gae-lambda",
    },
}
"""Old names of options, by command."""
WORDS_INSIDE = {"study": {"--select": "rl", "--rl-words": "rl", "--distill-words": "distill"}}
"""Options whose value is words for another command, by command: which one."""
GOES = "the old name goes with the next version"


def present_words(command: str, words: Sequence[str], tell: Callable[[str], None] = lambda _: None) -> list[str]:
    """The words of a command with today's names of its options; `tell` hears of each old one, words for other commands
    among them, which stay as they are: who reads them asks here too. An option may have underscores for its dashes, as
    tyro takes either."""
    found = list(words)
    for at, word in enumerate(found):
        option, equals, value = word.partition("=")
        if (other := WORDS_INSIDE.get(command, {}).get(_dashed(option))) is not None:
            inside = value if equals else "".join(found[at + 1 : at + 2])
            with contextlib.suppress(ValueError):  # a quotation mark without its other; whoever reads the words says so
                present_words(other, shlex.split(inside), tell)
    for at, word in enumerate(found):
        option, equals, value = word.partition("=")
        if (new := RENAMED_OPTIONS.get(command, {}).get(_dashed(option))) is not None:
            tell(f"{option} is called {new} now; {GOES}")
            found[at] = f"{new}{equals}{value}"
    return found


def _dashed(option: str) -> str:
    return option.replace("_", "-")
