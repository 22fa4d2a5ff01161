"""Drawing a run that asks for the rest of questions (`tasks/prefixed.py`): one greedy completion each, with room.

Beside the verdicts, which are on the rest of the question, a sample has a column `answered`: the task's own verdict on
the answer that follows, or that stands in the text anyhow (partial-prompt answer accuracy in arXiv 2507.10532). It is
filled after the samples are drawn, part by part, as `reachlab chance` and `reachlab score` fill theirs.
"""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from reachlab.errors import ReachlabError
from reachlab.measures.completions import ANSWERED
from reachlab.progress import track
from reachlab.sampling.config import SampleConfig
from reachlab.store.samples import SampleStore
from reachlab.tasks.asked import Asked
from reachlab.tasks.base import Task
from reachlab.tasks.judging import Judge
from reachlab.tasks.prefixed import Prefixed
from reachlab.tasks.registry import prefix_of, with_prefix
from reachlab.types import Problem

SLACK, ANSWER = 8, 256
"""Tokens of a completion beyond the rest of its question: in case it is tokenized otherwise, and for the answer."""


def settled(config: SampleConfig) -> SampleConfig:
    """The configuration with `prefix` in its task, where it is part of what is asked; one sample unless said otherwise.

    Raises:
        ReachlabError: the task says another share, or the run were adaptive.
    """
    if config.prefix is not None:
        config = replace(config, task=with_prefix(config.task, config.prefix), prefix=None)
    if prefix_of(config.task) is None:
        return config
    if config.adaptive.on:
        raise ReachlabError(
            "--adaptive does not go with a prefix: one completion of a question is enough; leave it out"
        )
    return config if config.samples is not None else replace(config, samples=1)


def prefixed(task: Task) -> Prefixed | None:
    """The task that cuts the questions of one that is asked; None where they are asked whole."""
    inner = task.task if isinstance(task, Asked) else task
    return inner if isinstance(inner, Prefixed) else None


def left_out(number: int, problems: int) -> list[str]:
    """A remark on questions that cannot be cut."""
    if not number:
        return []
    some = "1 question is" if number == 1 else f"{number:,} questions are"
    return [f"{some} left out, of less than two words; {problems:,} stay"]


def longest_rest(config: SampleConfig, problems: Sequence[Problem], served: bool) -> int:
    """Tokens of the longest rest; of a model behind servers half its characters are taken for as many."""
    rests = [str(problem.answer["rest"]) for problem in problems]
    if served:
        return max(map(len, rests)) // 2
    from reachlab.models.checkpoint import load_tokenizer
    from reachlab.models.tokenizer import encode_answers

    return max(map(len, encode_answers(load_tokenizer(config.model), rests)))


def check_room(config: SampleConfig, room: int, longest: int) -> None:
    """See that the longest rest can be written.

    Raises:
        ReachlabError: it has more tokens than the user or the model leaves room for.
    """
    if longest > room:
        whose = f"{config.model}: has" if config.decoding.max_tokens is None else f"--max-tokens {room}:"
        raise ReachlabError(
            f"{whose} no room for the rest of every question, which takes up to {longest:,} tokens; {room:,} are left"
        )


def judge_answers(
    store: SampleStore, task: Prefixed, *, timeout_s: float, workers: int | None = None, again: bool = False
) -> None:
    """Fill `answered` of the parts that lack it, or of all.

    Raises:
        ReachlabError: parts that cannot be read, or workers that cannot be started.
    """
    problems = {p.id: p for p in store.problems()}
    parts = [part for part in store.parts() if again or ANSWERED not in store.schema(part).names]
    if not parts:
        return
    with Judge(task.task, workers=workers, timeout_s=timeout_s) as judge, track("answers", len(parts)) as advance:
        for part in parts:
            rows = store.part(part)
            there = [i for i, row in enumerate(rows) if row.judgeable]
            pairs = [task.answered(problems[rows[i].problem_id], rows[i].text) for i in there]
            statuses: list[str | None] = [None] * len(rows)
            for i, verdict in zip(there, judge.verify(pairs), strict=True):
                statuses[i] = verdict.status
            store.add_columns(part, {ANSWERED: pa.array(statuses, pa.string())})
            advance()
