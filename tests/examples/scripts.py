"""The scripts of `examples/`: the extra each needs, and what has to stand in what it prints.

The tests of the built package (`tests/package/`) run them too, in environments that have that extra and no repository.
"""

import re
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples"
LONGEST = 60
"""Lines of a script."""


def percent(said: str, model: str, k: int) -> float:
    """pass@k of a model in the table that a comparison prints."""
    columns = re.search(r"^ model +(.*?) +(?:crossing|ΔSE)", said, re.MULTILINE)
    row = re.search(rf"^ {model} +(.*)$", said, re.MULTILINE)
    assert columns, said
    assert row, said
    return float(row[1].split()[columns[1].split().index(f"pass@{k}")].rstrip("%"))


def own_samples(said: str) -> None:
    assert "base {'correct': 618, 'wrong': 2582, 'unscored': 0}" in said
    assert percent(said, "trained", 1) == 41.7
    assert "verdict: narrower: more often right at k=1 (+22.4 points" in said
    assert "page: runs/own-samples/page.html" in said


def matrix_statistics(said: str) -> None:
    assert percent(said, "base", 1) == 21.5
    assert percent(said, "trained", 61) == 67.5  # three samples of a problem were not scored
    assert "verdict: narrower" in said
    assert re.search(r"^32 +-9\.1 +-14\.7 +-3\.5 +0\.\d+$", said, re.MULTILINE)
    assert "pass@1 = 10.4% [9.6, 11.3] on 80 problems" in said
    assert re.search(r"^1 +61\.0 +129$", said, re.MULTILINE)


def own_checkpoint(said: str) -> None:
    assert percent(said, "trained", 1) > percent(said, "base", 1) + 5
    assert "verdict: " in said
    assert re.search(r"^trained, to '.*\?': '.*' is (correct|wrong)$", said, re.MULTILINE)
    assert "page: runs/own-checkpoint/page.html" in said


def rl_pods(said: str) -> None:
    rows = {
        name: re.search(rf"^{name} +([\d.]+)% -> ([\d.]+)% +(\d+)%$", said, re.MULTILINE) for name in ("grpo", "pods")
    }
    learned = {name: [float(number) for number in row.groups()] for name, row in rows.items() if row}
    assert all(first < last for first, last, _ in learned.values())
    assert learned["pods"][2] < learned["grpo"][2]  # groups whose rewards are all the same
    assert percent(said, "pods", 1) > percent(said, "base", 1) + 5
    assert "grpo: sharper" in said


def own_task(said: str) -> None:
    assert "bbdbf> bbbdf Verdict(status='wrong', score=0.0, reason='it is bbbdf')" in said
    learned = re.search(r"right while learning: (\d+)% -> (\d+)%", said)
    assert learned
    assert int(learned[1]) < int(learned[2])
    assert percent(said, "rl", 1) > percent(said, "base", 1) + 5


def densify_trainer(said: str) -> None:
    assert "top-k: a token moves the router for 2 of 8, 2 of 8 experts" in said
    assert "the same logits: True" in said
    assert "densified: a token moves the router for 8 of 8, 8 of 8 experts" in said
    losses = [float(loss) for loss in re.findall(r"'loss': '?([\d.]+)", said)]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 4
    assert "checkpoint: runs/densify and beside it the running means: routers.state" in said


def hf_densify(said: str) -> None:
    losses = [float(loss) for loss in re.findall(r"'loss': '?([\d.]+)", said)]
    assert len(losses) == 4
    assert losses == sorted(losses, reverse=True)
    assert "kept with the checkpoint: ('default', {'update': 'per_step'})" in said


def watch_training(said: str) -> None:
    shown = re.findall(r"^watch: step-000(?:200|400) against base: .*pass@16 ([\d.]+)% -> ([\d.]+)%", said, re.M)
    losses = [float(loss) for loss in re.findall(r"'loss': '?([\d.]+)", said)]
    assert len(shown) == 2
    assert all(float(now) < float(base) for base, now in shown)
    assert losses[-1] < losses[0]
    assert "reachlab report runs/watch-sums/base runs/watch-sums/step-000200 runs/watch-sums/step-000400" in said


NEEDS: dict[str, tuple[str, Callable[[str], None]]] = {
    "own_samples": ("", own_samples),
    "matrix_statistics": ("", matrix_statistics),
    "own_checkpoint": ("train", own_checkpoint),
    "rl_pods": ("train", rl_pods),
    "own_task": ("train", own_task),
    "densify_trainer": ("train", densify_trainer),
    "hf_densify": ("train", hf_densify),
    "watch_training": ("train", watch_training),
}
"""A script, the extra that it needs, and what is asked of what it prints."""
