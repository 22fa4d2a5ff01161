"""What `reachlab import` is told. What is left open is found by what stands in the file (`formats/`)."""

import math
from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from reachlab.errors import ReachlabError
from reachlab.limits import check_numbers


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """Samples drawn elsewhere. Formats are recognised, and fields found; what you name comes first."""

    file: Positional[tuple[str, ...]]
    """JSON lines, JSON, CSV or TSV (.gz too), Parquet, or an inspect_ai .eval; several, or a pattern with * in quotes,
    are one run where they are samples of the same problems."""
    out: str | None = None
    """Folder of the run, or of the runs where the file holds several; default runs/ and the file's name."""
    task: str | None = None
    """Take problems and verifier from this task; default the file's own questions, judged as math."""
    verdicts: Literal["judge", "file"] = "judge"
    """judge: our verifier judges, and the file's labels are compared with it. file: its labels are the verdicts."""
    threshold: float | None = None
    """A label that is a number is right from here on; default 1 is right, 0 and -1 are wrong, others no label."""
    format: str = ""
    """The format's name, where it is not recognised; docs/formats.md has them."""
    filter: str = ""
    """Of a log of lm-evaluation-harness with several filters, the one whose label counts."""
    text: str | None = None
    """Field of the answers: a text or a list of texts. Dotted paths go into objects and lists (choices.0.text);
    `*.solution` makes a run of each match."""
    question: str | None = None
    """Field of the question."""
    answer: str | None = None
    """Field of the right answer, where no --task knows it."""
    id: str | None = None
    """Field of the problem's id; default the format's, else the question's number in the file, from 0."""
    index: str | None = None
    """Field of a sample's number within its problem; default the format's, else the order in the files."""
    label: str | None = None
    """Field that says whether the answer is right."""
    skip_bad: bool = False
    """Leave out rows that cannot be read, count and list them; default stop at the first."""
    split: Literal["train", "test", "all", "auto"] = "auto"
    """Which problems of --task the samples answer; auto is test for a generated task and all for a file."""
    problems: int | None = None
    """How many problems of --task were asked; default all of a file, 200 of a generated task."""
    problem_seed: int = 0
    """The seed that listed the problems of a generated --task."""
    verify_timeout: float = 5.0
    """CPU seconds a verifier may take for one answer."""
    workers: int | None = None
    """Processes that judge; default one a core."""

    def __post_init__(self) -> None:
        check_numbers(self, positive=("verify_timeout",), counts=("workers", "problems"))
        for name in ("out", "task"):
            if getattr(self, name) == "":
                raise ReachlabError(f"--{name} is empty; leave it out, or name one")
        if self.task is None and (self.problems is not None or self.split != "auto" or self.problem_seed):
            raise ReachlabError(
                "--problems, --split and --problem-seed say which problems of a --task were asked; name one"
            )
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise ReachlabError(f"--threshold {self.threshold}: a number wanted")
        for name in ("text", "question", "answer", "id", "index", "label"):
            if (getattr(self, name) or "").count("*") > 1:
                raise ReachlabError(f"--{name} {getattr(self, name)}: one * at most")
