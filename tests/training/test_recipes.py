from dataclasses import replace
from pathlib import Path

import pytest

from reachlab.errors import ReachlabError
from reachlab.models.origin import Origin
from reachlab.training.config import DistillConfig, LoopConfig, OptimizerChoice, OptimizerConfig, WeightsConfig
from reachlab.training.recipes import RECIPES, Stage, find_recipe, say, settle_distill, settle_rl
from reachlab.training.rl_config import BudgetConfig, RLConfig, SelectionConfig

HERE, ELSEWHERE = Origin(here=True, parameters=400_000), Origin(here=False, parameters=135_000_000)
RL = RLConfig(model="m", task="t")
DISTILL = DistillConfig(model="m", teacher="solver", task="t", out="o")
LORA = WeightsConfig(lora_rank=8)


def test_a_model_made_here_is_trained_as_it_always_was() -> None:
    found = settle_rl(RL, HERE)
    assert found.optimizer == OptimizerConfig(method="adamw", lr=3e-4)
    assert (found.prompts, found.budget.rollouts, found.loop.steps, found.keep) == (32, 16, 100, 16)
    distilled = settle_distill(DISTILL, HERE)
    muon = OptimizerConfig(method="muon", lr=4e-3, muon_lr=0.02, warmup=20, schedule="linear")
    assert (distilled.optimizer, distilled.batch, distilled.loop.steps) == (muon, 128, 800)


@pytest.mark.parametrize("stage", ["rl", "distill"])
def test_a_pretrained_model_is_moved_less_the_larger_it_is_and_adapters_ten_times_as_much(stage: Stage) -> None:
    rates = []
    for parameters in (10**8, 3 * 10**9, 70 * 10**9):
        origin = Origin(here=False, parameters=parameters)
        full, lora = (find_recipe(stage, origin, adapters).optimizer for adapters in (False, True))
        assert full.method == lora.method == "adamw"
        assert lora.lr == pytest.approx(10 * full.lr)
        assert full.warmup > 0
        rates.append(full.lr)
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 3
    assert rates[0] < find_recipe(stage, HERE, False).optimizer.lr


@pytest.mark.parametrize("origin", [HERE, ELSEWHERE, Origin(here=False, parameters=10**13)])
@pytest.mark.parametrize("weights", [WeightsConfig(), LORA])
def test_nothing_is_left_open(origin: Origin, weights: WeightsConfig) -> None:
    rl = settle_rl(replace(RL, weights=weights), origin)
    assert isinstance(rl.optimizer, OptimizerConfig)
    assert min(rl.prompts, rl.keep, rl.budget.rollouts, rl.loop.steps) > 0
    assert settle_rl(rl, HERE) == rl  # and nothing that is settled moves again
    distill = settle_distill(replace(DISTILL, weights=weights), origin)
    assert isinstance(distill.optimizer, OptimizerConfig)
    assert min(distill.batch, distill.loop.steps) > 0
    assert settle_distill(distill, HERE) == distill


def test_what_the_user_says_comes_first() -> None:
    said = replace(
        RL,
        prompts=3,
        budget=BudgetConfig(rollouts=5),
        loop=LoopConfig(steps=7),
        optimizer=OptimizerChoice(lr=0.5, warmup=0),
    )
    found = settle_rl(said, ELSEWHERE)
    assert (found.prompts, found.budget.rollouts, found.loop.steps) == (3, 5, 7)
    recipe = find_recipe("rl", ELSEWHERE, False).optimizer
    assert found.optimizer == replace(recipe, lr=0.5, warmup=0)


def test_what_the_recipe_chose_is_said_with_the_options_that_change_it() -> None:
    line = say(RL, settle_rl(RL, ELSEWHERE), ELSEWHERE)
    recipe = find_recipe("rl", ELSEWHERE, False)
    assert line.startswith(f"pretrained elsewhere, 135M, all weights: AdamW {recipe.optimizer.lr:g}, constant after ")
    assert f"prompts {recipe.prompts}, rollouts {recipe.rollouts} (yours with --lr --optimizer --steps " in line
    tuned = replace(RL, optimizer=OptimizerChoice(method="adamw", lr=1e-4), weights=LORA)
    assert say(tuned, settle_rl(tuned, ELSEWHERE), ELSEWHERE).startswith("pretrained elsewhere, 135M, adapters: ")
    assert "AdamW" not in say(tuned, settle_rl(tuned, ELSEWHERE), ELSEWHERE)
    line = say(DISTILL, settle_distill(DISTILL, HERE), HERE)
    assert line.startswith("pretrained here, 400K, all weights: Muon 0.02, AdamW 0.004, linear after 20 steps")
    settled = settle_distill(DISTILL, HERE)
    assert say(settled, settled, HERE) == ""


def test_a_choice_that_does_not_fit_the_recipe_is_refused_with_its_numbers() -> None:
    rollouts = find_recipe("rl", ELSEWHERE, False).rollouts
    tight = replace(RL, selection=SelectionConfig(rule="max_variance", keep=rollouts + 1))
    with pytest.raises(ReachlabError, match=f"keep={rollouts + 1} must be 0 .all. to rollouts={rollouts}"):
        settle_rl(tight, ELSEWHERE)


def test_every_row_can_be_reached() -> None:
    reached = {
        id(find_recipe(row.stage, Origin(here=row.here, parameters=int(min(row.up_to, 1e15))), row.lora))
        for row in RECIPES
    }
    assert reached == set(map(id, RECIPES))


def test_the_documentation_has_every_rate_and_size_of_the_table() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "training.md").read_text()
    table = page[page.index("## Recipes by size") : page.index("## A guard")]
    for row in RECIPES:
        # 1e-05 as a person writes it; 0.0003 as the table does.
        rate = f"{row.optimizer.lr:.0e}".replace("e-0", "e-")
        assert rate in table
        size = f"{row.prompts} × {row.rollouts}" if row.stage == "rl" else f"{row.steps} steps of {row.batch}"
        assert size in table or f"{row.prompts} problems × {row.rollouts}" in table
        assert f"{row.steps} steps" in table
