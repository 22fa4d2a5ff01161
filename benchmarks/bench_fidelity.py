"""How faithful is each method's router gradient? Cosine with the dense one, by layer, with K = 1 expert active.

Two small mixtures of experts (OLMoE, 8 experts, 1 active, 4 layers of width 128, BPE 2048, the standard library's
source) are trained for each seed: one with plain top-k, one with the paper's default vectors in the forward pass. On
each, `reachlab.moe.fidelity.compare` holds every method's router gradient beside the dense one at the model's own
values, on held-out text; candidates are warmed up on training text. What is printed: the mean over seeds with a 95 %
t-interval, and whether a method surely lies above top-k in every layer: whether in each the interval of the
difference, paired by seed, is above 0. Two seeds are too few for that.

    python benchmarks/bench_fidelity.py --quick
"""

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.boundary import student
from reachlab.models.build import build_model
from reachlab.models.config import ModelConfig
from reachlab.models.tokenizer import train_tokenizer
from reachlab.moe import densify
from reachlab.moe.fidelity import CANDIDATES, Batch, Fidelity, compare, mean_nats
from reachlab.moe.instruments import Recorder
from reachlab.progress import track
from reachlab.runs import write_atomically
from reachlab.training.corpus.packed import open_packed, pack
from reachlab.training.corpus.survey import survey
from reachlab.training.corpus.windows import window_batches
from timing import machine

TRAINED: dict[str, tuple[str, dict[str, Any]]] = {
    "top-k": ("topk", {}),
    "default": ("default", {"forward": "default"}),
}
"""How the models are trained."""
BALANCE = 0.01
"""Weight of the load-balancing loss."""


def train(options: argparse.Namespace, tokenizer: PreTrainedTokenizerBase, train_N: Any, how: str, seed: int) -> Any:
    """A model trained in one of the ways, in evaluation mode, and its last losses' mean."""
    shape = ModelConfig(
        family="olmoe", hidden=options.hidden, layers=options.layers, heads=4, experts=options.experts,
        active_experts=options.active, positions=options.length,
    )  # fmt: skip
    model = build_model(shape, tokenizer, seed)
    model.to(options.device)
    method, settings = TRAINED[how]
    if method != "topk":
        densify(model, method, **settings)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.1, betas=(0.9, 0.95))
    at = window_batches(train_N, options.batch, options.length, seed)
    losses = []
    model.train()
    with track(f"{how} seed {seed}", options.steps) as advance:
        for step in range(options.steps):
            warm = min(1.0, (step + 1) / (0.1 * options.steps))
            rate = warm * (0.55 + 0.45 * math.cos(math.pi * step / options.steps))
            for group in optimizer.param_groups:
                group["lr"] = options.lr * rate
            ids_BT = at(step).ids_BT.to(options.device)
            out = model(input_ids=ids_BT, labels=ids_BT, output_router_logits=True, use_cache=False)
            (out.loss + (BALANCE - model.config.router_aux_loss_coef) * out.aux_loss).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append((out.loss - model.config.router_aux_loss_coef * out.aux_loss).detach())
            advance(1)
    return model.eval(), torch.stack(losses[-20:]).mean().item()


def held_out(held_N: Any, options: argparse.Namespace) -> list[Batch]:
    """Batches of validation text."""
    at = window_batches(held_N, options.batch, options.length, 0)
    return [{"input_ids": at(step).ids_BT.to(options.device)} for step in range(options.measured)]


def measure(
    model: PreTrainedModel, train_N: Any, held_N: Any, options: argparse.Namespace
) -> dict[str, list[Fidelity]]:
    """Every candidate's fidelity on a trained model."""
    at = window_batches(train_N, options.batch, options.length, 10_000)
    warm_up = [{"input_ids": at(step).ids_BT.to(options.device)} for step in range(options.warm_up)]
    return compare(model, held_out(held_N, options), warm_up=warm_up, candidates=CANDIDATES)


def interval(values_S: np.ndarray) -> tuple[float, float, float]:
    """Mean and the ends of its 95 % t-interval; one value has no interval."""
    mean, low, high = (float(end) for end in student.interval(values_S))
    return mean, low, high


def summarise(found: dict[str, list[dict[str, list[Fidelity]]]]) -> dict[str, Any]:
    """For each way of training and each method: layers with the cosine, and its difference to top-k."""
    summary: dict[str, Any] = {}
    for how, seeds in found.items():
        cosines = {name: np.array([[f.cosine for f in one[name]] for one in seeds]) for name in seeds[0]}
        ratios = {name: np.array([[f.ratio for f in one[name]] for one in seeds]) for name in seeds[0]}
        summary[how] = {}
        for name, cosines_SL in cosines.items():
            above_SL = cosines_SL - cosines["topk"]
            layers: list[dict[str, Any]] = [
                {
                    "cosine": interval(cosines_SL[:, layer]),
                    "above_topk": interval(above_SL[:, layer]),
                    "ratio": float(ratios[name][:, layer].mean()),
                }
                for layer in range(cosines_SL.shape[1])
            ]
            # With one seed there is no interval, and nothing is sure.
            surely = name != "topk" and all(layer["above_topk"][1] > 0 for layer in layers)
            summary[how][name] = {"layers": layers, "surely_above_topk_in_every_layer": surely}
    return summary


def show(summary: dict[str, Any]) -> None:
    for how, methods in summary.items():
        table = Table(title=f"trained with {how}: cosine with the dense gradient (95 % interval over seeds)")
        table.add_column("method")
        count = len(next(iter(methods.values()))["layers"])
        for layer in range(count):
            table.add_column(f"layer {layer}")
        table.add_column("length / dense")
        table.add_column("surely above top-k in every layer")
        for name, of_method in methods.items():
            cells = [
                f"{layer['cosine'][0]:.3f}\n{layer['cosine'][1]:.3f} to {layer['cosine'][2]:.3f}"
                for layer in of_method["layers"]
            ]
            length = np.mean([layer["ratio"] for layer in of_method["layers"]])
            table.add_row(name, *cells, f"{length:.2f}", "yes" if of_method["surely_above_topk_in_every_layer"] else "")
        Console(width=130).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/bench-fidelity")
    parser.add_argument("--data", default="stdlib")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--experts", type=int, default=8)
    parser.add_argument("--active", type=int, default=1)
    parser.add_argument("--warm-up", type=int, default=60, help="batches that fill the candidates' averages")
    parser.add_argument("--measured", type=int, default=6, help="batches measured on")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="2 seeds, few steps: shows that it works")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.steps, options.warm_up, options.measured = 2, 40, 20, 3
    if options.device == "cpu":
        torch.set_num_threads(1)
    out = Path(options.out)
    corpus = survey(options.data)
    tokenizer = train_tokenizer("bpe", corpus.sample(1 << 22), 2048)
    packed = open_packed(pack(corpus, tokenizer, out))
    found: dict[str, list[dict[str, list[Fidelity]]]] = {how: [] for how in TRAINED}
    training: dict[str, list[dict[str, float]]] = {how: [] for how in TRAINED}
    for seed in range(options.seeds):
        for how in TRAINED:
            model, loss = train(options, tokenizer, packed.train_N, how, seed)
            with Recorder(model) as recorder, torch.no_grad():
                batches = held_out(packed.held_out_N, options)
                valid = sum(mean_nats(model, batch).item() for batch in batches) / len(batches)
                training[how].append({"train_loss": loss, "val_loss": valid, **recorder.scalars()})
            found[how].append(measure(model, packed.train_N, packed.held_out_N, options))
    summary = summarise(found)
    where = machine(1) if options.device == "cpu" else torch.cuda.get_device_name()
    print(where)
    show(summary)
    document = {
        "machine": where,
        "options": vars(options),
        "training": training,
        "summary": summary,
        "runs": {how: [{n: [asdict(f) for f in fs] for n, fs in one.items()} for one in s] for how, s in found.items()},
    }
    text = json.dumps(document, indent=2).replace("NaN", "null")
    write_atomically(out / "bench_fidelity.json", text.encode())
    print(f"{out}/bench_fidelity.json")


if __name__ == "__main__":
    main()
