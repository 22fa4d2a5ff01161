"""A run of samples, read as it lies on the disk: each question is asked of the folder when it is asked here.

So a run that is still being drawn says what it holds by now, and nothing of a large one lies in memory unless a frame
or a list of it is made.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reachlab.errors import InvalidArgumentError, NotFoundError
from reachlab.library.border import border
from reachlab.library.given import path_of
from reachlab.library.html import facts
from reachlab.library.keywords import converted
from reachlab.runs import RunFolder
from reachlab.types import Problem, Sample, Status

if TYPE_CHECKING:
    import pandas as pd

    from reachlab.boundary.outcomes import Outcomes
    from reachlab.library.passk import PassAtK
    from reachlab.store.samples import SampleStore


class Run:
    """A run of samples: its problems, its samples, its pass@k, and where it came from.

    Parameters
    ----------
    path : str or path
        The run's folder, or a URL of one (``s3://...``): what ``--out`` or ``out`` named.

    Raises
    ------
    ReachlabError
        And FileNotFoundError: there is no run.

    Examples
    --------
    >>> import reachlab as rl
    >>> run = rl.Run("runs/demo/samples/base")  # doctest: +SKIP
    >>> len(run), run.verdicts, run.pass_at_k(8)  # doctest: +SKIP
    """

    def __init__(self, path: "str | os.PathLike[str] | Run"):
        with border():
            self._folder = RunFolder(path_of(path, "path"))
            if not self._folder.exists("run.json"):
                raise NotFoundError(f"{self._folder.url}: not a run folder (no run.json)")

    # -- what it is -------------------------------------------------------------------------------------------------

    def __fspath__(self) -> str:
        return self._folder.url

    @property
    def path(self) -> str:
        """The folder, as it was named."""
        return self._folder.url

    @property
    def name(self) -> str:
        """The folder's own name, which stands for the run in tables."""
        return self._folder.name

    @property
    def document(self) -> dict[str, Any]:
        """All of `run.json`: kind, configuration, facts, provenance."""
        with border():
            return self._folder.read_json("run.json")

    @property
    def kind(self) -> str:
        """What made it: sample, import, reference."""
        return str(self.document.get("kind", ""))

    @property
    def config(self) -> dict[str, Any]:
        """Everything that its result depends on."""
        return dict(self.document.get("config", {}))

    @property
    def lineage(self) -> dict[str, Any]:
        """Where it came from: the model and its hash, the training runs behind it (the latest first), the engines that
        drew, the task, how it was asked and decoded, the commit and the versions of the code, and the command that
        draws it again (None, where `why` says why not)."""
        from reachlab.commands.again import Known, run_again
        from reachlab.reporting.lineage import ancestors
        from reachlab.reporting.making import drawn_by

        with border():
            document = self._folder.read_json("run.json")
            config, known = document.get("config", {}), document.get("provenance", {})
            trained = ancestors(document, self._folder)
            drawn = drawn_by(self._store)
            again = run_again(document, self._folder.url, Known(drawn=drawn))
        return {
            "kind": document.get("kind"),
            "model": document.get("facts", {}).get("model_path"),
            "model_hash": config.get("model"),
            "trained_by": [training.folder.url for training in trained],
            "engines": drawn,
            "task": config.get("task"),
            "asked": config.get("ask"),
            "decoding": config.get("decoding"),
            "seed": config.get("seed"),
            "commit": known.get("commit"),
            "versions": known.get("versions", {}),
            "command": ("reachlab", *again.words) if again.words else None,
            "why": again.why,
        }

    # -- what it holds ----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many samples it holds by now."""
        with border():
            return len(self._store.read_encoded([]))

    def __iter__(self) -> Iterator[Sample]:
        return self.samples()

    def problems(self) -> list[Problem]:
        """Its problems, in order: ``id``, ``prompt``, ``answer``, ``images``, ``metadata``."""
        with border():
            return self._store.problems()

    def samples(self, problem: str | None = None, *, verdict: Status | None = None) -> Iterator[Sample]:
        """Its samples one by one, each once, part after part: never all in memory.

        Parameters
        ----------
        problem : str, optional
            The id of a problem: its samples alone.
        verdict : {'correct', 'wrong', 'unscored'}, optional
            Those with this verdict alone.
        """
        with border():
            verdict = None if verdict is None else converted(verdict, Status, "samples: verdict")
            store = self._store
            if problem is not None and problem not in {known.id for known in store.problems()}:
                raise InvalidArgumentError(f"{self._folder.url}: there is no problem {problem!r}")
        return self._samples(store, problem, verdict)

    def _samples(self, store: "SampleStore", problem: str | None, verdict: Status | None) -> Iterator[Sample]:
        from reachlab.store.columns import read_sample

        seen: dict[str, int] = {}  # of each problem a bit a sample
        for part in store.parts():
            with border():
                table = store.read_part(part)
            for batch in table.to_batches(1024):
                for row in batch.to_pylist():
                    known, bit = seen.get(row["problem_id"], 0), 1 << row["sample"]
                    if known & bit or problem not in (None, row["problem_id"]):
                        continue
                    seen[row["problem_id"]] = known | bit
                    if verdict in (None, row["verdict"]):
                        yield read_sample(row)

    def to_frame(self, *, problems: bool = False) -> "pd.DataFrame":
        """Its samples as a pandas frame, a row a sample: as of `reachlab.load_run`."""
        from reachlab.store.frame import load_run

        with border():
            self._store  # noqa: B018 - says what a training run is
            return load_run(self._folder.url, problems=problems)

    @property
    def problem_ids(self) -> tuple[str, ...]:
        """Its problems' ids, in order: (P,)."""
        return tuple(problem.id for problem in self.problems())

    @property
    def correct_P(self) -> NDArray[np.int64]:  # noqa: N802 - an axis
        """How many samples of each problem are right."""
        return self.outcomes().c_P

    @property
    def drawn_P(self) -> NDArray[np.int64]:  # noqa: N802 - an axis
        """How many samples of each problem were scored: right and wrong ones."""
        return self.outcomes().n_P

    @property
    def unscored_P(self) -> NDArray[np.int64]:  # noqa: N802 - an axis
        """How many samples of each problem could not be scored; they are not wrong."""
        return self.outcomes().unscored_P

    @property
    def verdicts(self) -> dict[str, int]:
        """How many samples have each verdict."""
        import pyarrow.compute as pc

        with border():
            column = self._store.read_encoded(["verdict"])["verdict"]
            counts = (
                {row["values"]: row["counts"] for row in pc.value_counts(column).to_pylist()} if len(column) else {}
            )
        return {status: int(counts.get(status, 0)) for status in ("correct", "wrong", "unscored")}

    def outcomes(self) -> "Outcomes":
        """What it did on each problem, as the statistics take it: `n_P` scored, `c_P` right, `unscored_P`."""
        with border():
            return self._store.outcomes()

    def pass_at_k(self, k: Any = None, **options: Any) -> "PassAtK":
        """Its pass@k, on the problems with a scored sample; `reachlab.pass_at_k` has the options (`level`, `over`...).

        Parameters
        ----------
        k : int or list of int, optional
            Values of k; default powers of two up to the fewest samples of a problem, and that.
        """
        from reachlab.library.passk import of_outcomes

        with border():
            return of_outcomes(self._store.outcomes(), k, **options)

    def to_dict(self) -> dict[str, Any]:
        """What it is and holds, without the samples, for JSON."""
        return {**self._summary(), "config": self.config, "lineage": self.lineage}

    # -- shown ------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._folder.url!r})"

    def _repr_html_(self) -> str:
        return facts({name: value for name, value in self._summary().items() if value not in (None, "")})

    def _summary(self) -> dict[str, Any]:
        document = self.document
        counted = self.verdicts
        samples = sum(counted.values())
        return {
            "run": self._folder.url,
            "kind": document.get("kind"),
            "model": document.get("facts", {}).get("model_path"),
            "task": document.get("config", {}).get("task"),
            "problems": len(self.problems()),
            "samples": samples,
            **counted,
            "pass@1": float(self.pass_at_k(1)) if counted["correct"] + counted["wrong"] else None,
        }

    @property
    def _store(self) -> "SampleStore":
        """Raises: InvalidArgumentError: a run of another kind."""
        from reachlab.store.samples import SampleStore

        if not self._folder.exists("problems.jsonl"):
            kind = self._folder.read_json("run.json").get("kind", "another")
            hint = "; Training(...) reads it" if kind in ("pretrain", "distill", "rl", "watch") else ""
            raise InvalidArgumentError(f"{self._folder.url}: a run of kind {kind}, which holds no samples{hint}")
        return SampleStore(self._folder)
