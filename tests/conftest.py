"""Tiny models for all rooms. One thread, so that tests may run side by side; set before torch is imported."""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"  # no test asks a hub, nor waits for one

import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

# Nothing is asserted about speed, so an example may take its time; and two runs of the suite look at the same examples.
# Others: --hypothesis-profile=explore
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile("steady")

if TYPE_CHECKING:
    from tests.small_hub import SmallHub
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Command = Callable[..., tuple[int, str, str]]
"""command(*words): exit code, what it printed, what it said on stderr."""


@pytest.fixture(autouse=True)
def _same_chance() -> None:
    """What a test draws without a generator of its own does not depend on which tests ran before it."""
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="module")
def _no_processes_from_before() -> Iterator[None]:
    """accelerate keeps what a `Trainer` found of processes while Python runs; forked processes would believe it."""
    yield
    if state := sys.modules.get("accelerate.state"):
        state.AcceleratorState._reset_state(reset_partial_state=True)
        state.GradientState._reset_state()


@pytest.fixture
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers or imports as a plugin is forgotten after it, and so are the packages it makes."""
    from reachlab.choices import installed
    from reachlab.plugins import ENVIRONMENT, FILES
    from reachlab.registering import LISTS, list_of

    lists = [list_of(kind) for kind in LISTS]
    before, modules = [dict(one.registered) for one in lists], set(sys.modules)
    monkeypatch.setenv(ENVIRONMENT, "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    installed.cache_clear()
    yield
    for one, registered in zip(lists, before, strict=True):
        one.registered.clear()
        one.registered.update(registered)
    for name in set(sys.modules) - modules:
        if name.startswith(FILES):
            del sys.modules[name]
    installed.cache_clear()


@pytest.fixture(scope="session")
def tokenizer() -> "PreTrainedTokenizerBase":
    """A token a character."""
    from tests.tiny import tiny_tokenizer

    return tiny_tokenizer()


@pytest.fixture(scope="session")
def qwen3() -> "PreTrainedModel":
    """A tiny dense model; leave its weights as they are."""
    from tests.tiny import tiny_model

    return tiny_model("qwen3")


@pytest.fixture(scope="session")
def olmoe() -> "PreTrainedModel":
    """A tiny mixture of experts; leave its weights as they are."""
    from tests.tiny import tiny_model

    return tiny_model("olmoe")


@pytest.fixture(scope="session")
def checkpoint(
    tmp_path_factory: pytest.TempPathFactory, qwen3: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase"
) -> Path:
    """The dense model on disk; leave the folder as it is."""
    from reachlab.models.checkpoint import save_model

    folder = tmp_path_factory.mktemp("checkpoints") / "qwen3"
    save_model(folder, qwen3, tokenizer)
    return folder


@pytest.fixture(scope="session")
def moe_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, olmoe: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase"
) -> Path:
    """The mixture of experts on disk; leave the folder as it is."""
    from reachlab.models.checkpoint import save_model

    folder = tmp_path_factory.mktemp("checkpoints") / "olmoe"
    save_model(folder, olmoe, tokenizer)
    return folder


@pytest.fixture(scope="session")
def real() -> Path:
    """SmolLM2-135M-Instruct as an ordinary checkpoint; leave the folder as it is."""
    import real_model

    if not real_model.ready():
        pytest.skip("the real model is not here: run `make real-model`")
    return real_model.FOLDER


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path) -> "Iterator[SmallHub]":
    """A hub of our own with the tiny model as `tiny/model`, and a cache of its own; for this process."""
    from huggingface_hub import constants
    from tests.small_hub import OLD, Repo, small_hub

    with small_hub() as found:
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        template = found.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        found.models["tiny/model"] = Repo({OLD: found.files(checkpoint)}, {"main": OLD})
        yield found


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process, through the same `main` as a user's."""
    from reachlab.cli import main

    def run(*words: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["reachlab", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Debian's browser, for the tests with the marker `browser`."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here")
    with playwright.sync_playwright() as started:
        program = shutil.which("chromium")
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
