"""What has to run on a GPU, run there and on the CPU in float32, and compared: the smallest models, a few minutes.

Pretraining (dense, sparse with default vectors, bfloat16), distilling, RL (GRPO on a part of its rollouts, PPO with a
KL), answers of different lengths through the decoder's captured steps, and, where there are two GPUs, the same in two
processes over NCCL, replicated and sharded. A first step sees the same data and the same weights, so its numbers agree
up to rounding; later ones drift, because optimizers make steps of their own out of the last bits. RL draws its
rollouts on either device from the same seeds and rewards them by a coin, which does not look at what they say.

Each line: what was compared, on the device, on the CPU, how far apart, how far they may be. Ends with 1 where a line is
too far off or a part failed. Run: python benchmarks/check_gpu.py
Without a GPU, as a smoke test of the script: python benchmarks/check_gpu.py --device cpu
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.engines import transformers as engine
from reachlab.engines.config import Decoding
from reachlab.engines.cuda_graph import CudaGraphSteps
from reachlab.models.build import build_model
from reachlab.models.checkpoint import load_model
from reachlab.models.config import ModelConfig
from reachlab.runs import RunFolder
from reachlab.training.config import DistillConfig, LoopConfig, OptimizerConfig, PretrainConfig, RoutingConfig
from reachlab.training.distill import distill
from reachlab.training.pretrain import pretrain
from reachlab.training.rl import train_rl
from reachlab.training.rl_config import BudgetConfig, EvaluationConfig, ObjectiveConfig, RLConfig, SelectionConfig
from timing import machine

TASK = "countdown,numbers=3"
SHAPE = ModelConfig(family="qwen3", hidden=32, layers=2, heads=4, kv_heads=2, positions=64, tokenizer="char")
SPARSE = replace(SHAPE, family="olmoe", experts=4, active_experts=2)
LOOP = LoopConfig(steps=3, save_every=2, threads=1)
STEADY = OptimizerConfig(method="adamw", lr=1e-3)
PROMPTS, SEEDS = (3, 14, 9, 1, 20), 6

FIRST = {"loss": 1e-4, "grad_norm": 1e-3}
"""How far a first step's numbers may be apart, relative."""
LAST = {"loss": 2e-2}
ROUGH = {"loss": 2e-2}
"""Of bfloat16 against float32."""
DRAWN = {"reward": 1e-6, "answer_tokens": 5e-2, "entropy": 1e-3, "kl_update": 0.5, "loss": 5e-2, "grad_norm": 5e-2}
"""Of RL: one rollout that goes another way at a tie moves a mean over 32."""


@dataclass(frozen=True)
class Line:
    """One number seen twice."""

    what: str
    device: float
    cpu: float
    limit: float

    @property
    def apart(self) -> float:
        """Relative, of a number that is not near 0."""
        return abs(self.device - self.cpu) / max(abs(self.cpu), 1e-2)

    @property
    def holds(self) -> bool:
        """Whether it is near enough; what is no number never is."""
        return self.apart <= self.limit

    def __str__(self) -> str:
        said = "ok" if self.holds else "DIFFERS"
        return f"  {self.what:42} {self.device:12.6g} {self.cpu:12.6g} {self.apart:9.1e} {self.limit:9.1e}  {said}"


@dataclass
class Check:
    """Where the runs lie, the device that is looked at, and what was seen."""

    device: str
    folder: Path
    failed: list[str] = field(default_factory=list)

    def part(self, name: str, work: Callable[[], list[Line]]) -> None:
        """One part: its lines, or what went wrong; the others follow all the same."""
        began = time.perf_counter()
        print(f"\n{name}")
        try:
            lines = work()
        except Exception:
            traceback.print_exc(file=sys.stdout)
            self.failed.append(name)
            return
        print(*lines, sep="\n")
        print(f"  {time.perf_counter() - began:.1f} s")
        self.failed += [f"{name}: {line.what.strip()}" for line in lines if not line.holds]

    def out(self, name: str, device: str) -> str:
        """The run of a name on the CPU ("reference") or on the device."""
        return str(self.folder / f"{name}-{'cpu' if device == 'reference' else 'device'}")

    def loop(self, device: str) -> LoopConfig:
        """The loop's settings on either."""
        return replace(LOOP, device="cpu" if device == "reference" else self.device)

    def trained(self, name: str, train: Callable[[str], object], first: dict[str, float] = FIRST) -> list[Line]:
        """Train on the CPU and on the device; their metrics side by side."""
        for device in ("reference", "device"):
            train(device)
        return compared(self.out(name, "device"), self.out(name, "reference"), first)


def compared(seen: str, reference: str, first: dict[str, float]) -> list[Line]:
    """The first and the last step of two runs."""
    left, right = RunFolder(seen).metrics(), RunFolder(reference).metrics()
    if len(left) != len(right):
        raise ValueError(f"{len(left)} steps and {len(right)}")
    lines = [Line(f"step 1 {name}", _number(left[0], name), _number(right[0], name), w) for name, w in first.items()]
    last = LAST if first is not DRAWN else {}
    lines += [
        Line(f"step {len(left)} {name}", _number(left[-1], name), _number(right[-1], name), w)
        for name, w in last.items()
    ]
    return lines


def _number(row: dict[str, float], name: str) -> float:
    value = row[name]
    return math.nan if value is None else float(value)


def pretraining(check: Check, name: str, device: str, **changes: object) -> PretrainConfig:
    settings = {"optimizer": replace(STEADY, method="muon"), "model": SHAPE, "batch": 8, "length": 48, **changes}
    return PretrainConfig(data=TASK, out=check.out(name, device), loop=check.loop(device), **settings)  # type: ignore[arg-type]


def rough(check: Check, device: str) -> PretrainConfig:
    """bfloat16 on the device; the reference stays float32."""
    return pretraining(check, "rough", device, dtype="float32" if device == "reference" else "bfloat16")


def distilling(check: Check, base: str, device: str) -> DistillConfig:
    return DistillConfig(
        model=base, teacher="solver", task=TASK, out=check.out("distilled", device), loop=check.loop(device),
        optimizer=STEADY, batch=8, length=48,
    )  # fmt: skip


def rl(check: Check, base: str, name: str, device: str, objective: ObjectiveConfig) -> RLConfig:
    return RLConfig(
        model=base, task=TASK, out=check.out(name, device), reward="random", prompts=4, max_tokens=12,
        loop=check.loop(device), optimizer=STEADY, objective=objective, budget=BudgetConfig(rollouts=8),
        selection=SelectionConfig(rule="max_variance", keep=4),
        evaluation=EvaluationConfig(eval_every=3, eval_problems=8),
    )  # fmt: skip


# -- the decoder ------------------------------------------------------------------------------------------------------


def loud(shape: ModelConfig, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """A model whose answers differ, in their lengths too."""
    model = build_model(shape, tokenizer, seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim > 1:
                p.normal_(std=0.3, generator=generator)
    return model.eval()


def decoded(check: Check, shape: ModelConfig, tokenizer: PreTrainedTokenizerBase) -> list[Line]:
    """Answers through captured steps: their tokens against the CPU's, their log-probabilities against a plain pass."""
    model = loud(shape, tokenizer)
    made: list[CudaGraphSteps] = []

    class Watched(CudaGraphSteps):
        def __init__(self, *arguments: object):
            super().__init__(*arguments)  # type: ignore[arg-type]
            made.append(self)

    generator = torch.Generator().manual_seed(1)
    prompts = [torch.randint(3, len(tokenizer), (n,), generator=generator).tolist() for n in PROMPTS]
    seeds = [[10 * p + i for i in range(SEEDS)] for p in range(len(prompts))]
    decoding = Decoding(max_tokens=40)
    wanted = engine.TransformersDecoder(model, tokenizer).generate(prompts, seeds, decoding)
    # Few rows: prompts enter where others have ended, so rows of many lengths share a step.
    decoder = engine.TransformersDecoder(model.to(check.device), tokenizer, rows=16)
    with patch.object(engine, "CudaGraphSteps", Watched):
        found = decoder.generate(prompts, seeds, decoding)
    model.to("cpu")
    pairs = [
        (p, a, b) for p, row, other in zip(prompts, found, wanted, strict=True) for a, b in zip(row, other, strict=True)
    ]
    lengths = sorted({len(a.tokens) for _, a, _ in pairs})
    graphs, fell_back = sum(len(c.graphs) for c in made), sum(not c.works for c in made)
    print(f"  {len(pairs)} answers of {lengths[0]} to {lengths[-1]} tokens, {len(lengths)} different lengths; "
          f"{graphs} graphs captured, {fell_back} of {len(made)} batches fell back to plain steps")  # fmt: skip
    same = sum(a.tokens.tolist() == b.tokens.tolist() for _, a, b in pairs) / len(pairs)
    worst = max(abs(a.logprob - _logprob(model, p, a.tokens.tolist())) / max(1, len(a.tokens)) for p, a, _ in pairs)
    lines = [
        Line("share of answers with the CPU's tokens", same, 1.0, 0.05),
        Line("largest difference a token, nats (+ 1)", 1 + worst, 1.0, 1e-4),
    ]
    if check.device != "cpu":
        lines.append(Line("batches on captured steps", float(len(made) - fell_back), float(len(made)), 0.0))
    return lines


def _logprob(model: PreTrainedModel, prompt: list[int], answer: list[int]) -> float:
    """Of an answer, in one pass over nothing else."""
    with torch.no_grad():
        logits_TV = model(input_ids=torch.tensor([[*prompt, *answer]]), use_cache=False).logits[0].float()
    logprobs_TV = logits_TV.log_softmax(-1)[len(prompt) - 1 : -1]
    return float(logprobs_TV[torch.arange(len(answer)), torch.tensor(answer)].sum())


# -- several processes ------------------------------------------------------------------------------------------------


def launched(check: Check, name: str, launcher: list[str], reference: str, words: list[str]) -> list[Line]:
    """A command in two processes, against one process on the CPU."""
    out = str(check.folder / name)
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch", *launcher, "--num_processes", "2", "--num_machines", "1"),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m", "reachlab", *words),
        *("--threads", "1", "--steps", str(LOOP.steps), "--save-every", "2", "--device", check.device, "--out", out),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HOME": str(check.folder)}
    if check.device == "cpu":
        environment["ACCELERATE_USE_CPU"] = "true"
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"ended with {done.returncode}: {done.stderr[-2000:]}")
    return compared(out, reference, FIRST if words[0] != "rl" else DRAWN)


def in_processes(check: Check, base: str, references: dict[str, str]) -> None:
    flat = {
        "distill": [
            *("distill", "--model", base, "--teacher", "solver", "--task", TASK, "--batch", "8", "--length", "48"),
            *("--optimizer", "adamw", "--lr", "1e-3", "--schedule", "constant", "--warmup", "0"),
        ],
        "rl": [
            *("rl", "--model", base, "--task", TASK, "--reward", "random", "--prompts", "4", "--rollouts", "8"),
            *("--keep", "4", "--rule", "max_variance", "--max-tokens", "12", "--optimizer", "adamw", "--lr", "1e-3"),
            *("--schedule", "constant", "--warmup", "0", "--eval-every", "3", "--eval-problems", "8"),
        ],
    }
    over = "gloo" if check.device == "cpu" else "NCCL"
    ways = {"replicated": ["--multi_gpu"], "sharded": ["--use_fsdp", "--fsdp_version", "2"]}
    for way, launcher in ways.items():
        for what, words in flat.items():

            def work(
                way: str = way, launcher: list[str] = launcher, what: str = what, words: list[str] = words
            ) -> list[Line]:
                return launched(check, f"{what}-{way}", launcher, references[what], words)

            check.part(f"{what} in two processes over {over}, {way}", work)


# -- all of it --------------------------------------------------------------------------------------------------------


def run(check: Check, processes: bool) -> None:
    default = RoutingConfig(routing="default")
    check.part("pretraining, dense", lambda: check.trained("base", lambda d: pretrain(pretraining(check, "base", d))))
    check.part(
        "pretraining, sparse, default vectors",
        lambda: check.trained(
            "sparse", lambda d: pretrain(pretraining(check, "sparse", d, model=SPARSE, routing=default))
        ),
    )
    check.part(
        "pretraining, bfloat16 on the device",
        lambda: check.trained("rough", lambda d: pretrain(rough(check, d)), ROUGH),
    )
    base = check.out("base", "reference")
    check.part("distilling", lambda: check.trained("distilled", lambda d: distill(distilling(check, base, d))))
    for name, objective in (("grpo", ObjectiveConfig()), ("ppo", ObjectiveConfig(algorithm="ppo", kl=0.1))):
        check.part(
            f"RL, {name}",
            lambda name=name, objective=objective: check.trained(  # type: ignore[misc]
                name, lambda d: train_rl(rl(check, base, name, d, objective)), DRAWN
            ),
        )
    tokenizer = load_model(base)[1]
    for shape in (SHAPE, SPARSE):
        check.part(f"decoding, {shape.family}", lambda shape=shape: decoded(check, shape, tokenizer))  # type: ignore[misc]
    if processes:
        in_processes(
            check, base, {"distill": check.out("distilled", "reference"), "rl": check.out("grpo", "reference")}
        )
    else:
        print("\nseveral processes: NOT RUN (that takes two GPUs; on a CPU --processes)")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="what is held against the CPU")
    parser.add_argument("--processes", action="store_true", help="two processes on a CPU too, over gloo (slow)")
    options = parser.parse_args(arguments)
    gpus = torch.cuda.device_count() if options.device == "cuda" else 0
    if options.device == "cuda" and not gpus:
        print("no GPU here: NOT RUN (--device cpu tries the script itself)")
        return 2
    print(machine(1), *(torch.cuda.get_device_name(i) for i in range(gpus)), f"torch {torch.__version__}", sep="; ")
    print(f"  {'':42} {options.device:>12} {'cpu float32':>12} {'apart':>9} {'limit':>9}")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        check = Check(options.device, Path(folder))
        run(check, options.processes or gpus >= 2)
    print(f"\n{time.perf_counter() - began:.0f} s; ", end="")
    print("all agree" if not check.failed else f"{len(check.failed)} do not: {'; '.join(check.failed)}")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
