"""A training that is watched, on the disk: what is asked, and a run of samples for the base and for each checkpoint.

    OUT/run.json, metrics.jsonl     what is asked, and what was measured by step: ours, and the trainer's beside it
    OUT/asked/                      the model's tokenizer and configuration, as they were: how its prompts are written
    OUT/base/, OUT/step-000100/     a run each, as of `reachlab sample`
    OUT/earlier/step-000100/        what was drawn by a training that did not come by with these weights

A run's model is the hash of the weights as they were, with that of the tokenizer and the configuration. Where a
training begins or goes on, the checkpoints ahead of it are put aside. It takes back those that it comes by with the
same weights, finished or not; the others stay aside, so nothing is lost, and two trainings are never in one comparison.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.engines.local import LocalEngine
from reachlab.errors import ReachlabError
from reachlab.integrations.watch.config import WatchConfig
from reachlab.integrations.watch.findings import CheckpointFindings, look
from reachlab.models.checkpoint import load_tokenizer, save_folder
from reachlab.models.checkpoint_files import hash_model
from reachlab.models.tokenizer import hash_tokenizer
from reachlab.models.weight_hash import hash_weights
from reachlab.runs import RunFolder, training_step
from reachlab.sampling.config import SampleConfig
from reachlab.sampling.run import draw_run
from reachlab.sampling.settling import SettledRun, settle_run
from reachlab.sampling.work import SamplingWork
from reachlab.store.samples import SampleStore
from reachlab.training.policy_engine import PolicyEngine
from reachlab.training.processes import Processes

KIND, ASKED, BASE, LOG, EARLIER = "watch", "asked", "base", "metrics.jsonl", "earlier"
THEIRS = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "lr",
    "reward": "reward",
    "entropy": "entropy",
    "frac_reward_zero_std": "groups_without_signal",
    "completions/mean_length": "answer_tokens",
    "completions/clipped_ratio": "truncated",
}
"""What a trainer logs, and what our own trainer calls the same."""
Tell = Callable[[str], None]


def name_of(step: int) -> str:
    """What a checkpoint's run is called; the base is at step 0."""
    return f"step-{step:06}" if step else BASE


@dataclass(frozen=True, kw_only=True)
class WatchedTraining:
    """A training whose checkpoints are drawn from. Every method is called by all processes, in the same order."""

    config: WatchConfig
    run: SettledRun
    asked: str
    """A hash of what writes the prompts: tokenizer and configuration."""
    about: Mapping[str, str]
    """The trainer and its start, by name."""
    tokenizer: PreTrainedTokenizerBase
    processes: Processes
    tell: Tell

    @classmethod
    def begin(
        cls,
        config: WatchConfig,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        processes: Processes,
        *,
        about: Mapping[str, str],
        tell: Tell,
    ) -> "WatchedTraining":
        """Settle what is asked, and have the folder, or see that it is of the same.

        Args:
            config: what the user says.
            model: the one that is trained, on its device.
            tokenizer: the trainer's.
            processes: the training's.
            about: what to remember of the trainer.
            tell: hears remarks, in every process.

        Raises:
            ReachlabError: a task, a model or a folder that cannot be used; a folder of another training.
        """
        processes.by_main(lambda: _claim(config, model, tokenizer, about))
        with processes.agreed():
            run, kept = _settle(config, f"{config.out}/{ASKED}", model)
        if processes.main:
            for remark in run.remarks:
                tell(remark)
        asked = hash_model(f"{config.out}/{ASKED}")
        return cls(
            config=config, run=replace(run, remarks=[]), asked=asked, about=about, tokenizer=kept, processes=processes,
            tell=tell,
        )  # fmt: skip

    def goes_on(self, step: int) -> bool:
        """Forget what was logged after a step, and put aside what was drawn: the training is there once more. −1 is
        before the base, which stays. Returns whether it was drawn there."""
        self.processes.by_main(lambda: self._keep(lambda row: row["step"] <= step))
        self.processes.by_main(lambda: self._put_aside(step))
        return self.processes.by_main(lambda: Path(self.config.out, name_of(step), "run.json").exists())

    def draw(self, step: int, policy: PolicyEngine) -> tuple[CheckpointFindings, bool]:
        """Draw what the checkpoint of a step lacks, and look at it; and whether anything was lacking.

        Args:
            step: the training's.
            policy: its weights as they are now.

        Raises:
            ReachlabError: the engine, the judge or the disk cannot go on; what is drawn stays. Or the folder's base is
                another model.
        """
        folder = RunFolder(f"{self.config.out}/{name_of(step)}")
        weights = self.processes.by_main(lambda: self._hash(policy.model))
        if self.processes.by_main(lambda: self._complete(step, folder, weights)):
            return self.processes.by_main(lambda: self._look(step, folder)), False
        facts = self._facts(step)
        identity = {**self.run.identity, "model": weights}
        with self.processes.agreed(), policy.ready():
            assert policy.engine is not None
            engine = LocalEngine(policy.engine, self.tokenizer, policy)
            if policy.model.device.type != "cpu":
                engine.dtype = str(policy.dtype).removeprefix("torch.")
            run = replace(self.run, config=self._shared_out(engine), identity=identity, facts=facts)
            label = f"{self.config.name} {folder.name}" if self.processes.main else ""
            work = SamplingWork(
                run, SampleStore(folder), self.tell, engine=engine, label=label, verifiers=self._verifiers()
            )
            draw_run(run, work)
        return self.processes.by_main(lambda: self._look(step, folder)), True

    def note(self, step: int, values: Mapping[str, Any]) -> None:
        """Put numbers of a step into the log; those that are none are left out. Of the main process alone."""
        row = {n: v for n, v in values.items() if isinstance(v, int | float) and math.isfinite(v)}
        if not row:
            return
        try:
            with (Path(self.config.out) / LOG).open("a") as file:
                file.write(json.dumps({"step": step, **row}) + "\n")
        except OSError as error:
            raise ReachlabError(f"{self.config.out}/{LOG}: not written: {error.strerror}") from error

    # -- parts ------------------------------------------------------------------------------------------------------

    def _hash(self, model: PreTrainedModel) -> str:
        """What the samples depend on of the model, as 32 hexadecimal digits."""
        return hashlib.blake2b(f"{self.asked} {hash_weights(model)}".encode(), digest_size=16).hexdigest()

    def _complete(self, step: int, folder: RunFolder, weights: str) -> bool:
        """Whether a checkpoint's samples are there; those of other weights are put aside.

        Raises:
            ReachlabError: those of another base.
        """
        if not folder.exists("run.json"):
            aside = [one for one in sorted(self._aside(folder)) if _drawn_from(RunFolder(str(one)), weights)]
            if not aside:
                return False
            aside[-1].rename(folder.path)
        if not _drawn_from(folder, weights):
            if not step:
                raise ReachlabError(
                    f"{folder.url}: holds the base of another training, for it began with other weights: give another "
                    "out, or delete this one"
                )
            kept = self._set_aside(folder)
            self.tell(
                f"{folder.url}: was drawn from other weights, of another training, and is in {kept} now; drawn anew"
            )
            return False
        return self._whole(folder)

    def _aside(self, folder: RunFolder) -> list[Path]:
        """Where a checkpoint's samples by earlier trainings are."""
        return [*Path(self.config.out, EARLIER).glob(f"{folder.name}*")]

    def _set_aside(self, folder: RunFolder) -> Path:
        place = Path(self.config.out, EARLIER)
        place.mkdir(exist_ok=True)
        names = (folder.name + (f"-{i}" if i else "") for i in count())
        free = next(place / name for name in names if not (place / name).exists())
        return Path(folder.path).rename(free)

    def _put_aside(self, after: int) -> None:
        for path in sorted(Path(self.config.out).glob("step-*")):
            if (step := training_step(path.name)) is not None and step > after:
                self._set_aside(RunFolder(str(path)))

    def _whole(self, folder: RunFolder) -> bool:
        """Whether every answer is there."""
        drawn = SampleStore(folder).drawn() if folder.exists("problems.jsonl") else {}
        return sum(map(len, drawn.values())) >= len(self.run.problems) * self.config.samples

    def _shared_out(self, engine: LocalEngine) -> SampleConfig:
        """The configuration of this process's share: every process draws some parts."""
        world, config = self.processes.world, self.run.config
        if world == 1:
            return config
        total = len(self.run.problems) * self.config.samples
        part = min(engine.part_size(self.run.decoding, self.run.longest), -(-total // world))
        return replace(config, shard=f"{self.processes.rank}/{world}", part=part)

    def _verifiers(self) -> int | None:
        """Verifiers of a process: together no more than there are cores, if all processes are on this machine."""
        return None if self.processes.world == 1 else max(1, (os.cpu_count() or 1) // self.processes.world)

    def _facts(self, step: int) -> dict[str, Any]:
        """What is worth keeping of a run: whose weights these were."""
        begun = f", begun with {self.about['start']}" if self.about["start"] else ""
        return {
            "model_path": f"{self.config.out}, step {step} (weights in training{begun})",
            "tokenizer_path": f"{self.config.out}/{ASKED}",
            "live": {**self.about, "step": step},
        }

    def _look(self, step: int, folder: RunFolder) -> CheckpointFindings:
        first = next(self.complete())
        base = None if first == step else SampleStore(RunFolder(f"{self.config.out}/{name_of(first)}"))
        return look(SampleStore(folder), base)

    def complete(self) -> Iterator[int]:
        """The steps of the checkpoints whose answers are all there, in their order."""
        root = RunFolder(self.config.out)
        folders = [RunFolder(path.rpartition("/")[0]) for path in root.glob("*/run.json")]
        steps = {0 if folder.name == BASE else training_step(folder.name): folder for folder in folders}
        for step in sorted(step for step in steps if step is not None):
            if self._whole(steps[step]):
                yield step

    def _keep(self, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
        root = RunFolder(self.config.out)
        rows = root.metrics()
        if rows and not all(map(wanted, rows)):
            root.write(LOG, "".join(json.dumps(row) + "\n" for row in rows if wanted(row)))


def _drawn_from(folder: RunFolder, weights: str) -> bool:
    """Whether these are a run's weights."""
    return folder.exists("run.json") and folder.read_json("run.json").get("config", {}).get("model") == weights


def _settle(config: WatchConfig, asked: str, model: PreTrainedModel) -> tuple[SettledRun, PreTrainedTokenizerBase]:
    """What is asked, with prompts as the files in `asked` write them; and the tokenizer that they hold."""
    said = {name: value for name in ("temperature", "max_tokens") if (value := getattr(config, name)) is not None}
    sampling = SampleConfig(
        model=asked,
        task=config.task,
        out=config.out,
        split=config.split,
        problems=config.problems,
        samples=config.samples,
        ask=config.ask,
        decoding=replace(config.decoding, **said),
        seed=config.seed,
        problem_seed=config.problem_seed,
        device=str(model.device),
        verify_timeout=config.verify_timeout,
    )
    return settle_run(sampling, RunFolder(config.out)), load_tokenizer(asked)


def _claim(
    config: WatchConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, about: Mapping[str, str]
) -> None:
    """Make the folder the training's, or see that it is; one process does it."""
    root = RunFolder(config.out)
    root.check_free()
    kept = Path(config.out) / ASKED
    with TemporaryDirectory() as made:
        place = kept if kept.exists() else Path(made)
        if not kept.exists():
            _describe(place, model, tokenizer)
        run, _ = _settle(config, str(place), model)
        identity = {name: value for name, value in run.identity.items() if name != "model"}
        facts = {**about, "every": config.every, "share": config.share}
        if about["start"]:
            facts["model_path"] = about["start"]
        words = getattr(tokenizer, "tokenizer", tokenizer)  # a processor has one
        root.claim(KIND, {**identity, "tokenizer": hash_tokenizer(words)}, facts)
    if not kept.exists():
        save_folder(kept, lambda folder: _describe(folder, model, tokenizer))


def _describe(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Put into a folder what decides prompts and ends of answers: all of a checkpoint but the weights."""
    document = {**json.loads(model.config.to_json_string(use_diff=True)), "_name_or_path": model.config.name_or_path}
    (folder / "config.json").write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    if model.generation_config is not None:
        (folder / "generation_config.json").write_text(model.generation_config.to_json_string())
    tokenizer.save_pretrained(folder)
