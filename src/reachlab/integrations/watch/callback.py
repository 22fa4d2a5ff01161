"""The callback: when a checkpoint is drawn, what it may cost, and who is told.

    on_train_begin   the base, before the first step
    on_step_end      every so many steps, and after the last
    on_epoch_end, on_evaluate, on_save    where the training is stopped early
    on_log           the trainer's own numbers, beside ours in OUT/metrics.jsonl

Nothing of the training is touched (`host.py`). An error before the first step is the user's, and raised; one that comes
later (a full disk, a GPU without room) is told, and the training goes on without that checkpoint.
"""

import shlex
import sys
import time
from collections.abc import Mapping
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from reachlab.errors import ReachlabError
from reachlab.integrations.watch.checkpoints import THEIRS, WatchedTraining, name_of
from reachlab.integrations.watch.config import WatchConfig
from reachlab.integrations.watch.host import (
    calling_trainer,
    computes_in,
    processes_of,
    tokenizer_of,
    undisturbed,
    watched_model,
)
from reachlab.progress import duration
from reachlab.tasks.registry import load_task
from reachlab.training.policy_engine import PolicyEngine


class PassAtKCallback(TrainerCallback):  # type: ignore[misc]
    """Draws pass@k of the model in training, on held-out problems, every so many steps.

    Args:
        task: what to ask, as `reachlab tasks` lists it.
        out: folder of the runs: a base and its checkpoints, for `reachlab report` and `reachlab compare`.
        tokenizer: the model's, where the trainer has none as its processing_class.
        settings: the other fields of `WatchConfig`, such as ``problems=32, samples=16, every=100``.

    Raises:
        ReachlabError: a task or a setting that cannot be. Others come when the training begins.

    Example:
        >>> Trainer(..., callbacks=[PassAtKCallback("countdown", "runs/watch", every=50)])  # doctest: +SKIP
    """

    def __init__(self, task: str, out: str, *, tokenizer: Any = None, **settings: Any):
        self.config = WatchConfig(task=task, out=str(out), **settings)
        load_task(task)
        self.tokenizer = tokenizer
        self.session: Session | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Settle what is asked, and draw the base."""
        trainer = calling_trainer()
        others = [one for one in trainer.callback_handler.callbacks if isinstance(one, PassAtKCallback)]
        if sum(one.config.name == self.config.name for one in others) > 1:
            raise ReachlabError(
                f"{self.config.name}: two PassAtKCallbacks of this name would log alike: give each a name= of its own"
            )
        self.session = Session(self.config, trainer, self.tokenizer)
        if state.global_step == 0:
            self.session.watched.goes_on(-1)
            self.session.draw(0)
        else:
            self.session.go_on(state.global_step)
        self.session.begin()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Draw a checkpoint, if it is its turn."""
        last = state.global_step >= state.max_steps
        if self.session is not None and (last or state.global_step % self.config.every == 0):
            self.session.attempt(state.global_step, must=last)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Draw the last checkpoint of a training that ends before its time."""
        if self.session is not None and control.should_training_stop:
            self.session.attempt(state.global_step, must=True)

    # An evaluation at the end of an epoch comes after `on_epoch_end`; who stops it may stand before us or behind us.
    on_evaluate = on_save = on_epoch_end

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """Keep what the trainer measures."""
        if self.session is not None and state.is_world_process_zero:
            self.session.keep(state.global_step, logs or {})

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Say where all of it is."""
        if self.session is not None:
            self.session.end(state.global_step)
        self.session = None


class Session:
    """One call of `train`: what is watched, with which engine, and what it has taken so far."""

    def __init__(self, config: WatchConfig, trainer: Trainer, tokenizer: Any):
        self.config, self.trainer, self.model = config, trainer, watched_model(trainer)
        self.processes = processes_of(trainer, self.model)
        found = tokenizer_of(trainer, tokenizer)
        about = {
            "start": str(getattr(self.model.config, "name_or_path", "") or ""),
            "trainer": type(trainer).__name__,
            "output_dir": str(trainer.args.output_dir or ""),
        }
        with undisturbed(self.model):
            self.watched = WatchedTraining.begin(config, self.model, found, self.processes, about=about, tell=self.tell)
        kept = self.watched.tokenizer
        self.policy = PolicyEngine(self.model, kept, self.processes, computes_in(trainer, self.model))
        self.spent, self.last, self.began = 0.0, 0.0, time.monotonic()
        self.tried = self.known = -1
        if getattr(trainer.args, "use_vllm", False):
            self.say("TRL's vLLM is left alone: answers are drawn by reachlab's own engine, from the trainer's weights")

    def begin(self) -> None:
        """The training's own time begins: what the base took is none of it."""
        self.spent, self.began = 0.0, time.monotonic()

    def go_on(self, step: int) -> None:
        """The training is at a step where it has been before. What was drawn there is of these weights, or of another
        training.

        Raises:
            ReachlabError: a log that cannot be read.
        """
        if self.watched.goes_on(step):
            self.known = step
            self.attempt(step, must=True)

    def keep(self, step: int, logs: Mapping[str, Any]) -> None:
        """Put what the trainer measures into our log; where that fails, only the log is without it."""
        known = {ours: logs[theirs] for theirs, ours in THEIRS.items() if theirs in logs}
        try:
            self.watched.note(step, known)
        except ReachlabError as error:
            print(f"{self.config.name}: {error}", file=sys.stderr, flush=True)

    def attempt(self, step: int, *, must: bool) -> None:
        """Draw a checkpoint, unless it has been tried or takes too much; what fails is told.

        Args:
            step: the training's.
            must: whatever it takes.
        """
        if step == self.tried:
            return
        if not must and self.processes.same(self._too_much()):
            self.say(
                f"step {step} is left out: with it, watching would take more than {self.config.share:.0%} of the time"
            )
            return
        try:
            self.draw(step)
        except ReachlabError as error:
            self._failed(step, str(error))
        except Exception as error:
            self._failed(step, f"{type(error).__name__}: {error}".splitlines()[0])

    def draw(self, step: int) -> None:
        """Draw a checkpoint, log it, and tell what it says; one that was there already is logged alone.

        Raises:
            ReachlabError: as `WatchedTraining.draw`.
        """
        self.tried = step
        began = time.monotonic()
        with undisturbed(self.model):
            found, drawn = self.watched.draw(step, self.policy)
        taken = self.processes.same(time.monotonic() - began)
        metrics = found.metrics
        if drawn:
            self.spent, self.last = self.spent + taken, taken
            metrics = {**metrics, "seconds": taken}
            self.say(f"{found.words} ({duration(taken)})")
        if step == self.known and not drawn:
            return
        self._log({f"eval_{self.config.name}_{name}": value for name, value in metrics.items()})
        if self.processes.main:
            # What begins with seconds is a phase of our own trainer's steps.
            seconds = {"watch_seconds": taken} if drawn else {}
            self.watched.note(step, {**{f"eval_{name}": value for name, value in found.metrics.items()}, **seconds})

    def end(self, step: int) -> None:
        """Tell how all of it is looked at."""
        lasted = time.monotonic() - self.began
        if step != self.tried:
            self.say(f"step {step}, the last, was not drawn")
        share = self.spent / max(lasted, 1e-9)
        self.say(f"{duration(self.spent)} of {duration(lasted)} ({share:.0%}) went into watching, the base apart")
        try:
            drawn = self.processes.by_main(lambda: list(self.watched.complete()))
        except ReachlabError as error:  # what was trained is still to be saved
            self.say(f"not all checkpoints can be read: {error}")
            return
        runs = [f"{self.config.out}/{name_of(at)}" for at in drawn if at <= step]
        self.say(f"all checkpoints: {shlex.join(['reachlab', 'report', *runs])}")

    def say(self, words: str) -> None:
        """Tell the user, once."""
        if self.processes.main:
            self.tell(words)

    def tell(self, words: str) -> None:
        """Tell the user."""
        print(f"{self.config.name}: {words}", flush=True)

    def _log(self, values: dict[str, float]) -> None:
        """Numbers of ours, to the trackers and the history of the trainer.

        `Trainer.log` itself, and not what TRL makes of it, which would hand out its own averages before their time; and
        the trainer still logs at this step, if it was about to.
        """
        asked = self.trainer.control.should_log
        Trainer.log(self.trainer, values)
        self.trainer.control.should_log = asked

    def _too_much(self) -> bool:
        lasted, with_it = time.monotonic() - self.began, self.spent + self.last
        return self.config.share < 1 and with_it > self.config.share * (lasted + self.last)

    def _failed(self, step: int, why: str) -> None:
        if self.processes.main:
            print(f"{self.config.name}: step {step} was not drawn: {why}", file=sys.stderr, flush=True)
