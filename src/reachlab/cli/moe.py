"""Commands about mixtures of experts."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import tyro
from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.output import print_json, print_table
from reachlab.studies.config import InspectConfig

moe = tyro.extras.SubcommandApp()


@moe.command(name="inspect")
def moe_inspect(config: Flat[InspectConfig]) -> None:
    """Listen to a mixture of experts' routers on text. Where they send tokens, how sure they are, which experts nobody
    visits, and how close the gradient that each method gives them is to the dense one (cosine 1).

    Example: reachlab pretrain --data chain,length=3 --family olmoe --experts 8 --active-experts 1 --routing default
    --hidden 48 --layers 2 --batch 32 --steps 50 --out runs/moe

    Example: reachlab moe inspect runs/moe --data chain,length=3 --tokens 8192 --out routers.html
    """
    from reachlab.studies.routers import inspect_routers

    found = inspect_routers(config)
    if config.json:
        print_json(found.to_dict())
    else:
        print(", ".join(found.facts))
        print_table(found.rows())
        if found.fidelity:
            print("\ncosine of the router's gradient with the dense one, by method")
            print_table(found.fidelity_rows())
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if config.out:
        print(f"the page is {config.out}", file=sys.stderr if config.json else sys.stdout)


@dataclass(frozen=True, kw_only=True)
class FamiliesConfig:
    """The table of mixture-of-experts families."""

    markdown: bool = False
    """Print Markdown, as it stands in docs/moe.md."""
    json: bool = False
    """Print JSON."""


@moe.command(name="families")
def moe_families(config: Flat[FamiliesConfig]) -> None:
    """List the families whose routers can be given a dense gradient, with the formula of their weights, and those that
    cannot, with the reason.

    Example: reachlab moe families
    """
    from reachlab.moe.table import family_rows, markdown, refusal_rows

    if config.json:
        print_json({"works": family_rows(), "refused": refusal_rows()})
    elif config.markdown:
        print(f"{markdown(family_rows())}\n{markdown(refusal_rows())}", end="")
    else:
        print_table(family_rows())
        print_table(refusal_rows())


COMMANDS: dict[str, Callable[..., None]] = {"inspect": moe_inspect, "families": moe_families}


def said() -> dict[str, str]:
    """What each of them says of itself."""
    return {name: command.__doc__ or "" for name, command in COMMANDS.items()}
