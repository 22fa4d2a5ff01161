"""Time to accuracy, by the protocol of PODS (arXiv 2504.13818), over several seeds.

From one base, `reachlab rl` trains every configuration for the same wall-clock time, evaluating on held-out problems as
it goes; evaluation is not on the clock. Per seed, accuracy is linear in time between two evaluations; the curve of a
configuration is the mean over seeds, not smoothed otherwise. A reference's target is 99 % of its curve's highest value;
the speed-up of a configuration is the reference's time to that target over its own (0 where it never gets there).
Intervals: 95 %, Student's t over seeds (`boundary/student.py`), paired by seed; of a speed-up, all times at which the
mean may, by such an interval, be where the reference is at its own time to the target (`reaching.py`), which is not
resampled. One seed has none.

On a CPU each run has one thread and as many runs go side by side as there are cores, which slows all of them alike.
Runs are ordinary runs in --out: started again with the same settings, finished ones are read, a killed one goes on.
Writes bench_rl.json and bench_rl.html there. Run: python benchmarks/bench_rl.py --out runs/bench-rl
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

from reaching import first, reached
from reachlab.boundary import student
from reachlab.errors import ReachlabError
from reachlab.runs import RunFolder, write_atomically
from reachlab.studies.stages import Stage, run_stages
from timing import machine

Floats = NDArray[np.float64]

PHASES = ("generate", "verify", "select", "logprobs", "advantage", "update")
MANY_STEPS = 1_000_000
"""More than any run takes: the clock ends it."""


def configurations(n: int, m: int) -> dict[str, str]:
    """Name and `reachlab rl` words of everything that is compared; plain GRPO first."""
    select = f"--rollouts {n} --keep {m} --rule"
    return {
        f"GRPO {m}": f"--rollouts {m}",
        f"GRPO {n}": f"--rollouts {n}",
        f"PODS {n} to {m}": f"{select} max_variance",
        f"PODS {n} to {m} waves": f"{select} max_variance --budget waves",
        f"max-reward {n} to {m}": f"{select} max_reward",
        f"random {n} to {m}": f"{select} random",
        f"Pilot-Commit {n}": f"--rollouts {n} --budget pilot_commit",
        f"GRPO {m} redrawn": f"--rollouts {m} --redraws 3",
    }


@dataclass(frozen=True)
class Run:
    """One training run: its clock (evaluation left out) and accuracy at every evaluation, and where its time went."""

    steps_E: NDArray[np.int64]
    seconds_E: Floats
    accuracy_E: Floats
    phases: dict[str, float]
    """Median seconds a step."""

    @classmethod
    def read(cls, folder: str) -> "Run":
        """Read a run's metrics.

        Raises:
            ReachlabError: there are no two evaluations.
        """
        rows = RunFolder(folder).metrics()
        clock = np.cumsum([row["seconds"] - row.get("seconds_eval", 0.0) for row in rows])
        at = [i for i, row in enumerate(rows) if row.get("eval_pass1") is not None]
        if len(at) < 2:
            raise ReachlabError(f"{folder}: fewer than two evaluations; give more --seconds or a smaller --eval-every")
        spent = {name: float(np.median([row.get(f"seconds_{name}", 0.0) for row in rows])) for name in PHASES}
        whole = float(np.median(np.diff(clock, prepend=0.0)))
        return cls(
            np.array([rows[i]["step"] for i in at]),
            clock[at],
            np.array([rows[i]["eval_pass1"] for i in at]),
            {**spent, "step": whole},
        )


@dataclass(frozen=True)
class Curve:
    """Accuracy over time, and over steps, of one configuration's seeds."""

    runs: tuple[Run, ...]

    def over_time(self) -> tuple[Floats, Floats]:
        """Times and each run's accuracies, (S, E), from the last run's first evaluation to the first one's last."""
        begin, end = max(r.seconds_E[0] for r in self.runs), min(r.seconds_E[-1] for r in self.runs)
        times = np.unique(np.concatenate([r.seconds_E for r in self.runs]))
        times = times[(times >= begin) & (times <= end)]
        return times, self.at(times)

    def at(self, seconds: Floats | float) -> Floats:
        """Each run's accuracy: (S,), or (S, E) at several times."""
        return np.array([np.interp(seconds, r.seconds_E, r.accuracy_E) for r in self.runs])

    def over_steps(self) -> tuple[NDArray[np.int64], Floats]:
        """Steps at which every run was evaluated, and mean accuracies there."""
        count = min(len(r.steps_E) for r in self.runs)
        return self.runs[0].steps_E[:count], np.mean([r.accuracy_E[:count] for r in self.runs], axis=0)

    def target(self) -> tuple[float, float]:
        """99 % of the highest mean accuracy, and when the mean first is there.

        Where it is there at the first evaluation, that is the answer, and an upper bound.
        """
        times, accuracy_SE = self.over_time()
        mean = accuracy_SE.mean(axis=0)
        target = 0.99 * float(mean.max())
        return target, first(times, target - mean)


def speedup(reference: Curve, other: Curve) -> dict[str, float]:
    """t(reference at its target) / t(other there), and its interval; 0 where the other never gets there."""
    _, seconds = reference.target()
    times, accuracy_SE = other.over_time()
    there = reached(times, reference.at(seconds)[:, None] - accuracy_SE)
    found = {"speedup": there.at, "low": there.high, "high": there.low}
    return {name: seconds / taken if taken else float("inf") for name, taken in found.items()}


def summarise(curves: dict[str, Curve], references: tuple[str, str]) -> dict[str, Any]:
    """Everything that is reported, as plain numbers."""
    ends = {name: float(c.over_time()[0][-1]) for name, c in curves.items()}
    steps = min(int(c.over_steps()[0][-1]) for c in curves.values())
    seconds = min(ends.values())
    table = {}
    for name, curve in curves.items():
        times, accuracy_SE = curve.over_time()
        mean = accuracy_SE.mean(axis=0)
        at_steps, by_steps = curve.over_steps()
        others = [ref for ref in references if ref != name]
        table[name] = {
            "steps": [int(run.steps_E[-1]) for run in curve.runs],
            "best": float(mean.max()),
            "at_equal_time": float(np.interp(seconds, times, mean)),
            "at_equal_steps": float(np.interp(steps, at_steps, by_steps)),
            "each_at_equal_time": curve.at(seconds).tolist(),
            "phases": {key: float(np.mean([r.phases[key] for r in curve.runs])) for key in curve.runs[0].phases},
            "over": {ref: speedup(curves[ref], curve) for ref in others},
            "less": {
                ref: [float(end) for end in student.interval(curve.at(seconds) - curves[ref].at(seconds))]
                for ref in others
            },
            "curve": {"seconds": times.tolist(), "accuracy": mean.tolist()},
        }
    return {"equal_seconds": seconds, "equal_steps": steps, "configurations": table}


def print_summary(summary: dict[str, Any], references: tuple[str, str]) -> None:
    console = Console(width=140)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    at = (f"at {summary['equal_seconds']:.0f} s", f"at {summary['equal_steps']} steps")
    for name in ("steps", "best", *at, "s/step", *(f"over {r}" for r in references)):
        table.add_column(name, justify="right")
    for name, row in summary["configurations"].items():
        over = [_cell(*(row["over"][r].values() if r in row["over"] else ()), form=".2f") for r in references]
        accuracies = [f"{row[key]:.1%}" for key in ("best", "at_equal_time", "at_equal_steps")]
        table.add_row(name, f"{np.mean(row['steps']):.0f}", *accuracies, f"{row['phases']['step']:.3g}", *over)
    console.print(table)
    less = Table(box=None, pad_edge=False, header_style="bold", title_justify="left",
                 title=f"at {summary['equal_seconds']:.0f} s, percentage points less")  # fmt: skip
    less.add_column("")
    for reference in references:
        less.add_column(reference, justify="right")
    for name, row in summary["configurations"].items():
        points = [[100 * value for value in row["less"].get(r, ())] for r in references]
        less.add_row(name, *(_cell(*values, form="+.1f") for values in points))
    console.print(less)
    if len(next(iter(summary["configurations"].values()))["steps"]) == 1:
        console.print("one seed has no interval: it does not tell what another would do")
    times = Table(box=None, pad_edge=False, header_style="bold", title="median seconds a step", title_justify="left")
    times.add_column("")
    for phase in PHASES:
        times.add_column(phase, justify="right")
    for name, row in summary["configurations"].items():
        times.add_row(name, *(f"{row['phases'][phase]:.3g}" for phase in PHASES))
    console.print(times)


def _cell(*values: float, form: str) -> str:
    """A value and its interval, or the value alone where it has none; nothing of nothing."""
    if not values:
        return ""
    middle, low, high = (format(value, form) for value in values)
    return middle if np.isnan(values[1]) else f"{middle} ({low} to {high})"


def draw(curves: dict[str, Curve]) -> go.Figure:
    """Mean accuracy over training time as a bold line, every seed as a thin one."""
    figure = go.Figure()
    dashes = ("solid", "dash", "solid", "dot", "dashdot", "longdash", "longdashdot", "dot")
    colours = ("#3c4048", "#806500", "#0a68b4", "#08805c", "#c14a06", "#93399b", "#4f6d00", "#b0306a")
    for i, (name, curve) in enumerate(curves.items()):
        line = {"color": colours[i % len(colours)], "dash": dashes[i % len(dashes)]}
        for run in curve.runs:
            thin = {**line, "width": 1}
            figure.add_scatter(
                x=run.seconds_E, y=run.accuracy_E, line=thin, opacity=0.3, legendgroup=name, showlegend=False, name=name
            )
        times, accuracy_SE = curve.over_time()
        figure.add_scatter(x=times, y=accuracy_SE.mean(axis=0), line={**line, "width": 3}, legendgroup=name, name=name)
    figure.update_layout(template="plotly_white", xaxis_title="seconds of training, evaluation left out")
    figure.update_yaxes(title="pass@1 on held-out problems", tickformat=".0%", rangemode="tozero")
    return figure


def stages(options: argparse.Namespace, chosen: dict[str, str]) -> list[Stage]:
    """The base, where none is given, and every run; one seed after the other, so that drift meets all alike."""
    out = Path(options.out)
    base = options.base
    needs: tuple[str, ...] = ()
    found = []
    if not base:
        base = str(out / "base")
        words = f"pretrain --data {options.pretrain} --steps {options.pretrain_steps} --threads {options.cores}"
        found.append(Stage("base", (*words.split(), "--out", base), threads=options.cores))
        needs = ("base",)
    shared = (
        f"rl --algorithm {options.algorithm} --task {options.task} --prompts {options.prompts} "
        f"--max-tokens {options.max_tokens} --lr {options.lr} --device {options.device} "
        f"--steps {MANY_STEPS} --max-seconds {options.seconds} --no-watch --eval-every {options.eval_every} "
        f"--eval-problems {options.eval_problems} --eval-samples {options.eval_samples}"
    )
    threads = () if options.device.startswith("cuda") else ("--threads", "1")
    for seed in range(options.seeds):
        for name, words in chosen.items():
            where = ("--model", base, "--seed", str(seed), "--out", str(out / folder(name, seed)))
            found.append(Stage(f"{name} seed {seed}", (*shared.split(), *words.split(), *threads, *where), needs))
    return found


def folder(name: str, seed: int) -> str:
    return f"{name.lower().replace(' ', '-')}-seed{seed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/bench-rl")
    parser.add_argument("--base", default="", help="a checkpoint or run to start from; default pretrains one")
    parser.add_argument("--pretrain", default="countdown,division=0")
    parser.add_argument("--pretrain-steps", type=int, default=480)
    parser.add_argument("--task", default="countdown,division=0.2")
    parser.add_argument("--algorithm", default="grpo")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=300.0, help="of training, for every run")
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--max-tokens", type=int, default=14)
    parser.add_argument("--eval-every", type=int, default=5)
    parser.add_argument("--eval-problems", type=int, default=200)
    parser.add_argument("--eval-samples", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)), help="runs side by side")
    parser.add_argument("--only", nargs="*", default=[], help="configurations to run besides plain GRPO, e.g. waves")
    parser.add_argument("--quick", action="store_true", help="2 seeds, 40 s, few problems: shows that it works")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.seconds, options.eval_problems, options.eval_samples = 2, 40.0, 64, 4
        options.pretrain_steps = min(options.pretrain_steps, 200)
    chosen = configurations(options.n, options.m)
    if options.only:
        plain = list(chosen)[:2]
        chosen = {name: w for name, w in chosen.items() if name in plain or any(o in name for o in options.only)}
    # A polite kill stops the runs too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run_stages(stages(options, chosen), cores=options.cores)
        seeds = range(options.seeds)
        curves = {
            name: Curve(tuple(Run.read(str(Path(options.out) / folder(name, seed))) for seed in seeds))
            for name in chosen
        }
    except KeyboardInterrupt:
        raise SystemExit("stopped; run the same command again to go on") from None
    except ReachlabError as error:
        raise SystemExit(f"error: {error}") from None
    references = (f"GRPO {options.m}", f"GRPO {options.n}")
    summary = summarise(curves, references)
    where = machine(1) if options.device == "cpu" else options.device
    print(where)
    print_summary(summary, references)
    document = {"machine": where, "options": vars(options), **summary}
    out = Path(options.out)
    # A speed-up may be infinite, which JSON has not: as text.
    text = json.dumps(document, indent=2).replace("Infinity", '"inf"').replace("NaN", "null")
    write_atomically(out / "bench_rl.json", text.encode())
    write_atomically(out / "bench_rl.html", draw(curves).to_html(include_plotlyjs=True).encode())
    print(f"{out}/bench_rl.json, {out}/bench_rl.html")


if __name__ == "__main__":
    main()
