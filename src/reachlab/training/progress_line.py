"""What the terminal shows of a step: what a person judges a run by, not what is differentiated.

RL's loss is 0 up to rounding whatever is learned; accuracy, length, truncation and the KL to the start say how it goes.
"""

from collections.abc import Mapping

DOUBTS = ("truncated_right", "contradictions")
"""Counts that should be 0: shown where they are not."""


def progress_line(metrics: Mapping[str, float]) -> dict[str, float | int | str]:
    """Names and values for the line of progress."""
    scalars: dict[str, float | int | str] = {}
    if "accuracy" in metrics:
        scalars["accuracy"] = _percent(metrics["accuracy"])
        if metrics["reward"] != metrics["accuracy"]:
            scalars["reward"] = metrics["reward"]
        scalars |= {"tokens": round(metrics["answer_tokens"]), "cut": _percent(metrics["truncated"])}
        if "kl_start" in metrics:
            scalars["KL"] = metrics["kl_start"]
        if metrics.get("groups_partial"):
            scalars["partial credit alone"] = _percent(metrics["groups_partial"])
    else:
        scalars["nats a token"] = metrics["loss"]
    if "eval_pass1" in metrics:
        scalars["held-out"] = _percent(metrics["eval_pass1"])
    if "val_loss" in metrics:
        scalars["held-out"] = metrics["val_loss"]
    return scalars | {name: int(metrics[name]) for name in DOUBTS if metrics.get(name)}


def _percent(share: float) -> str:
    return f"{share:.1%}"
