"""The loop under every training run: step, log, save; and go on where a killed run was.

A run's folder holds `state/` (weights, optimizers, step, random state: all it takes to go on) while it trains,
`model/` when it has finished, and in between, where asked for, checkpoints of the way in `checkpoints/`. All appear
whole or not at all. The data of step t are a function of (seed, t), so the step is the data position; a resumed run
computes what an undisturbed one would have, bit for bit on the same machine.
"""

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import (
    load_tokenizer,
    read_files,
    restore_folder,
    save_folder,
    save_model,
    save_tokenizer,
    tokenizer_files,
)
from reachlab.moe import Densified, densified
from reachlab.progress import Advance, track
from reachlab.runs import SITTING, kept_at, sittings, training_step
from reachlab.threads import threads_on
from reachlab.training.beginning import Claim, Trained
from reachlab.training.config import LoopConfig
from reachlab.training.guard import LeapError, too_far
from reachlab.training.lora import merged
from reachlab.training.optimizer import build_optimizers, clip, learning_rate_scale
from reachlab.training.processes import Processes
from reachlab.training.progress_line import progress_line
from reachlab.training.saved import FILE, LOG, column, not_finite, read_log, read_state, refusal
from reachlab.training.trackers import Trackers

Metrics = dict[str, float]

MEASURED = ("eval_pass1", "val_loss")
"""What is not measured at every step, and shown until it is measured again."""


class TrainingRun:
    """A model on its way: the folder, the weights, the optimizers, the step reached.

    `modules` are what is trained: "policy", the model, and whatever stands beside it.
    """

    def __init__(
        self,
        claim: Claim,
        loop: LoopConfig,
        trained: Mapping[str, Trained],
        tokenizer: PreTrainedTokenizerBase,
        processes: Processes,
    ):
        """Prepare to begin, or to go on; nothing is written before `train`.

        Args:
            claim: the folder, and whose run it is.
            loop: steps, saving, threads, seed.
            trained: "policy", the `placed` model, and a critic where there is one, as the run begins with them; where
                it goes on, their weights are replaced by the state's.
            tokenizer: the model's. processes: who takes part.
        """
        self.claim, self.folder, self.loop = claim, claim.folder, loop
        self.path = Path(os.fspath(self.folder))
        self.processes, self.device = processes, processes.device
        self.threads = threads_on(self.device)
        self.tokenizer = tokenizer
        self.optimizer_config = trained["policy"].optimizer
        self.modules = {name: t.module for name, t in trained.items()}
        self.model = cast(PreTrainedModel, self.modules["policy"])
        if self.folder.exists("run.json"):
            self.processes.by_main(claim.make)
        self.processes.by_main(lambda: restore_folder(self.path / "state"))
        resuming = (self.path / "state").is_dir() and not self.finished
        self._settle_tokenizer(resuming)
        for module in self.modules.values():
            self.processes.prepare(module)
        self.optimizers = {name: build_optimizers(t.module, t.optimizer) for name, t in trained.items()}
        self.step, self.saved, self.moved, self.sitting = 0, 0, False, 1
        if resuming:
            self._resume()
        if not self.finished:
            self.processes.by_main(self._check_log)

    @property
    def finished(self) -> bool:
        """Whether the final model is in place."""
        return (self.path / "model" / "config.json").is_file()

    def train(self, step: Callable[[int], Metrics], label: str) -> None:
        """Call `step(t)` for the steps that are left; it updates the weights and returns what to log.

        Raises:
            ReachlabError: what the step raises, or a loss that is not finite; the state before that step is saved,
                unless the step was a leap (`guard.py`): then what was saved before stays.
        """
        self.processes.by_main(self.claim.make)
        self.processes.by_main(lambda: self._drop_after(self.step))
        spent = self._seconds_so_far()
        shown_seconds, measured = int(spent), Metrics()
        with ExitStack() as stack:
            advance = self._open_progress(stack, label, spent)
            trackers = self._open_trackers(stack)
            while not self._done(spent):
                began = time.perf_counter()
                metrics = self._take(step)
                self.step += 1
                metrics["seconds"] = time.perf_counter() - began
                spent = self.processes.same(spent + _training_seconds(metrics))
                self.processes.by_main(partial(self._log, metrics))
                trackers.log(metrics, self.step)
                if not self._done(spent):
                    # First what stays: a run that goes on from the state does not come back to this step.
                    if self.loop.keep_every and self.step % self.loop.keep_every == 0:
                        self._write_model(kept_at(self.step))
                    if self.step % self.loop.save_every == 0:
                        self.save()
                done = int(spent) - shown_seconds if self.loop.max_seconds else 1
                shown_seconds += done
                measured |= {name: metrics[name] for name in MEASURED if name in metrics}
                advance(done, **progress_line(measured | metrics))
        self._write_model("model")
        self.processes.by_main(lambda: shutil.rmtree(self.path / "state", ignore_errors=True))

    def _done(self, spent: float) -> bool:
        """Whether the last step has been taken, or the time is up."""
        return self.step >= self.loop.steps or 0 < self.loop.max_seconds <= spent

    def optimize(self, t: int) -> dict[str, float]:
        """Move every module's weights by its gradient and clear it; returns the norms before clipping, by module.

        Nothing moves where a norm is not finite: `train` then stops with the state that led there.
        """
        scale = self._scale(t)
        norms = {name: clip(module, self.optimizer_config.clip) for name, module in self.modules.items()}
        optimizers = [o for group in self.optimizers.values() for o in group]
        if all(math.isfinite(norm) for norm in norms.values()):
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = group["base_lr"] * scale
                optimizer.step()
            self.moved = True
            self._check_weights(t)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        return norms

    def _check_weights(self, t: int) -> None:
        """Find weights that an update broke before anything is drawn from them, or saved.

        Raises:
            LeapError: a weight is not finite.
        """
        broken = None
        # The optimizers have the weights at hand; names are looked up where one is needed.
        if not_finite(dict(enumerate(map(_own, self._moving())))) is not None:
            named = {
                name: _own(p) for m in self.modules.values() for name, p in m.named_parameters() if p.requires_grad
            }
            broken = not_finite(named)
        if self.processes.sharded:
            broken = next((name for name in self.processes.gather(broken) if name is not None), None)
        if broken is not None:
            too_far(f"left weights that are not finite ({broken})", self.optimizer_config, t + 1)

    def _moving(self) -> Iterator[Tensor]:
        groups = (group for several in self.optimizers.values() for o in several for group in o.param_groups)
        return (p for group in groups for p in group["params"])

    def _scale(self, t: int) -> float:
        return learning_rate_scale(self.optimizer_config, t, self.loop.steps)

    def save(self) -> None:
        """Put all it takes to go on into `state/`."""
        state: dict[str, Any] = {
            "step": self.step,
            "random": torch.get_rng_state(),
            **{name: self.processes.state(m, self.optimizers[name]) for name, m in self.modules.items()},
        }
        state |= {_routers(name): routers.moved() for name, routers in self._densified()}
        if self.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self.device)

        def fill(path: Path) -> None:
            save_tokenizer(path, self._tokenizer_files)
            self.model.config.save_pretrained(path)
            torch.save(state, path / FILE)

        self.processes.by_main(self._sync_log)
        self.processes.by_main(lambda: save_folder(self.path / "state", fill))
        self.saved = self.step

    def _take(self, step: Callable[[int], Metrics]) -> Metrics:
        """One step; what a step that fails leaves is saved: the state before it, unless a part of it was done."""
        self.moved = False
        try:
            metrics = step(self.step)
            metrics["lr"] = self.optimizer_config.lr * self._scale(self.step)
            bad = [k for k, v in metrics.items() if k in ("loss", "grad_norm") and not math.isfinite(v)]
            if bad:
                raise ReachlabError(
                    f"{self.folder.url}: {' and '.join(bad)} not finite at step {self.step + 1}. "
                    "Lower the learning rate, or look at the data of this step"
                )
        except LeapError as leap:
            raise ReachlabError(f"{self.folder.url}: {leap}; {self._before()}") from leap
        except ReachlabError as error:
            self.save()
            what = "the state, with a part of this step's updates," if self.moved else "the last good state"
            raise ReachlabError(f"{error}; {what} is in {self.path / 'state'}") from error
        return metrics

    def _before(self) -> str:
        """What there is of the run beside the weights of the moment."""
        if not self.saved:
            return "no state is saved"
        return f"the state in {self.path / 'state'} is that of step {self.saved}, before it"

    def _settle_tokenizer(self, resuming: bool) -> None:
        """Take the very tokenizer that the run began with: its ids are what the weights mean. It is written once, and
        all that the run saves holds these files."""
        if not resuming:
            self._tokenizer_files = tokenizer_files(self.tokenizer) if self.processes.main else {}
            return
        try:
            self.tokenizer = load_tokenizer(self.path / "state")
        except ReachlabError as error:
            raise refusal(self.folder, error) from error
        self._tokenizer_files = read_files(self.path / "state", but=(FILE, "config.json"))

    def _resume(self) -> None:
        others = [_routers(name) for name, _ in self._densified()]
        try:
            state = read_state(self.path / "state", self.modules, others, self.loop.steps)
            for name, module in self.modules.items():
                self.processes.load_state(module, self.optimizers[name], state[name])
            for name, routers in self._densified():
                routers.load_moved(state[_routers(name)])
            torch.set_rng_state(state["random"])
            if self.device.type == "cuda" and "random_cuda" in state:
                torch.cuda.set_rng_state(state["random_cuda"], self.device)
        except (MemoryError, torch.OutOfMemoryError):
            raise  # that says nothing of the state
        except Exception as error:
            raise refusal(self.folder, error) from error
        self.step = self.saved = int(state["step"])

    def logged(self, name: str, until: int | None = None) -> list[float]:
        """A number of the log's lines up to the step that is gone on from, or up to `until`; the same everywhere.

        Raises:
            ReachlabError: a line that is missing, or has no such number.
        """
        values: list[float] = []

        def read() -> None:
            rows = read_log(self.folder, self.step)
            values.extend(column(self.folder, rows[:until], name, self.step))

        self.processes.by_main(read)
        return self.processes.same(values)

    def _densified(self) -> list[tuple[str, Densified]]:
        """What of the modules has a router's method, by name."""
        return [(name, dense) for name, m in self.modules.items() if (dense := densified(m)) is not None]

    def _write_model(self, name: str) -> None:
        """The weights of the moment as an ordinary checkpoint in the run's folder `name`."""
        with self.processes.whole(self.model) as model, merged(model):
            self.processes.by_main(lambda: save_model(self.path / name, model, self._tokenizer_files))

    def _open_progress(self, stack: ExitStack, label: str, spent: float) -> Advance:
        if self.processes.main:
            if self.loop.max_seconds:
                return stack.enter_context(track(f"{label}, seconds", math.ceil(self.loop.max_seconds), int(spent)))
            return stack.enter_context(track(label, self.loop.steps, self.step))
        return lambda *_, **__: None

    def _open_trackers(self, stack: ExitStack) -> Trackers:
        names = self.loop.track if self.processes.main else ()
        config: Mapping[str, Any] = self.folder.read_json("run.json")["config"] if names else {}
        return stack.enter_context(Trackers(names, self.path, self.folder.name, config, self.step))

    def _check_log(self) -> None:
        read_log(self.folder, self.step)

    def _seconds_so_far(self) -> float:
        mine = sum(map(_training_seconds, read_log(self.folder, self.step))) if self.processes.main else 0.0
        return float(self.processes.same(mine))

    def _log(self, metrics: Metrics) -> None:
        try:
            with (self.path / LOG).open("a") as file:
                # JSON has no NaN; a reward of which nothing was scored is null.
                row = {k: v if math.isfinite(v) else None for k, v in metrics.items()}
                sitting = {SITTING: self.sitting} if self.sitting > 1 else {}
                file.write(json.dumps({"step": self.step, **row, **sitting}) + "\n")
        except OSError as error:
            raise ReachlabError(f"{self.path / LOG}: not written: {error.strerror}") from error

    def _sync_log(self) -> None:
        """Have the lines on the disk before the state that stands on them."""
        if (self.path / LOG).exists():
            with (self.path / LOG).open("rb") as file:
                os.fsync(file.fileno())

    def _drop_after(self, step: int) -> None:
        """A killed run may have logged and kept steps after its last saved state; they are about to be taken again.

        Or not all of them, where time ends a run; and what was being kept when it was killed is half there.
        """
        for kept in (self.path / "checkpoints").glob("*"):
            if (training_step(kept) or 0) > step or kept.name.startswith(".step-"):
                shutil.rmtree(kept, ignore_errors=True)
        rows = [row for row in self.folder.metrics() if row["step"] <= step]
        if rows:
            self.sitting = 1 + sittings(rows)
        self.folder.write(LOG, "".join(json.dumps(row) + "\n" for row in rows))


def _routers(name: str) -> str:
    """Where a state keeps what a module's routers have moved."""
    return "routers" if name == "policy" else f"routers of {name}"


def _own(weight: Tensor) -> Tensor:
    """A weight, or this process's slice of it."""
    return weight.to_local() if isinstance(weight, DTensor) else weight


def _training_seconds(metrics: Mapping[str, Any]) -> float:
    """A step's time without its evaluation."""
    return float(metrics["seconds"]) - float(metrics.get("seconds_eval", 0.0))
