"""Where a checkpoint lies, which files it is made of, and the hash that it is known by; nothing of it is loaded."""

from pathlib import Path
from typing import Literal

from reachlab.errors import NotFoundError, ReachlabError
from reachlab.hub import fetch, parse, weight_files
from reachlab.models.hashing import hash_files
from reachlab.moe.files import FILE as ROUTERS

Dtype = Literal["float32", "bfloat16", "float16"]

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
"""What prepares pictures for a model that sees."""
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
SMALL_FILES = (
    *("config.json", "generation_config.json", "tokenizer_config.json", "chat_template.jinja", "merges.txt"),
    *("special_tokens_map.json", "added_tokens.json"),
    *PROCESSOR_FILES,
    *TOKENIZER_FILES,
    ROUTERS,
)
"""What beside the weights decides a model's answers."""


def find_checkpoint(path: str | Path) -> Path:
    """The folder that holds the weights: `path` itself, or the final `model/` of the training run at `path`.

    Where there is no folder of that name, it may be a model of the hub, ORG/NAME[@REVISION], which is fetched. A run
    asks the hub once, and pins the commit (`pinning.py`).

    Raises:
        ReachlabError: no such folder, or no checkpoint in it; a model that the hub does not give.
    """
    folder = Path(path)
    if not folder.is_dir():
        if folder.exists():
            raise ReachlabError(f"{folder}: a file; name the folder it lies in")
        name = parse(str(path))
        if name is None:
            raise NotFoundError(f"{folder}: no such model folder")
        folder = fetch(name).folder
    for candidate in (folder, folder / "model"):
        if (candidate / "config.json").is_file():
            return candidate
    hint = ""
    if (folder / "problems.jsonl").is_file():
        hint = " (this is a run of samples, not a model)"
    elif (folder / "adapter_config.json").is_file():
        hint = f" (this is an adapter of PEFT, not a model: name what `reachlab merge {folder} --out FOLDER` makes)"
    elif (folder / "run.json").is_file():
        kept = " or name one of its checkpoints/" if (folder / "checkpoints").is_dir() else ""
        hint = f" (this training run has not finished: run its command again{kept})"
    raise ReachlabError(f"{folder}: no checkpoint here, config.json is missing{hint}")


def hash_model(path: str | Path, *, rehash: bool = False) -> str:
    """A hash of the weights, configuration and tokenizer: what a run's samples depend on, wherever the folder lies.

    That of large weights is remembered (`hashing.py`); `rehash` reads them all the same.
    """
    folder = find_checkpoint(path)
    files = [folder / name for name in SMALL_FILES if (folder / name).is_file()]
    return hash_files(folder, files + weight_files(folder), rehash=rehash)
