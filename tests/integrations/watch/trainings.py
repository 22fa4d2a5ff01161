"""Small trainings of other people's trainers, with and without our callback; also a script that a launcher starts:

python tests/integrations/watch/trainings.py FOLDER SETTINGS-AS-JSON
"""

import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch
from tests.tiny import TASK, tiny_model, tiny_tokenizer
from transformers import PreTrainedModel, Trainer, TrainingArguments

from reachlab.integrations.watch import PassAtKCallback
from reachlab.models.weight_hash import hash_weights
from reachlab.tasks.registry import load_task
from reachlab.types import Problem

PARITY = f"{Path(__file__).with_name('parity.py')}:Parity"
WATCH: dict[str, Any] = {"problems": 8, "samples": 4, "every": 2, "max_tokens": 10}
STEPS = 4


def problems(count: int = 32) -> list[Problem]:
    """Of countdown, to train on."""
    return list(itertools.islice(load_task(TASK).stream("train", 0), count))


def rows() -> list[dict[str, list[int]]]:
    """Solutions as tokens, all of one length."""
    tokenizer, task = tiny_tokenizer(), load_task(TASK)
    found = []
    for problem in problems():
        ids = tokenizer(f"{problem.prompt}{task.solve(problem, Random(0))}{tokenizer.eos_token}")["input_ids"]
        ids = (ids + [tokenizer.pad_token_id] * 40)[:40]
        found.append({"input_ids": ids, "labels": [i if i != tokenizer.pad_token_id else -100 for i in ids]})
    return found


def arguments(out: Path, **settings: Any) -> dict[str, Any]:
    """Of a short training on a CPU."""
    usual = {
        "max_steps": STEPS, "per_device_train_batch_size": 4, "learning_rate": 1e-3, "logging_steps": 1,
        "report_to": [], "save_strategy": "no", "use_cpu": True, "disable_tqdm": True,
    }  # fmt: skip
    return {"output_dir": str(out / "trainer"), **usual, **settings}


def watching(out: Path, **settings: Any) -> PassAtKCallback:
    """Our callback, into a folder."""
    return PassAtKCallback(settings.pop("task", PARITY), str(out / "watch"), **{**WATCH, **settings})


def trainer(out: Path, callbacks: list[Any], model: PreTrainedModel | None = None, **settings: Any) -> Trainer:
    """Hugging Face's, on a tiny model."""
    torch.manual_seed(0)
    return Trainer(
        tiny_model() if model is None else model,
        TrainingArguments(**arguments(out, **settings)),
        train_dataset=rows(),
        eval_dataset=rows()[:4],
        processing_class=tiny_tokenizer(),
        callbacks=callbacks,
    )


def trained(out: Path, callbacks: list[Any], **settings: Any) -> tuple[str, str, list[float], float]:
    """What is left of a training: a hash of the weights and of the optimizer's state, the losses, the next number that
    torch draws."""
    found = trainer(out, callbacks, **settings)
    found.train()
    return left_of(found)


def left_of(found: Trainer) -> tuple[str, str, list[float], float]:
    """See `trained`."""
    moments = torch.nn.ParameterList(
        torch.nn.Parameter(value.clone().float(), requires_grad=False)
        for state in found.optimizer.state_dict()["state"].values()
        for value in state.values()
    )
    losses = [row["loss"] for row in found.state.log_history if "loss" in row]
    return hash_weights(found.model), hash_weights(moments), losses, float(torch.rand(1))


class KilledAfter(PassAtKCallback):
    """Kills the first process when it has written so many parts."""

    parts = 2

    def on_train_begin(self, *given: Any, **also: Any) -> None:
        """Count from now on."""
        from reachlab.store.samples import SampleStore

        write: Callable[..., str] = SampleStore.write_part
        written = itertools.count(1)

        def counted(store: SampleStore, samples: Any) -> str:
            name = write(store, samples)
            if next(written) == self.parts and os.environ.get("RANK", "0") == "0":
                os.kill(os.getpid(), signal.SIGKILL)
            return name

        SampleStore.write_part = counted  # type: ignore[assignment, method-assign]
        super().on_train_begin(*given, **also)


def main() -> None:
    """One process of a launcher's."""
    out, said = Path(sys.argv[1]), json.loads(sys.argv[2])
    watch, resume = said.pop("watch", None), said.pop("resume", None)
    kind = KilledAfter if said.pop("killed", False) else PassAtKCallback
    callbacks = [] if watch is None else [kind(PARITY, str(out / "watch"), **{**WATCH, **watch})]
    found = trainer(out, callbacks, **said)
    found.train(resume_from_checkpoint=resume)
    if found.args.process_index == 0:
        (out / "left.json").write_text(json.dumps(left_of(found)))


if __name__ == "__main__":
    main()
