"""Whether a model was made for these prompts: they hold something, it knows their characters, it has the positions."""

from collections.abc import Sequence
from pathlib import Path

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import max_positions
from reachlab.types import Problem


def check_prompts(
    model: str | Path,
    task: str,
    problems: Sequence[Problem],
    prompts: Sequence[Sequence[int]],
    unknown: int | None,
    max_tokens: int,
) -> list[str]:
    """Remarks on prompts that this model was not made for.

    Args:
        model: its checkpoint. task: what poses the problems.
        problems: as many as prompts, which are their tokens.
        unknown: the tokenizer's id for what it lacks. max_tokens: the longest answer.

    Raises:
        ReachlabError: a prompt without a token, or one that the model has no position for.
    """
    notes = []
    for problem, prompt in zip(problems, prompts, strict=True):
        if not prompt:
            raise ReachlabError(f"{task}: the prompt of problem {problem.id!r} has no token")
    strange = sum(unknown in prompt for prompt in prompts) if unknown is not None else 0
    if strange:
        notes.append(
            f"{strange} of {len(prompts)} prompts hold characters that the model's tokenizer lacks; they become <unk>"
        )
    promised, goes_on = max_positions(model)
    needed = max(map(len, prompts)) + max_tokens
    if promised is not None and needed > promised and not goes_on:
        raise ReachlabError(
            f"{model}: prompt and answer take up to {needed} tokens, and the model has {promised} positions; "
            "lower --max-tokens"
        )
    if promised is not None and needed > promised:
        notes.append(
            f"prompt and answer take up to {needed} tokens, the checkpoint promises {promised}; its rotary positions "
            "go on, its answers may not make sense"
        )
    return notes
