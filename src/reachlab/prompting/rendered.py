"""`reachlab tasks SPEC --model M`: some problems of a task exactly as a model gets them, special tokens and all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_tokenizer
from reachlab.models.tokenizer import encode_prompts
from reachlab.prompting.prompted_task import prompted_task
from reachlab.tasks.asking import AskConfig
from reachlab.tasks.base import SplitChoice
from reachlab.tasks.listing import rows_of, some_problems
from reachlab.types import Text


@dataclass(frozen=True)
class RenderedPrompts:
    """How a model is asked, in words and as JSON, and problems as rows of what `rows_of` gives, with `written`, the
    prompt as the model gets it, and `tokens`, how long that is."""

    how: str
    ask: dict[str, Any]
    problems: list[dict[str, Any]]


def show_prompts(
    spec: str, split: SplitChoice, n: int, seed: int, folder: str = "", ask: AskConfig | None = None, model: str = ""
) -> RenderedPrompts:
    """Some problems of a task as a model is asked them; the arguments are those of `listing.show_task`.

    Raises:
        ReachlabError: as of `show_task`, or a model that is not there or cannot be asked so.
    """
    if not Path(model).is_dir():
        raise ReachlabError(f"{model}: no such model folder; what a model behind a server gets, only that server sees")
    prompted = prompted_task(spec, ask or AskConfig(), model)
    problems = some_problems(prompted.task, split, n, seed)
    tokenizer = load_tokenizer(model)
    rows = rows_of(prompted.task, problems, seed, folder)
    for row, ids in zip(rows, encode_prompts(tokenizer, [p.asked for p in problems]), strict=True):
        row |= {"written": _decoded(tokenizer, ids), "tokens": len(ids)}
    return RenderedPrompts(prompted.how, prompted.identity, rows)


def as_written(folder: str, prompt: Text) -> str:
    """One prompt of a run as the model in `folder` gets it, special tokens and all.

    Raises:
        ReachlabError: a model that is not there or cannot be asked so.
    """
    tokenizer = load_tokenizer(folder)
    (ids,) = encode_prompts(tokenizer, [prompt])
    return _decoded(tokenizer, ids)


def _decoded(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))
