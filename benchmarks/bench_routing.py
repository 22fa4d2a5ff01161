"""Does a dense router gradient save tokens? Pretraining of small mixtures of experts, over several seeds.

Every run is an ordinary `reachlab pretrain` on the standard library's source, with the same data and first weights for
all methods of a seed, and its validation loss measured as it goes. Reported for every method, against the plain top-k
router:

    loss     its final validation loss less top-k's, paired by seed, the mean over seeds
    tokens   the tokens at which its loss first reaches top-k's final one, over all of top-k's: 0.91 is 9 % fewer;
             "never" where it does not get there
    time     the same in seconds of training (evaluation left out), one run a core, as shares of top-k's of that seed

The loss is linear in tokens between two measurements; the curve of a method is the mean over seeds. Intervals: 95 %,
Student's t over seeds (`boundary/student.py`); of tokens and time, all at which the mean may be at top-k's final loss
by such an interval (`reaching.py`). One seed has none.

Runs lie in --out: started again with the same settings, finished ones are read, a killed one goes on. Writes
routing.json and routing.html there. Run: python benchmarks/bench_routing.py --out runs/bench-routing
On a GPU, to 10^8 tokens: add --device cuda --dtype bfloat16 --steps 3000 --batch 128 --hidden 512 --layers 8
"""

import argparse
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from reaching import Reached, reached
from reachlab.boundary import student
from reachlab.errors import ReachlabError
from reachlab.runs import RunFolder, write_atomically
from reachlab.studies.stages import Stage, run_stages
from timing import machine

Floats = NDArray[np.float64]

METHODS = {
    "topk": "--routing topk",
    "default, paper": "--routing default --estimator routed --default-forward default --default-update before_use",
    "linear": "--routing default --estimator linear",
    "routed": "--routing default --estimator routed --default-update before_use",
    "probed": "--routing default --estimator probed",
    "shrunk": "--routing default --estimator shrunk",
    "linear, forward too": "--routing default --estimator linear --default-forward default",
    "sparsemixer": "--routing sparsemixer",
    "lossfree": "--routing lossfree --balance 0",
    "densemixer": "--routing densemixer",
}
"""What is compared, as words of `reachlab pretrain`; the reference first."""


@dataclass(frozen=True)
class Run:
    """One run's validation losses, and the tokens and seconds of training before each."""

    tokens_E: Floats
    seconds_E: Floats
    loss_E: Floats

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Read a run's metrics.

        Raises:
            ReachlabError: it has not finished, or was not evaluated.
        """
        if not (folder / "model" / "config.json").is_file():
            raise ReachlabError(f"{folder}: not finished")
        rows = RunFolder(str(folder)).metrics()
        clock = np.cumsum([row["seconds"] - row.get("seconds_eval", 0.0) for row in rows])
        at = [i for i, row in enumerate(rows) if row.get("val_loss") is not None]
        return cls(
            np.array([rows[i]["tokens_seen"] for i in at]), clock[at], np.array([rows[i]["val_loss"] for i in at])
        )


def against(reference: list[Run], other: list[Run], what: str) -> Reached:
    """Where the other is at the reference's final loss, in shares of the reference's own tokens or seconds."""
    at_SE = [getattr(own, what) / getattr(ref, what)[-1] for ref, own in zip(reference, other, strict=True)]
    begin, end = max(at_E[0] for at_E in at_SE), min(at_E[-1] for at_E in at_SE)
    x_E = np.unique(np.concatenate(at_SE))
    x_E = x_E[(x_E >= begin) & (x_E <= end)]
    return reached(
        x_E,
        np.array(
            [
                np.interp(x_E, at_E, own.loss_E) - ref.loss_E[-1]
                for at_E, ref, own in zip(at_SE, reference, other, strict=True)
            ]
        ),
    )


def summarise(runs: dict[str, list[Run]]) -> dict[str, Any]:
    """Everything that is reported, as plain numbers; every method against the reference on the seeds both have."""
    reference = next(iter(runs.values()))
    table: dict[str, Any] = {}
    for name, own in runs.items():
        seeds = min(len(own), len(reference))
        if not seeds:
            continue
        pairs = list(zip(reference[:seeds], own[:seeds], strict=True))
        places = {
            key: against(reference[:seeds], own[:seeds], what)
            for key, what in (("tokens", "tokens_E"), ("time", "seconds_E"))
        }
        table[name] = {
            "seeds": seeds,
            "final": [float(run.loss_E[-1]) for run in own],
            "step_seconds": float(np.mean([run.seconds_E[-1] / run.tokens_E[-1] for run in own])),
            "loss": [float(end) for end in student.interval([b.loss_E[-1] - a.loss_E[-1] for a, b in pairs])],
            **{key: [place.at, place.low, place.high] for key, place in places.items()},
        }
    return table


def print_summary(table: dict[str, Any]) -> None:
    """A row a method."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "seeds", "final loss", "less top-k's", "tokens", "time", "cost a token"):
        shown.add_column(column, justify="left" if not column else "right")
    first = next(iter(table.values()))

    def words(values: list[float], form: str) -> str:
        middle, low, high = (format(v, form) if np.isfinite(v) else "never" for v in values)
        return middle if np.isnan(values[1]) else f"{middle} ({low} to {high})"

    for name, row in table.items():
        same = row is first
        shown.add_row(
            name,
            str(row["seeds"]),
            f"{np.mean(row['final']):.4f}",
            "" if same else words(row["loss"], "+.4f"),
            "" if same else words(row["tokens"], ".3f"),
            "" if same else words(row["time"], ".3f"),
            f"{row['step_seconds'] / first['step_seconds']:.2f}",
        )
    Console(width=140).print(shown)
    if any(row["seeds"] == 1 for row in table.values()):
        print("one seed has no interval: it does not tell what another would do")


def draw(runs: dict[str, list[Run]]) -> go.Figure:
    """Mean validation loss less the reference's, over tokens, with every seed as a thin line."""
    figure = go.Figure()
    reference = next(iter(runs.values()))
    colours = ("#3c4048", "#c14a06", "#0a68b4", "#08805c", "#93399b", "#806500", "#4f6d00", "#b0306a", "#555", "#000")
    for (name, own), colour in zip(runs.items(), colours, strict=False):
        seeds = min(len(own), len(reference))
        gaps = [own[s].loss_E - reference[s].loss_E for s in range(seeds)]
        for s, gap in enumerate(gaps):
            figure.add_scatter(
                x=own[s].tokens_E, y=gap, line={"color": colour, "width": 1}, opacity=0.3, legendgroup=name,
                showlegend=False, name=name,
            )  # fmt: skip
        if gaps:
            line = {"color": colour, "width": 3}
            figure.add_scatter(x=own[0].tokens_E, y=np.mean(gaps, axis=0), line=line, legendgroup=name, name=name)
    figure.update_layout(template="plotly_white", xaxis_title="tokens of training")
    figure.update_yaxes(title="validation loss less top-k's, nats")
    return figure


def folder(out: str, name: str, seed: int) -> Path:
    return Path(out) / f"{name.lower().replace(', ', '-').replace(' ', '-')}-seed{seed}"


def stages(options: argparse.Namespace, chosen: dict[str, str]) -> list[Stage]:
    """One seed after the other, so that drift meets all alike."""
    shared = (
        f"pretrain --data {options.data} --family olmoe --experts {options.experts} --active-experts {options.active} "
        f"--hidden {options.hidden} --intermediate {options.inner} --layers {options.layers} --tokenizer bpe "
        f"--vocab-size {options.vocab} --length {options.length} --batch {options.batch} --steps {options.steps} "
        f"--optimizer {options.method} --lr {options.lr} --warmup {options.warmup} --schedule {options.schedule} "
        f"--balance {options.balance} --dtype {options.dtype} --device {options.device} "
        f"--eval-every {max(1, options.steps // options.evals)} --eval-tokens {options.eval_tokens} "
        f"--cache {options.cache or options.out + '/tokens'}"
    )
    threads = () if options.device.startswith("cuda") else ("--threads", "1")
    found: list[Stage] = []
    for seed in range(options.seeds):
        for name, words in chosen.items():
            where = ("--seed", str(seed), "--out", str(folder(options.out, name, seed)))
            own = words.split()
            common = shared.split()
            if "--balance" in own:  # the method's own choice
                at = common.index("--balance")
                del common[at : at + 2]
            # The first run makes the tokens that all read.
            needs = (found[0].name,) if found and not options.cache else ()
            found.append(Stage(f"{name} seed {seed}", (*common, *own, *threads, *where), needs))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/bench-routing")
    parser.add_argument("--data", default="stdlib")
    parser.add_argument("--cache", default="", help="folder of tokens to share; default: in --out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--experts", type=int, default=8)
    parser.add_argument("--active", type=int, default=1)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--inner", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--method", default="adamw", help="adamw or muon")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--warmup", type=int, default=50)
    parser.add_argument("--schedule", default="cosine")
    parser.add_argument("--balance", type=float, default=0.01)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--evals", type=int, default=25)
    parser.add_argument("--eval-tokens", type=int, default=60_000)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)), help="runs side by side")
    parser.add_argument("--only", nargs="*", default=[], help="methods to run besides topk")
    parser.add_argument("--read", action="store_true", help="run nothing: report what has finished")
    options = parser.parse_args()
    chosen = {n: w for n, w in METHODS.items() if not options.only or n in ("topk", *options.only)}
    # A polite kill stops the runs too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if not options.read:
            run_stages(stages(options, chosen), cores=options.cores)
    except KeyboardInterrupt:
        raise SystemExit("stopped; run the same command again to go on") from None
    except ReachlabError as error:
        raise SystemExit(f"error: {error}") from None
    runs: dict[str, list[Run]] = {}
    for name in chosen:
        runs[name] = []
        for seed in range(options.seeds):
            try:
                runs[name].append(Run.read(folder(options.out, name, seed)))
            except ReachlabError:
                break
    if not next(iter(runs.values())):
        raise SystemExit(f"error: {options.out}: no finished run of topk")
    table = summarise(runs)
    where = machine(1) if options.device == "cpu" else options.device
    print(where)
    print_summary(table)
    document = {"machine": where, "options": vars(options), "methods": table}
    text = json.dumps(document, indent=2).replace("Infinity", '"never"').replace("NaN", "null")
    write_atomically(Path(options.out) / "routing.json", text.encode())
    write_atomically(Path(options.out) / "routing.html", draw(runs).to_html(include_plotlyjs=True).encode())
    print(f"{options.out}/routing.json, {options.out}/routing.html")


if __name__ == "__main__":
    main()
