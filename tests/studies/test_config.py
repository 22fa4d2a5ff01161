from inspect import signature

from reachlab.regime.cost_model import RATIOS, WIDTHS, Schedule, World, regime_map
from reachlab.studies.config import RegimeConfig


def test_the_regime_of_the_command_line_is_that_of_the_model() -> None:
    """The command line reads no torch, so it repeats these numbers."""
    ours = RegimeConfig()
    world, schedule, asked = World(), Schedule(), signature(regime_map).parameters
    assert (ours.alpha, ours.beta, ours.noise) == (world.alpha, world.beta, world.noise)
    for name in ("prompts", "steps", "seeds", "seed"):
        assert getattr(ours, name) == getattr(schedule, name), name
    for name in ("keep", "widths", "ratios", "waves"):
        assert getattr(ours, name) == asked[name].default, name
    assert (ours.widths, ours.ratios) == (WIDTHS, RATIOS)
