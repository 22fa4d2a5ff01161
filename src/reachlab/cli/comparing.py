"""Commands that hold models against each other: compare, report, power."""

from dataclasses import dataclass

from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.output import print_json, print_meaning, remark
from reachlab.comparing.config import CompareConfig, PowerConfig, ReportConfig
from reachlab.errors import ReachlabError


@dataclass(frozen=True, kw_only=True)
class CompareCommand:
    """Compare runs of samples."""

    compare: Flat[CompareConfig]
    json: bool = False
    """Print everything as JSON."""


def compare(config: Flat[CompareCommand]) -> None:
    """Compare models by their samples: pass@k with intervals, crossing, problems gained and lost, a verdict.

    Example: reachlab compare runs/demo/samples/base runs/demo/samples/grpo runs/demo/samples/distilled

    Example: reachlab compare base=runs/demo/samples/base rl=runs/demo/samples/grpo,runs/demo/samples/pods

    Example: reachlab compare --matrix examples/data/base.csv examples/data/rl.csv
    """
    from reachlab.comparing.models import compare_models, document, read_completions
    from reachlab.pairing.conditions import conditions
    from reachlab.reporting.condition_table import print_conditions
    from reachlab.reporting.memory_table import print_memories
    from reachlab.reporting.tables import print_comparison

    comparison, compared = compare_models(config.compare, remark)
    memories = read_completions(config.compare, comparison, compared)
    differing = [] if compared is None else conditions(compared.matched.stores, compared.names)
    if config.json:
        print_json(document(comparison, compared, differing, memories))
        return
    print_comparison(comparison)
    print_meaning("compare" if comparison.pairs else "one")
    print_conditions(differing)
    print_memories(memories)


def report(config: Flat[ReportConfig]) -> None:
    """Compare models by their samples and write one HTML page that opens offline.

    Example: reachlab report runs/demo/samples/base runs/demo/samples/grpo --out report.html

    Example: reachlab report runs/demo/samples/base runs/demo/samples/pods --names base PODS --title "What PODS added"
    """
    from reachlab.commands.words import words_of
    from reachlab.comparing.models import compare_models, read_completions
    from reachlab.reporting.making import Extra
    from reachlab.reporting.page import write_report
    from reachlab.runs import check_page

    if config.compare.matrix:
        raise ReachlabError("report: a page shows samples, which tables do not hold; `reachlab compare --matrix` does")
    check_page(config.out)
    comparison, compared = compare_models(config.compare, remark)
    assert compared is not None
    page = write_report(
        comparison,
        compared.stores,
        config.out,
        title=config.title,
        notes=compared.matched.remarks,
        memories=read_completions(config.compare, comparison, compared),
        extra=Extra(command=words_of(config, "report")),
    )
    print(page)


@dataclass(frozen=True, kw_only=True)
class PowerCommand:
    """Plan a comparison from two runs of samples."""

    power: Flat[PowerConfig]
    json: bool = False
    """Print JSON."""


def power(config: Flat[PowerCommand]) -> None:
    """Say how many problems, and samples of each, would show a difference of so many points between two models.

    Example: reachlab power runs/demo/samples/base runs/demo/samples/grpo --points 2 5 --k 1 64
    """
    from reachlab.comparing.models import plan_power, read_models
    from reachlab.reporting.power_table import print_power

    asked = config.power
    runs = tuple(run for run in (asked.base, asked.other) if run)
    if not runs and not asked.matrix:
        raise ReachlabError("power: takes two models, and 0 are named")
    recipes, _ = read_models(runs, asked.matrix, asked.match, remark)
    plan = plan_power(asked, recipes)
    if config.json:
        print_json(plan.to_dict())
    else:
        print_power(plan)
        print_meaning("power", power=plan.power)
