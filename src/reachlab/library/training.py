"""Training: from nothing, on a teacher's answers, by RL; and what comes of it."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reachlab.errors import InvalidArgumentError, NotFoundError
from reachlab.library.border import border, remark
from reachlab.library.functions import takes
from reachlab.library.given import model_of, out_of, path_of, run_folder
from reachlab.library.html import facts
from reachlab.library.keywords import build
from reachlab.models.config import MergeConfig
from reachlab.runs import RunFolder
from reachlab.training.config import DistillConfig, PretrainConfig
from reachlab.training.rl_config import RLConfig

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

KINDS = ("pretrain", "distill", "rl", "watch")
CURVES = ("reward", "accuracy", "eval_pass1", "loss", "val_loss")
"""What is drawn of a training run where nothing is named, as far as it was measured."""


class Training:
    """A training run: the model that came of it, and what was measured on the way.

    It stands for its model wherever one is wanted: ``rl.sample(training, task="countdown", out="runs/s")``.

    Parameters
    ----------
    path : str or path
        The run's folder.
    """

    def __init__(self, path: Any):
        with border():
            self._folder = RunFolder(path_of(path, "path"))
            if not self._folder.exists("run.json"):
                raise NotFoundError(f"{self._folder.url}: not a run folder (no run.json)")
            self.document: dict[str, Any] = self._folder.read_json("run.json")
            if self.document.get("kind") not in KINDS:
                raise InvalidArgumentError(f"{self._folder.url}: no training run; Run(...) reads samples")

    def __fspath__(self) -> str:
        return self._folder.url

    def __repr__(self) -> str:
        return f"Training({self._folder.url!r})"

    @property
    def path(self) -> str:
        """The run's folder."""
        return self._folder.url

    @property
    def kind(self) -> str:
        """pretrain, distill, rl, or watch: another tool's, with our callback."""
        return str(self.document["kind"])

    @property
    def config(self) -> dict[str, Any]:
        """Everything that the weights depend on, settled."""
        return dict(self.document.get("config", {}))

    @property
    def finished(self) -> bool:
        """Whether the final model is there."""
        return bool(self._folder.exists("model/config.json"))

    @property
    def model(self) -> Path:
        """The folder of the model, in transformers' format."""
        if not self.finished:
            raise NotFoundError(f"{self._folder.url}: has not finished; the same call goes on with it")
        return Path(self._folder.file("model"))

    @property
    def metrics(self) -> "pd.DataFrame":
        """What was measured, a row a step."""
        import pandas as pd

        from reachlab.reporting.lineage import Ancestor

        with border():
            rows = Ancestor(self._folder, self.document).rows
        return pd.DataFrame(rows)

    def to_frame(self) -> "pd.DataFrame":
        """The same as `metrics`."""
        return self.metrics

    def to_dict(self) -> dict[str, Any]:
        """What it is, and its metrics, for JSON."""
        with border():
            rows = self._folder.metrics(foreign=True)
        return {"run": self._folder.url, **self.document, "finished": self.finished, "metrics": rows}

    def plot(self, *names: str) -> "go.Figure":
        """Curves over steps.

        Parameters
        ----------
        names : str
            Columns of `metrics`; default reward, accuracy, loss and, held out, eval_pass1 and val_loss, as far as they
            were measured.
        """
        import plotly.graph_objects as go

        metrics = self.metrics
        chosen = names or [name for name in CURVES if name in metrics] or [*metrics.columns.drop("step")[:1]]
        with border():
            if missing := next((name for name in chosen if name not in metrics), None):
                raise InvalidArgumentError(f"{missing!r} was not measured; there are {', '.join(map(str, metrics))}")
        figure = go.Figure()
        for name in chosen:
            there = metrics[["step", name]].dropna()
            figure.add_scatter(x=there["step"], y=there[name], name=name, mode="lines+markers")
        figure.update_layout(xaxis_title="step", template="plotly_white", hovermode="x unified")
        return figure

    def _repr_html_(self) -> str:
        metrics = self.metrics
        # Held-out curves have a value every few steps: the last one that was measured.
        measured = {name: metrics[name].dropna() for name in ("step", *CURVES) if name in metrics}
        last = {name: found.iloc[-1] for name, found in measured.items() if len(found)}
        said = {"training": self._folder.url, "kind": self.kind, "finished": self.finished}
        said["model"] = str(self.model) if self.finished else "not yet"
        return facts({**said, **last})


@takes(PretrainConfig)
def pretrain(data: str, *, out: Any = None, **options: Any) -> Training:
    """Train a new model from nothing, on text or on a task's problems as they are attempted.

    The same call again goes on with a run that was interrupted, and returns one that has finished.

    Returns
    -------
    Training
        With the folder of its `model` and its `metrics`.

    Raises
    ------
    ReachlabError
        And ValueError: an option that cannot be, or another run in `out`. And OSError: text that is not there.

    Examples
    --------
    >>> import reachlab as rl
    >>> rl.pretrain("countdown", hidden=48, layers=2, steps=100, out="runs/tiny").model  # doctest: +SKIP
    """
    from reachlab.training.pretrain import pretrain

    given = {**options, "data": data}
    made = functools.partial(build, PretrainConfig, function="pretrain", command="pretrain")
    folder = run_folder(out, "pretrain", "", lambda: made({**given, "out": "-"}))
    config: PretrainConfig = made({**given, "out": folder})
    pretrain(config, remark)
    return Training(folder)


@takes(DistillConfig)
def distill(model: Any, teacher: Any, task: str, *, out: Any = None, **options: Any) -> Training:
    """Train a model on a teacher's right answers.

    The same call again goes on with a run that was interrupted, and returns one that has finished.

    Parameters
    ----------
    model : str, path, Training, or (model, tokenizer)
        The checkpoint to start from: as of `sample`.
    teacher : str, path or Run
        "solver" (the task's own), or a run of samples drawn from a teacher model: its correct samples are learned.

    Returns
    -------
    Training
        With the folder of its `model` and its `metrics`.

    Raises
    ------
    ReachlabError
        And ValueError: an option that cannot be, or another run in `out`. And OSError: a model or run not there.

    Examples
    --------
    >>> import reachlab as rl
    >>> rl.distill("runs/base", "solver", "countdown", steps=50, out="runs/taught")  # doctest: +SKIP
    """
    from reachlab.training.distill import distill

    given = {**options, "teacher": path_of(teacher, "teacher"), "task": task}
    made = functools.partial(build, DistillConfig, function="distill", command="distill")
    # Options that cannot be are refused before a model in memory is saved.
    asked = made({**given, "model": "-", "out": "-"})
    folder = run_folder(out, "distill", model, lambda: asked)
    config: DistillConfig = made({**given, "model": model_of(model, folder), "out": folder})
    distill(config, remark)
    return Training(folder)


@takes(RLConfig)
def train_rl(
    model: Any, task: str, *, rollouts: int = 0, keep: int = 0, rule: str | None = None, out: Any = None, **options: Any
) -> Training:
    """Train a model by reinforcement learning on a task's verdicts.

    The same call again goes on with a run that was interrupted, and returns one that has finished.

    Parameters
    ----------
    model : str, path, Training, or (model, tokenizer)
        The checkpoint to start from: as of `sample`.
    rule : {'none', 'max_variance', 'max_reward', 'random', 'percentile'}, optional
        Which rollouts of a problem are kept. Default none, and with `keep` max_variance (PODS).
    out : str or path
        The run's folder; the model ends up in its model/. Default one below runs/ that the same call finds again.

    Returns
    -------
    Training
        With the folder of its `model` and its `metrics`.

    Raises
    ------
    ReachlabError
        And ValueError: an option that cannot be, or another run in `out`. And OSError: a model that is not there.

    Examples
    --------
    >>> import reachlab as rl
    >>> rl.train_rl("runs/base", "countdown", rollouts=64, keep=16, out="runs/pods")  # doctest: +SKIP
    """
    from reachlab.training.rl import train_rl

    given = {**options, "task": task, "rollouts": rollouts, "keep": keep}
    given["rule"] = rule or ("max_variance" if keep else None)
    made = functools.partial(build, RLConfig, function="train_rl", command="rl")
    asked = made({**given, "model": "-", "out": "-"})
    folder = run_folder(out, "train_rl", model, lambda: asked)
    config: RLConfig = made({**given, "model": model_of(model, folder), "out": folder})
    train_rl(config, remark)
    return Training(folder)


@takes(MergeConfig)
def merge(adapter: Any, *, out: Any = None, base: Any = "") -> Path:
    """Put a LoRA, or another adapter of PEFT, into its base: a checkpoint that everything loads.

    Parameters
    ----------
    adapter : str or path
        Folder of an adapter, as PEFT saves it.
    out : str or path
        Folder of the merged checkpoint; needed.

    Returns
    -------
    Path
        The folder of the merged checkpoint.

    Raises
    ------
    ReachlabError
        And ValueError: an adapter that cannot be merged, or a folder that is in use. And OSError: no such folder.
    """
    from reachlab.models.merging import merge_adapter

    given = {"adapter": path_of(adapter, "adapter"), "base": base, "out": out_of(out, "merge", "models/merged")}
    config: MergeConfig = build(MergeConfig, given, function="merge", command="merge")
    return Path(merge_adapter(config.adapter, config.out, config.base))
