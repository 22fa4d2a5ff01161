"""Packages that a plain install goes without: which extra brings each, and the one error that says so.

`pip install reachlab` reads, judges and compares samples. What trains, draws or serves needs more, which comes in
extras, ``pip install 'reachlab[train]'``. An import that fails for want of such a package is turned into one line where
it reaches a user: at the command line's top, in a room's list of choices, in the library's functions. A module that is
in no extra is a defect, and keeps its traceback. Work that takes long asks first (`need`).

docs/install.md says what each extra weighs; a test holds this list against pyproject.toml.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from reachlab.errors import ReachlabError

EXTRAS: dict[str, tuple[str, ...]] = {
    "data": ("datasets", "huggingface_hub"),
    "train": ("torch", "transformers", "tokenizers", "safetensors", "accelerate", "huggingface_hub"),
    "fast": ("numba",),
    "gym": ("reasoning_gym",),
    "serve": ("starlette", "uvicorn"),
    "openai": ("openai",),
    "ray": ("ray",),
    "lora": ("peft",),
    "trl": ("trl",),
    "track": ("tensorboard", "wandb", "trackio"),
    "vision": ("torchvision", "num2words"),
}
"""Packages by the extra that brings them, under the names they are imported by."""

THIS = "this"
"""What is said to need a package where nobody has said it better."""

ELSEWHERE = {
    "vllm": "which wants an environment of its own: docs/engines.md says how to make one",
    "verl": "which wants an environment of its own: docs/verl.md says how to make one",
}
"""Packages that no extra brings, and what to do about them."""


class MissingPackageError(ReachlabError, ImportError):
    """A package is not installed; `name` is what it is imported by, the message says which extra brings it."""


def extra_of(package: str) -> str | None:
    """The extra that brings a package.

    Example:
        >>> extra_of("torch"), extra_of("numpy")
        ('train', None)
    """
    return next((extra for extra, packages in EXTRAS.items() if package in packages), None)


def missing(package: str, what: str = THIS, extra: str = "") -> MissingPackageError:
    """The error that says what needs a package and how to get it.

    Args:
        package: under the name it is imported by.
        what: what needs it, as the subject of a sentence.
        extra: the one to name, where several bring it.
    """
    chosen = extra or extra_of(package)
    where = f"which is in reachlab[{chosen}]: pip install 'reachlab[{chosen}]'" if chosen else ELSEWHERE[package]
    return MissingPackageError(f"{what} needs {package}, {where}", name=package)


def is_installed(package: str) -> bool:
    """Whether an import would find it; it is not imported, and may still be broken. A folder of that name, beside the
    user's own work, is no package, though Python would import it as one."""
    if package in sys.modules:
        return sys.modules[package] is not None
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):  # a finder that refuses it
        return False
    return spec is not None and spec.origin is not None


def need(*packages: str, what: str = THIS, extra: str = "") -> None:
    """See that packages are there, before work begins that would miss them at its end. They are not imported.

    Raises:
        MissingPackageError: the first that is not.
    """
    for package in packages:
        if not is_installed(package):
            raise missing(package, what, extra)


@contextmanager
def naming_extras(what: str = THIS, extra: str = "") -> Iterator[None]:
    """Turn an import that fails inside for want of an extra's package into the error that names the extra. Also a
    decorator: ``@naming_extras("merging")``. One inside another has the word, unless it could only say "this".

    Raises:
        MissingPackageError: in place of the ModuleNotFoundError.
    """
    try:
        yield
    except MissingPackageError as error:
        if what == THIS or not str(error).startswith(f"{THIS} needs"):
            raise
        raise missing(str(error.name), what, extra) from error
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        known = package in ELSEWHERE or extra_of(package) is not None
        if not known or is_installed(package):  # a defect; or a part that an installed one of another version lacks
            raise
        raise missing(package, what, extra) from error
