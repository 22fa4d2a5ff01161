"""The loop under every training run: step, log, save; and go on where a killed run was.

A run's folder holds `state/` (weights, optimizers, step, random state: all it takes to go on) while it trains, and
`model/` when it has finished. Both appear whole or not at all. The data of step t are a function of (seed, t), so the
step is the data position; a resumed run computes what an undisturbed one would have, bit for bit on the same machine.
"""

import json
import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_tokenizer, restore_folder, save_folder, save_model
from reachlab.models.devices import choose_device
from reachlab.progress import track
from reachlab.runs import RunFolder
from reachlab.training.config import DistillConfig, LoopConfig, OptimizerConfig, PretrainConfig, RLConfig
from reachlab.training.optimizer import build_optimizers

Metrics = dict[str, float]


def identity(config: PretrainConfig | DistillConfig | RLConfig) -> dict[str, Any]:
    """What the weights depend on: everything but where they go and how often they are saved."""
    found = asdict(config)
    del found["out"], found["loop"]["save_every"]
    found["loop"]["threads"] = config.loop.threads or torch.get_num_threads()
    return found


class TrainingRun:
    """A model on its way: the folder, the weights, the optimizers, the step reached."""

    def __init__(
        self,
        folder: RunFolder,
        claim: Callable[[], None],
        loop: LoopConfig,
        optimizer: OptimizerConfig,
        start: Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]],
    ):
        """Prepare to begin, or to go on; nothing is written before `train`.

        `claim` makes the folder this run's, or refuses; `start` makes or loads the model that the run begins with, and
        is called even when the run resumes.
        """
        if not folder.is_local:
            raise ReachlabError(f"{folder.url}: training runs live on a local disk; copy them away when they are done")
        self.folder, self.claim, self.loop, self.optimizer_config = folder, claim, loop, optimizer
        self.path = Path(os.fspath(folder))
        if loop.threads:
            torch.set_num_threads(loop.threads)
        self.device = choose_device(loop.device)
        self.threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        torch.manual_seed(loop.seed)
        self.model, self.tokenizer = start()
        if folder.exists("run.json"):
            claim()
        restore_folder(self.path / "state")
        resuming = (self.path / "state").is_dir() and not self.finished
        if resuming:
            # The very tokenizer the run began with: its ids are what the weights mean.
            self.tokenizer = load_tokenizer(self.path / "state")
        self.model.to(self.device)
        self.optimizers = build_optimizers(self.model, optimizer)
        self.step = self._resume() if resuming else 0

    @property
    def finished(self) -> bool:
        """Whether the final model is in place."""
        return (self.path / "model" / "config.json").is_file()

    def train(self, step: Callable[[int], Metrics], label: str) -> None:
        """Call `step(t)` for the steps that are left; it updates the weights and returns what to log."""
        self.claim()
        self._drop_metrics_after(self.step)
        with track(label, self.loop.steps, self.step) as advance:
            while self.step < self.loop.steps:
                began = time.perf_counter()
                metrics = step(self.step)
                self.step += 1
                metrics = {**metrics, "seconds": time.perf_counter() - began}
                self._log(metrics)
                bad = [k for k, v in metrics.items() if k in ("loss", "grad_norm") and not math.isfinite(v)]
                if bad:
                    raise ReachlabError(
                        f"{self.folder.url}: {' and '.join(bad)} not finite at step {self.step}; the last good state "
                        "is kept in state/. Lower the learning rate, or look at the data of this step"
                    )
                if self.step % self.loop.save_every == 0 and self.step < self.loop.steps:
                    self.save()
                advance(1, **{k: metrics[k] for k in ("loss", "reward") if k in metrics})
        save_model(self.path / "model", self.model, self.tokenizer)
        shutil.rmtree(self.path / "state", ignore_errors=True)

    def save(self) -> None:
        """Put all it takes to go on into `state/`."""

        def fill(path: Path) -> None:
            self.model.save_pretrained(path)
            self.tokenizer.save_pretrained(path)
            state: dict[str, Any] = {
                "step": self.step,
                "optimizers": [o.state_dict() for o in self.optimizers],
                "random": torch.get_rng_state(),
            }
            torch.save(state, path / "trainer.pt")

        save_folder(self.path / "state", fill)

    def _resume(self) -> int:
        folder = self.path / "state"
        try:
            state = torch.load(folder / "trainer.pt", map_location=self.device, weights_only=True)
            weights = type(self.model).from_pretrained(folder, dtype=self.model.dtype, local_files_only=True)
        except Exception as error:
            raise ReachlabError(
                f"{folder}: not a state to go on from ({str(error).splitlines()[0]}); delete it to start over"
            ) from error
        self.model.load_state_dict(weights.state_dict())
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(state["random"].cpu())
        return int(state["step"])

    def _log(self, metrics: Metrics) -> None:
        try:
            with (self.path / "metrics.jsonl").open("a") as file:
                # JSON has no NaN; a reward of which nothing was scored is null.
                row = {k: v if math.isfinite(v) else None for k, v in metrics.items()}
                file.write(json.dumps({"step": self.step, **row}) + "\n")
        except OSError as error:
            raise ReachlabError(f"{self.path / 'metrics.jsonl'}: not written: {error.strerror}") from error

    def _drop_metrics_after(self, step: int) -> None:
        """A killed run may have logged steps after its last saved state; they are about to be taken again."""
        rows = [r for r in self.folder.metrics() if r["step"] <= step]
        self.folder.write("metrics.jsonl", "".join(json.dumps(r) + "\n" for r in rows).encode())
