"""The command that says what this installation can do."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.output import print_json

if TYPE_CHECKING:
    from reachlab.installation import Installation


@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """What is installed."""

    json: bool = False
    """Print JSON."""


def doctor(config: Flat[DoctorConfig]) -> None:
    """Say what this installation can do, what is missing for the rest and how to get it, and what commonly breaks.
    Nothing is changed.

    Example: reachlab doctor
    """
    from reachlab.installation import look

    found = look()
    if config.json:
        print_json(found.to_dict())
        return
    for line in lines(found):
        print(line)


def lines(found: "Installation") -> list[str]:
    """An installation for a reader."""
    memory = f", {found.memory_gb:g} GB of memory" if found.memory_gb else ""
    commit = f" (commit {found.commit})" if found.commit else ""
    said = [
        f"reachlab {found.version}{commit}, Python {found.python}: {found.executable}",
        f"{found.platform}, {found.cores} core{'s' * (found.cores > 1)}{memory}",
        _torch(found.torch),
        "",
        "What it can do",
    ]
    for feature in found.features:
        versions = ", ".join(f"{name} {number}" for name, number in feature.packages.items()) if feature.extra else ""
        lacks = f"needs {', '.join(feature.missing)}: {feature.get}" if feature.missing else feature.why
        right = f"  [{lacks or versions}]" if lacks or versions else ""
        said.append(f"  {'yes' if feature.usable else 'no':5}{feature.what}{right}")
    said += ["", "What commonly breaks"]
    said += [f"  {'fine' if check.fine else 'look':6}{check.what}: {check.said}" for check in found.checks]
    return said


def _torch(torch: dict[str, object]) -> str:
    if not torch:
        return "no torch: nothing is trained here, and no checkpoint drawn from"
    if torch.get("broken"):
        return f"torch does not start: {torch['broken']}"
    build = f"built for CUDA {torch['cuda']}" if torch["cuda"] else "a CPU build"
    return f"torch {torch['version']}, {build}, {torch['threads']} thread{'s' * (torch['threads'] != 1)}"
