"""What `reachlab export` is told."""

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from reachlab.errors import ReachlabError
from reachlab.exports import FormatName


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Write a run's samples where other tools read them. What is exported imports again as the same run."""

    run: Positional[str]
    """Run folder: of samples, or of imported samples."""
    out: str
    """The file, e.g. base.jsonl, base.jsonl.gz (packed) or base.parquet; with --format eee a folder, such as a checkout
    of the datastore. An earlier export of the same run is replaced, another file never."""
    format: FormatName = "auto"
    """jsonl: a JSON object a line. parquet: the same columns, typed and smaller. eee: Every Eval Ever, a record of the
    run and a line a sample. auto goes by the name of --out."""
    model_id: str = ""
    """With eee: the model as DEVELOPER/NAME; default what the run says, if that is a name of the hub."""
    organization: str = "unknown"
    """With eee: who ran the evaluation."""
    relationship: Literal["first_party", "third_party", "collaborative", "other"] = "other"
    """With eee: who that is to the model's developer; first_party is the developer."""

    def __post_init__(self) -> None:
        if not self.out or "\0" in self.out:
            raise ReachlabError(f"--out {self.out!r}: name a file, e.g. base.jsonl")
        if self.model_id and (self.model_id.count("/") != 1 or not all(self.model_id.split("/"))):
            raise ReachlabError(f"--model-id {self.model_id}: DEVELOPER/NAME wanted, as in Qwen/Qwen3-8B")
        if self.format != "eee" and (self.model_id or self.organization != "unknown" or self.relationship != "other"):
            raise ReachlabError("--model-id, --organization and --relationship are for --format eee; add it")
        self.kind()

    def kind(self) -> str:
        """The format, told from the name of `out` where it is left open.

        Raises:
            ReachlabError: that name does not say it.
        """
        if self.format != "auto":
            return self.format
        if self.out.endswith((".jsonl", ".jsonl.gz")):
            return "jsonl"
        if self.out.endswith(".parquet"):
            return "parquet"
        raise ReachlabError(f"--out {self.out}: ends in neither .jsonl, .jsonl.gz nor .parquet; say --format")
