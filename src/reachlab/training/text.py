"""From tasks and samples to batches of tokens: batch t is a function of (seed, t) alone.

Axes. B: sequences of a batch, T: tokens.
"""

import queue
import threading
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, islice
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.chat import answer_end, is_chat
from reachlab.models.tokenizer import encode_answers, encode_prompts
from reachlab.models.vision import Places, Seen, pixels
from reachlab.store.samples import SampleStore
from reachlab.tasks.asked import Asked
from reachlab.tasks.base import Task
from reachlab.types import Problem, Prompt


@dataclass(frozen=True)
class Tokens:
    """Sequences padded on the right. `learn_BT` is true where a token is to be predicted."""

    ids_BT: Tensor
    attention_BT: Tensor
    learn_BT: Tensor
    prompts_B: tuple[Sequence[int], ...] = ()
    """The rows' prompts, where pictures are among them."""
    cut: int | None = None
    """Rows of a whole batch of documents that were longer than they may be."""

    def split(self, pieces: int) -> "list[Tokens]":
        """At most `pieces` batches of nearly equal size, in order."""
        count = min(pieces, len(self.ids_BT))
        ids, attention, learn = (t.tensor_split(count) for t in (self.ids_BT, self.attention_BT, self.learn_BT))
        starts = accumulate(map(len, ids), initial=0)
        prompts = [self.prompts_B[start : start + len(part)] for start, part in zip(starts, ids, strict=False)]
        return [Tokens(*part) for part in zip(ids, attention, learn, prompts, strict=True)]

    def seen(self, model: Any, device: torch.device) -> dict[str, Tensor]:
        """What the model is given beside the ids: the rows' pictures, and where its tokens are if that depends on
        them."""
        if not (inputs := pixels(self.prompts_B, device)):
            return {}
        places = Places(model)
        inputs["input_ids"] = places.fed_after(self.prompts_B, self.ids_BT).to(device)
        if places:
            inputs["position_ids"] = places.rows(self.prompts_B, self.ids_BT.shape[1]).to(device)
        return inputs

    def share(self, rank: int, world: int) -> "Tokens":
        """The rows of one of `world` processes; where there is none for it, a row of which nothing counts."""
        if rank < len(self.ids_BT):
            return self.split(world)[rank]
        return Tokens(self.ids_BT[:1], self.attention_BT[:1], torch.zeros_like(self.learn_BT[:1]), self.prompts_B[:1])


class Document(NamedTuple):
    """A prompt and an answer to it. One that has not `ended`, but was cut, teaches no end of text."""

    prompt: Prompt
    answer: str
    ended: bool = True


Documents = Callable[[int, int], list[Document]]
"""documents(start, n): n of them from the start-th on."""


def attempts(task: Task, seed: int) -> Documents:
    """A task's ordinary text: attempts at its training problems, right and wrong."""
    return _of_task(task, seed, task.attempt)


def solutions(task: Task, seed: int) -> Documents:
    """The task's own solver's answers to its training problems."""
    return _of_task(task, seed, task.solve)


def _of_task(task: Task, seed: int, write: Callable[[Problem, Random], str | None]) -> Documents:
    def documents(start: int, n: int) -> list[Document]:
        drawn = []
        for index, problem in enumerate(islice(task.stream("train", seed, start), n), start):
            text = write(problem, Random(f"{seed} text {index}"))
            if text is None:
                raise ReachlabError(f"{task.spec}: the task has no answers to learn from; distil from a run of samples")
            drawn.append(Document(problem.asked, text))
        return drawn

    return documents


def teacher_samples(store: SampleStore, task: Asked, seed: int, right: bool = True) -> Documents:
    """What a teacher model answered rightly, as this task asks it, in an order of its own each epoch.

    Test problems are left out.

    Without `right` it is all that it answered, but for what was cut at the longest answer.

    Raises:
        ReachlabError: no such sample of a training problem.
    """
    problems = {p.id: p for p in store.problems() if task.split_of(p) == "train"}
    learned = [s for s in store.samples(problems) if (s.verdict.status == "correct" if right else s.finish == "stop")]
    # The teacher may have been asked otherwise.
    again = [(*task.again(problems[s.problem_id], s.text), s.finish == "stop") for s in learned]
    pool = [Document(problem.asked, text, ended) for problem, text, ended in again]
    if not pool:
        raise ReachlabError(
            f"{store.folder.url}: no {'correct' if right else 'finished'} sample of a training problem to learn from; "
            f"draw the teacher's samples with --split train{'' if right else ', and longer --max-tokens'}"
        )

    def documents(start: int, n: int) -> list[Document]:
        drawn = []
        for index in range(start, start + n):
            epoch, position = divmod(index, len(pool))
            drawn.append(pool[order(len(pool), seed, epoch)[position]])
        return drawn

    return documents


@lru_cache(maxsize=2)
def order(n: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation of n places."""
    return np.random.default_rng([seed, epoch]).permutation(n)


def document_batches(
    documents: Documents,
    tokenizer: PreTrainedTokenizerBase,
    batch: int,
    length: int,
    answer_only: bool,
    ends: Collection[int] = (),
) -> Callable[[int], Tokens]:
    """Batch t holds documents t·batch to (t+1)·batch; those longer than `length` are cut at the end, and counted.

    `answer_only` learns the answers and not the prompts. `ends` are the tokens that end the model's answers, of which
    an answer in a chat ends with the one that ends a turn.
    """
    turn = answer_end(tokenizer, ends)

    def at(step: int) -> Tokens:
        drawn = documents(step * batch, batch)
        prompts = encode_prompts(tokenizer, [document.prompt for document in drawn])
        answers = encode_answers(tokenizer, [document.answer for document in drawn])
        for document, ids in zip(drawn, answers, strict=True):
            if document.ended:
                ids.append(turn if is_chat(document.prompt) else tokenizer.eos_token_id)
        tokens = pad(prompts, answers, tokenizer.pad_token_id, length, answer_only)
        if not tokens.learn_BT[:, 1:].any():
            raise ReachlabError(f"no prompt of step {step} leaves room for an answer in --length {length}; raise it")
        return tokens

    return at


def pad(
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    pad_id: int,
    length: int | None = None,
    answer_only: bool = True,
) -> Tokens:
    """Prompts followed by answers, padded on the right, cut at `length`."""
    rows = [[*p, *a][:length] for p, a in zip(prompts, answers, strict=True)]
    longest = max(map(len, rows))
    ids_BT = torch.full((len(rows), longest), pad_id)
    attention_BT = torch.zeros(len(rows), longest, dtype=torch.bool)
    learn_BT = torch.zeros(len(rows), longest, dtype=torch.bool)
    for b, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
        ids_BT[b, : len(row)] = torch.as_tensor(row)
        attention_BT[b, : len(row)] = True
        learn_BT[b, len(prompt) if answer_only else 0 : len(row)] = True
    lengths = [len(p) + len(a) for p, a in zip(prompts, answers, strict=True)]
    cut = None if length is None else sum(one > length for one in lengths)
    seen = any(isinstance(prompt, Seen) for prompt in prompts)
    if seen and any(len(row) < len(prompt) for row, prompt in zip(rows, prompts, strict=True)):
        raise ReachlabError(f"--length {length} cuts a picture: prompts take up to {max(map(len, prompts))} tokens")
    return Tokens(ids_BT, attention_BT, learn_BT, tuple(prompts) if seen else (), cut)


def ahead(make: Callable[[int], Tokens], start: int, stop: int) -> Generator[Tokens, None, None]:
    """make(start), make(start + 1) ... made by a thread while the caller computes; two batches wait at most."""
    ready: queue.Queue[Tokens | BaseException] = queue.Queue(maxsize=2)
    ended = threading.Event()

    def work() -> None:
        item: Tokens | BaseException
        for step in range(start, stop):
            try:
                item = make(step)
            except BaseException as error:
                item = error
            while not ended.is_set():
                try:
                    ready.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            if ended.is_set() or isinstance(item, BaseException):
                return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        for _ in range(start, stop):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        ended.set()
        thread.join()
