"""What a checkpoint's routers do: listen to them on text, and hold their gradient beside the dense one.

The numbers are those of `moe/instruments.py` and `moe/fidelity.py`; here they meet a checkpoint, text and the page.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain, count, islice
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from reachlab.models.checkpoint import load_model
from reachlab.models.checkpoint_files import find_checkpoint
from reachlab.models.devices import choose_device
from reachlab.models.pinning import locate
from reachlab.models.positions import positions
from reachlab.models.tokenizer import encode
from reachlab.moe import densified, restore, saved
from reachlab.moe.fidelity import CANDIDATES, Batch, Fidelity, compare
from reachlab.moe.instruments import Reading, Recorder, unused_warnings
from reachlab.progress import track
from reachlab.reporting.router_page import labels, write_routers
from reachlab.runs import check_page
from reachlab.studies.config import InspectConfig
from reachlab.tasks.registry import load_task
from reachlab.training.corpus.sources import is_text
from reachlab.training.corpus.survey import survey
from reachlab.training.text import Tokens, attempts, document_batches, pad


@dataclass(frozen=True)
class Inspection:
    """What was found."""

    facts: list[str]
    """What was measured, in short phrases."""
    readings: list[Reading]
    fidelity: dict[str, list[Fidelity]]
    """By method; empty where it was not asked for."""

    @property
    def warnings(self) -> list[str]:
        """A sentence for every layer with unused experts."""
        return unused_warnings(self.readings)

    def rows(self) -> list[dict[str, str]]:
        """What the routers do, a row a layer."""
        names = labels([r.layer for r in self.readings])
        return [
            {
                "layer": names[at],
                "entropy": f"{r.entropy:.2f} ({r.entropy_share:.0%})",
                "top-k mass": f"{r.mass:.2f}",
                "load CV": f"{r.load_cv:.2f}",
                "max load": f"{r.load_max:.2f}x",
                "unused": str(len(r.unused)),
                **({"|E|": f"{_mean(r.outputs):.2f}"} if r.outputs else {}),
                **({"|default|": f"{_mean(r.vectors.norms):.2f}"} if r.vectors else {}),
            }
            for at, r in enumerate(self.readings)
        ]

    def fidelity_rows(self) -> list[dict[str, str]]:
        """Each method's cosine with the dense gradient, a row a layer."""
        names = labels([r.layer for r in self.readings])
        return [
            {"layer": name} | {m.removeprefix("default/"): f"{f[at].cosine:.3f}" for m, f in self.fidelity.items()}
            for at, name in enumerate(names)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {
            "facts": self.facts,
            "warnings": self.warnings,
            "layers": [r.to_dict() for r in self.readings],
            "fidelity": {name: [asdict(one) for one in found] for name, found in self.fidelity.items()},
        }


def inspect_routers(config: InspectConfig) -> Inspection:
    """Listen to a checkpoint's routers, and write the page where one is asked for.

    Raises:
        ReachlabError: no checkpoint, a dense model or one whose family is refused, data that cannot be read.
    """
    if config.out:
        check_page(config.out)
    device = choose_device(config.device)
    located = locate(config.model)
    config = replace(config, model=located.folder)
    model, tokenizer = load_model(config.model, config.dtype)
    model.to(device)
    if densified(model) is None and saved(find_checkpoint(config.model)):
        restore(model, find_checkpoint(config.model))
    wanted = -(-config.tokens // (config.batch * config.length))
    others = config.warm_up if config.fidelity else 0
    found = [_on(device, tokens) for tokens in islice(_batches(config, tokenizer), wanted + others)]
    heard = found[:wanted]
    with Recorder(model, outputs=True) as recorder:
        with track("listen", len(heard)) as advance, torch.no_grad():
            for batch in heard:
                model(**batch, use_cache=False)
                advance(1)
        readings = recorder.read()
    fidelity: dict[str, list[Fidelity]] = {}
    if config.fidelity:
        measured = heard[: config.fidelity]
        # Where the text is at its end, what was listened to and is not measured has to do.
        warm_up = found[wanted:] or heard[config.fidelity :]
        with track("fidelity", len(measured) + len(warm_up)) as advance:
            fidelity = compare(model, measured, warm_up=warm_up, candidates=CANDIDATES, progress=advance)
    own = densified(model)
    facts = [
        located.name,
        f"{readings[0].tokens:,} tokens of {config.data}",
        f"{len(readings)} layers, {readings[0].active} of {readings[0].experts} experts active",
        f"method {own.method} {_options(own.options)}".rstrip() if own else "not densified",
    ]
    result = Inspection(facts, readings, fidelity)
    if config.out:
        write_routers(readings, config.out, title="What the routers do", facts=facts, fidelity=fidelity)
    return result


def _batches(config: InspectConfig, tokenizer: PreTrainedTokenizerBase) -> Iterator[Tokens]:
    """Batches of the data: a task's without end, a text's until it is read."""
    longest = positions(config.model)
    length = config.length if longest is None else min(config.length, longest)
    if is_text(config.data):
        return _of_text(config.data, tokenizer, config.batch, length)
    task = load_task(config.data)
    at = document_batches(attempts(task, config.seed), tokenizer, config.batch, length, answer_only=False)
    return map(at, count())


def _of_text(spec: str, tokenizer: PreTrainedTokenizerBase, batch: int, length: int) -> Iterator[Tokens]:
    """Windows of a text, documents one after the other: what training holds out, then the rest."""
    corpus = survey(spec)
    held_out = (text for text, out in corpus.split() if out)
    rows: list[list[int]] = []
    ids: list[int] = []
    for text in chain(held_out, corpus.train()):
        ids += [*encode(tokenizer, [text])[0], tokenizer.eos_token_id]
        rows += [ids[at : at + length] for at in range(0, len(ids) - length + 1, length)]
        ids = ids[len(ids) // length * length :]
        while len(rows) >= batch:
            yield pad([[]] * batch, rows[:batch], tokenizer.pad_token_id)
            rows = rows[batch:]
    if len(ids) > 1:
        rows.append(ids)
    if rows:
        yield pad([[]] * len(rows), rows, tokenizer.pad_token_id)


def _on(device: torch.device, tokens: Tokens) -> Batch:
    """A batch as the model takes it; a mask only where there is padding."""
    batch = {"input_ids": tokens.ids_BT.to(device)}
    return batch if tokens.attention_BT.all() else {**batch, "attention_mask": tokens.attention_BT.to(device)}


def _options(options: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in options.items())


def _mean(values: list[float]) -> float:
    """Of those that are numbers."""
    real = [value for value in values if value == value]
    return sum(real) / len(real) if real else float("nan")
