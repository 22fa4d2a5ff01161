"""What a dense router gradient costs: seconds a training step, as a ratio to the plain top-k router's.

The same model, batch and optimizer for all methods; forward, backward and optimizer step. In every round every method
takes the same number of steps, in an order that rotates, and its time is divided by top-k's of the same round: what
else the machine does falls on all alike. Printed: the median over rounds and its 95 % interval, by order statistics;
fewer than 6 rounds have none.

Also printed: what share of the matrix products' peak a top-k step reaches, products counted by torch's own counter and
the peak measured by one large product, so that it is known what the ratios are ratios of.

Run: python benchmarks/bench_moe.py            on a GPU: python benchmarks/bench_moe.py --device cuda
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode
from transformers import OlmoeConfig, OlmoeForCausalLM

from reachlab.models.devices import autocast
from reachlab.moe import densify, undensify
from timing import machine, median_interval, seconds

METHODS: dict[str, tuple[str, dict[str, object]]] = {
    "topk": ("", {}),
    "topk again": ("", {}),
    "default, routed": ("default", {}),
    "default, routed, forward too": ("default", {"forward": "default"}),
    "default, linear": ("default", {"estimator": "linear", "update": "per_step"}),
    "default, linear, fewer probes": ("default", {"estimator": "linear", "update": "per_step", "share": 0.002}),
    "sparsemixer": ("sparsemixer", {}),
    "densemixer": ("densemixer", {}),
}


@dataclass(frozen=True)
class Size:
    """A model and a batch of `sequences` times `length` tokens."""

    name: str
    hidden: int
    layers: int
    experts: int
    active: int
    inner: int
    vocab: int = 2048
    sequences: int = 16
    length: int = 256

    def build(self) -> OlmoeForCausalLM:
        """OLMoE of this shape, with a router that is not indifferent."""
        torch.manual_seed(0)
        config = OlmoeConfig(
            vocab_size=self.vocab,
            hidden_size=self.hidden,
            intermediate_size=self.inner,
            num_hidden_layers=self.layers,
            num_attention_heads=self.hidden // 64,
            num_key_value_heads=self.hidden // 64,
            num_experts=self.experts,
            num_experts_per_tok=self.active,
            eos_token_id=1,
            pad_token_id=0,
        )
        return OlmoeForCausalLM(config).train()


CPU_SIZES = (Size("8c1", 256, 4, 8, 1, 512), Size("32c4", 256, 4, 32, 4, 128))
GPU_SIZES = (
    Size("8c1, 160 M", 768, 12, 8, 1, 1024, 32000, 32, 1024),
    Size("32c4, 310 M", 768, 12, 32, 4, 384, 32000, 32, 1024),
    Size("64c8, 1.1 B", 1024, 16, 64, 8, 512, 32000, 16, 1024),
)


def stepper(model: OlmoeForCausalLM, size: Size, dtype: torch.dtype) -> Callable[[], None]:
    """One training step on always the same tokens."""
    device = model.device
    ids_BT = torch.randint(0, size.vocab, (size.sequences, size.length), device=device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def step() -> None:
        with autocast(dtype, device):
            loss = model(input_ids=ids_BT, labels=ids_BT, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def timed(step: Callable[[], None], steps: int, device: torch.device) -> float:
    """Seconds of some steps."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def ratios(size: Size, device: torch.device, dtype: torch.dtype, rounds: int, steps: int) -> dict[str, np.ndarray]:
    """Every method's time over top-k's, round by round; top-k's own entry holds its seconds a step."""
    model = size.build().to(device)
    step = stepper(model, size, dtype)
    timed(step, 3, device)
    names = list(METHODS)
    found: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        times = {}
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            method, options = METHODS[name]
            if method:
                densify(model, method, **options)
            timed(step, 1, device)
            times[name] = timed(step, steps, device) / steps
            if method:
                undensify(model)
        for name, spent in times.items():
            found[name].append(spent if name == "topk" else spent / times["topk"])
    return {name: np.array(values) for name, values in found.items()}


def share_of_peak(size: Size, device: torch.device, dtype: torch.dtype, step_seconds: float) -> float:
    """A top-k step's matrix products over what the machine could do in that time."""
    model = size.build().to(device)
    with FlopCounterMode(display=False) as counter:
        stepper(model, size, dtype)()
    n = 2048 if device.type == "cpu" else 8192
    a = torch.randn(n, n, device=device, dtype=dtype)

    def product() -> None:
        a @ a
        if device.type == "cuda":
            torch.cuda.synchronize()

    peak = 2 * n**3 / seconds(product)
    # The counter does not know grouped products: the experts' are added by hand, thrice for forward and backward.
    tokens = size.sequences * size.length
    experts = 3 * 2 * 3 * tokens * size.active * size.hidden * size.inner * size.layers
    return float((counter.get_total_flops() + experts) / step_seconds / peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="", help="float32 or bfloat16; bfloat16 on a GPU unless said")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=3, help="timed steps a round and method")
    parser.add_argument("--only", default="", help="sizes whose names contain this")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    device = torch.device(args.device)
    dtype = getattr(torch, args.dtype or ("bfloat16" if device.type == "cuda" else "float32"))
    sizes = [s for s in (CPU_SIZES if device.type == "cpu" else GPU_SIZES) if args.only in s.name]
    print(machine(torch.get_num_threads()) if device.type == "cpu" else torch.cuda.get_device_name(device))
    for size in sizes:
        found = ratios(size, device, dtype, args.rounds, args.steps)
        spent = float(np.median(found["topk"]))
        share = share_of_peak(size, device, dtype, spent)
        if args.json:
            text = json.dumps({"size": size.name, **{name: median_interval(v.tolist()) for name, v in found.items()}})
            print(text.replace("NaN", "null"))
            continue
        parameters = sum(p.numel() for p in size.build().parameters())
        table = Table(box=None, title=f"{size.name}: {parameters / 1e6:.0f} M parameters, {spent:.3f} s a step, "
                      f"{share:.0%} of the products' peak", title_justify="left")  # fmt: skip
        for column in ("method", "time over top-k", "95 %"):
            table.add_column(column)
        for name, values in found.items():
            if name != "topk":
                middle, low, high = median_interval(values.tolist())
                table.add_row(name, f"{middle:.3f}", "" if math.isnan(low) else f"{low:.3f} to {high:.3f}")
        Console().print(table)


if __name__ == "__main__":
    main()
