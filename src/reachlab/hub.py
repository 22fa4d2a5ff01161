"""A model of the Hugging Face hub, ``ORG/NAME`` or ``ORG/NAME@REVISION``, as a folder of this machine; files of a data
set.

The library `huggingface_hub` fetches, so HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE and HF_TOKEN mean what they mean
everywhere, what was fetched for another program is not fetched again, and a download that was cut off goes on: within
a file after a broken connection, file by file after a kill. A revision is resolved to its commit first, and everything
is read at that commit. A commit that is in the cache, whole, is taken from there without a word to the hub; without a
way to the hub, so is what the revision last was.

Fetched is what `transformers` reads: the files at the top of the repository, safetensors, or PyTorch's own where there
are none.
"""

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NoReturn

from reachlab.errors import ReachlabError
from reachlab.moe.files import FILE as ROUTERS
from reachlab.progress import track

NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[\w./-]+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
MAIN = "main"

SMALL = ("*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja", ROUTERS)
SAFE, PYTORCH = "*.safetensors", "pytorch_model*.bin"
LEFT_OUT = ("*/*", "consolidated*", "trainer_state.json")
"""Folders (`original/`, `onnx/`), the weights once more in their maker's format, and a log of training."""
NO_WEIGHTS = re.compile(r"(consolidated|adapter_|optimizer|scheduler).*")

TIMEOUT_S = 20.0
LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class HubName:
    """What somebody calls a model of the hub; `revision` is "" where nothing was said, which means `main`."""

    repo: str
    revision: str = ""

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}" if self.revision else self.repo


@dataclass(frozen=True)
class Snapshot:
    """A model as it was at one commit. `current` is false where the hub could not be asked what the revision is now."""

    folder: Path
    commit: str
    current: bool = True


def parse(name: str) -> HubName | None:
    """The name of a model of the hub, or None where it cannot be one."""
    match = NAME.fullmatch(name)
    if not match or "--" in match["repo"] or ".." in match["repo"] or match["repo"].endswith(".git"):
        return None
    return HubName(match["repo"], match["revision"] or "")


def commit_of(name: HubName) -> str:
    """The commit that a name means now, or "" where the hub does not say."""
    from huggingface_hub import HfApi

    if COMMIT.fullmatch(name.revision):
        return name.revision
    try:
        return str(HfApi().model_info(name.repo, revision=name.revision or MAIN, timeout=TIMEOUT_S).sha or "")
    except _failures():
        return ""


def fetch(name: HubName) -> Snapshot:
    """The model's folder, fetched where it is not here.

    Raises:
        ReachlabError: there is no such repository or revision, it may not be read, it holds no weights, or there is no
            way to the hub.
    """
    from huggingface_hub import HfApi, snapshot_download

    revision = name.revision or MAIN
    if COMMIT.fullmatch(revision) and (folder := _cached(name.repo, revision)):
        return Snapshot(folder, revision)
    try:
        info = HfApi().model_info(name.repo, revision=revision, files_metadata=True, timeout=TIMEOUT_S)
    except _failures() as error:
        if not _final(error) and (folder := _cached(name.repo, revision)):
            return Snapshot(folder, folder.name, current=False)
        refuse(error, str(name), "model")
    commit = str(info.sha)
    if folder := _cached(name.repo, commit):
        return Snapshot(folder, commit)
    sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or ()}
    weights = _weights(name, sizes)
    wanted = {file: size for file, size in sizes.items() if _matches(file, (*SMALL, weights), LEFT_OUT)}
    try:
        place = _place(f"models--{name.repo}") / "snapshots" / commit
        here = sum(size for file, size in wanted.items() if (place / file).is_file())
        with _shown(name.repo, sum(wanted.values()), here, place.parent.parent / "blobs"):
            snapshot = snapshot_download(
                name.repo, revision=commit, allow_patterns=[*SMALL, weights], ignore_patterns=list(LEFT_OUT)
            )
    except _failures() as error:
        refuse(error, str(name), "model")
    if revision != commit:
        _remember(name.repo, revision, commit)
    return Snapshot(Path(snapshot), commit)


def _weights(name: HubName, files: Iterable[str]) -> str:
    """The pattern of the weights to fetch.

    Raises:
        ReachlabError: there are none that could be loaded.
    """
    top = [file for file in files if "/" not in file]
    loadable = [file for file in top if not NO_WEIGHTS.fullmatch(file)]
    if "config.json" in top:
        for pattern in (SAFE, PYTORCH):
            if any(_matches(file, (pattern,)) for file in loadable):
                return pattern
    if "adapter_config.json" in top:
        raise ReachlabError(
            f"{name}: holds an adapter of PEFT and no model: merge it into its base (merge_and_unload), and name the "
            "folder that you save"
        )
    if any(file.endswith(".gguf") for file in files):
        raise ReachlabError(
            f"{name}: holds GGUF files only, which are not loaded here: name the repository that they were made from"
        )
    what = "no weights (*.safetensors)" if "config.json" in top else "no config.json, so no model of transformers"
    raise ReachlabError(f"{name}: {what} in this repository of the hub")


def _cached(repo: str, revision: str) -> Path | None:
    """What the cache has of a revision, where it is whole."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    for weights in (SAFE, PYTORCH):
        try:
            folder = Path(
                snapshot_download(
                    repo,
                    revision=revision,
                    local_files_only=True,
                    allow_patterns=[*SMALL, weights],
                    ignore_patterns=list(LEFT_OUT),
                )
            )
        except LocalEntryNotFoundError:
            return None
        if not (folder / "config.json").is_file():
            return None
        here = [file.name for file in weight_files(folder) if not NO_WEIGHTS.fullmatch(file.name)]
        if any(_matches(file, (weights,)) for file in here):
            return folder if _has_all_shards(folder, weights) else None
    return None


def weight_files(folder: Path) -> list[Path]:
    """The files that weights are loaded from. The same weights once more, as PyTorch's own or in one file for another
    program, are not among them, so it does not matter whether somebody fetched them too."""
    files = sorted(folder.glob("*.safetensors"))
    own = [file for file in files if file.name.startswith("model")]
    if own:
        return [file for file in files if not file.name.startswith("consolidated")]
    return files or sorted(folder.glob("pytorch_model*.bin"))


def _has_all_shards(folder: Path, weights: str) -> bool:
    """Whether the shards that the index names are there; what other programs fetched is listed nowhere else."""
    index = folder / ("model.safetensors.index.json" if weights == SAFE else "pytorch_model.bin.index.json")
    if not index.is_file():
        return True
    try:
        shards = set(json.loads(index.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, AttributeError):
        return False
    return all((folder / shard).is_file() for shard in shards)


def _remember(repo: str, revision: str, commit: str) -> None:
    """Note in the cache what a branch or tag was, for a day without the hub; as `snapshot_download` does for one that
    it resolves itself."""
    place = _place(f"models--{repo}") / "refs" / revision
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".{place.name}.{threading.get_native_id()}.tmp")
        temporary.write_text(commit)
        temporary.replace(place)
    except OSError:
        return  # a cache that cannot be written serves as it is


def _place(folder: str) -> Path:
    """Where the cache keeps a repository: ``models--ORG--NAME``."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / folder.replace("/", "--")


@contextmanager
def _shown(label: str, total: int, here: int, blobs: Path) -> Iterator[None]:
    """Show how far a download is, by what lies in the cache: also of what several threads, or Xet, put there."""
    before = _bytes(blobs.glob("*"))
    ended = threading.Event()
    with track(f"fetch {label} (MB)", _mb(total), _mb(here)) as advance:

        def look() -> None:
            counted = _mb(here)
            while not ended.wait(LOOK_EVERY_S):
                now = _mb(min(here + max(0, _bytes(blobs.glob("*")) - before), total))
                if now > counted:
                    advance(now - counted)
                    counted = now
            shown_MB[0] = counted

        shown_MB = [_mb(here)]
        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
        advance(_mb(total) - shown_MB[0])


def _bytes(files: Iterable[Path]) -> int:
    total = 0
    for file in files:
        try:
            total += file.stat().st_size
        except FileNotFoundError:
            continue  # finished, and renamed
    return total


def _mb(size: int) -> int:
    return -(-size // 1_000_000)


def _matches(file: str, patterns: Iterable[str], left_out: Iterable[str] = ()) -> bool:
    return any(fnmatch(file, p) for p in patterns) and not any(fnmatch(file, p) for p in left_out)


def _failures() -> tuple[type[Exception], ...]:
    """What the library raises where the hub refuses or cannot be reached."""
    from huggingface_hub import errors

    of_the_client: type[Exception] = errors.HfHubHTTPError.__bases__[0]
    return (of_the_client, OSError, errors.HFValidationError)


def _final(error: Exception) -> bool:
    """Whether the hub has answered, and the answer is no."""
    from huggingface_hub import errors

    no = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError)
    return isinstance(error, no) or _status(error) in (401, 403, 404)


def _status(error: Exception) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)


def refuse(error: Exception, name: str, kind: str) -> NoReturn:
    """Say in a line why the hub gives nothing; `kind` is what was asked for.

    Raises:
        ReachlabError: always.
    """
    from huggingface_hub import constants, errors

    site, local = constants.ENDPOINT, "folder" if kind == "model" else "file"
    here = "no such folder here, and " if kind == "model" else ""
    reasons: list[tuple[Callable[[], bool], str]] = [
        (
            lambda: isinstance(error, errors.GatedRepoError) or _status(error) == 403,
            f"access is granted to those who accept its licence: do so at {site}, and put a token of that account into "
            "the environment variable HF_TOKEN",
        ),
        (lambda: isinstance(error, errors.RevisionNotFoundError), "the hub has no such revision of it"),
        (lambda: isinstance(error, errors.EntryNotFoundError) and _status(error) == 404, "it has no such file"),
        (
            lambda: (
                isinstance(error, (errors.RepositoryNotFoundError, errors.HFValidationError)) or _status(error) == 404
            ),
            f"{here}no such {kind} on the hub ({site}); a private one needs a token in the variable HF_TOKEN",
        ),
        (
            lambda: _status(error) == 401,
            "the hub refuses the token in the environment variable HF_TOKEN, or the one that `hf auth login` stored",
        ),
        (
            lambda: isinstance(error, errors.OfflineModeIsEnabled) or constants.HF_HUB_OFFLINE,
            f"not in the cache, or not whole, and HF_HUB_OFFLINE is set: unset it, or name a {local}",
        ),
    ]
    why = next((says for holds, says in reasons if holds()), "")
    if not why:
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        why = (
            f"{here}the hub ({site}) cannot be reached ({detail}); run the command again to go on "
            f"with a download, or name a {local}, which needs no network"
        )
    raise ReachlabError(f"{name}: {why}") from error


def fetch_file(repo: str, revision: str, file: str) -> Path:
    """One file of a data set of the hub.

    Raises:
        ReachlabError: as of `fetch`.
    """
    from huggingface_hub import hf_hub_download

    given: dict[str, Any] = {"repo_type": "dataset", "revision": revision or None}
    try:
        size = _to_fetch(repo, file, given)
        if not size:
            return Path(hf_hub_download(repo, file, **given))
        with _shown(file, size, 0, _place(f"datasets--{repo}") / "blobs"):
            return Path(hf_hub_download(repo, file, **given))
    except _failures() as error:
        refuse(error, f"{repo}{'@' * bool(revision)}{revision}/{file}", "data set")


def _to_fetch(repo: str, file: str, given: dict[str, Any]) -> int:
    """Bytes of a file that is not in the cache; 0 also where the hub does not say, which the download then tells."""
    from huggingface_hub import hf_hub_download

    try:
        plan = hf_hub_download(repo, file, dry_run=True, **given)
    except _failures():
        return 0
    return int(plan.file_size or 0) if plan.will_download else 0
