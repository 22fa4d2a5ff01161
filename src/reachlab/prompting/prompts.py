"""Whether a model was made for these prompts: they hold something, it knows their characters, an answer has room."""

from collections.abc import Sequence

from reachlab.errors import ReachlabError
from reachlab.types import Problem


def check_prompts(
    task: str, problems: Sequence[Problem], prompts: Sequence[Sequence[int]], unknown: int | None
) -> list[str]:
    """Remarks on prompts that this model was not made for.

    Args:
        task: what poses the problems.
        problems: as many as prompts, which are their tokens.
        unknown: the tokenizer's id for what it lacks.

    Raises:
        ReachlabError: a prompt without a token.
    """
    for problem, prompt in zip(problems, prompts, strict=True):
        if not prompt:
            raise ReachlabError(f"{task}: the prompt of problem {problem.id!r} has no token")
    strange = sum(unknown in prompt for prompt in prompts) if unknown is not None else 0
    if not strange:
        return []
    return [f"{strange} of {len(prompts)} prompts hold characters that the model's tokenizer lacks; they become <unk>"]


def fit_answers(model: str, positions: int | None, longest: int, wanted: int, *, given: bool) -> tuple[int, list[str]]:
    """How long answers may be, and a remark where that is less than `wanted`: never a run that says one number and was
    cut at another.

    Args:
        model: what has the positions; None where nothing is known of them.
        longest: tokens of the longest prompt.
        wanted: the longest answer. said: whether the user asked for it, or a benchmark or a default did.

    Raises:
        ReachlabError: the user asked for more than there is room for, or there is no room.
    """
    if positions is None or longest + wanted <= positions:
        return wanted, []
    room = positions - longest
    has = f"{model} has {positions:,} positions, and the longest prompt takes {longest:,}"
    if room < 1:
        raise ReachlabError(f"{has}: there is no room for an answer")
    if given:
        raise ReachlabError(f"{has}: --max-tokens {wanted} does not fit, {room} is the most that does")
    return room, [f"answers may take {room:,} tokens and not {wanted:,}: {has}"]
