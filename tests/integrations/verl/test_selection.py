"""Options, selection, validation and reward: what needs no verl."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from reachlab.errors import ReachlabError
from reachlab.integrations.down_sampling import DownSampling
from reachlab.integrations.verl import plugin_version
from reachlab.integrations.verl.reward import compute_score
from reachlab.integrations.verl.selection import select_rows
from reachlab.integrations.verl.settings import read_settings
from reachlab.integrations.verl.validation import pass_at_k_metrics
from reachlab.rl.rules import RULES

NAN = float("nan")


@pytest.mark.parametrize("rule", ["max_variance", "max_reward", "percentile"])
def test_rows_are_those_of_the_rule(rule: str) -> None:
    rewards_PN = torch.rand(3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    order = torch.randperm(18, generator=torch.Generator().manual_seed(2)).tolist()
    keys = [f"u{at // 6}_{at % 6}_0" for at in order]
    rewards = [rewards_PN.view(-1)[at].item() for at in order]
    found = select_rows(keys, rewards, DownSampling(keep=2, rule=rule), step=3)
    ours = {f"u{p}_{i}_0" for p, row in enumerate(RULES[rule].keep(rewards_PN, 2, None).tolist()) for i in row}
    assert {keys[at] for at in found.kept} == ours
    assert sorted(found.kept + found.left) == list(range(18))
    assert found.metrics["down_sampling/reward_all/mean"] == pytest.approx(rewards_PN.mean().item())
    kept = np.mean([rewards[at] for at in found.kept])
    assert found.metrics["down_sampling/reward_kept/mean"] == pytest.approx(kept)


def test_a_session_stays_whole_and_its_last_row_has_the_reward() -> None:
    keys = ["u_0_0", "u_0_1", "u_1_0", "u_1_1", "u_2_0"]
    found = select_rows(keys, [9.0, 0.0, 9.0, 0.5, 1.0], DownSampling(keep=2), step=1)
    assert found.kept == [0, 1, 4]


def test_unscored_and_missing_rollouts_are_not_kept() -> None:
    keys = [f"u_{i}_0" for i in range(4)] + ["v_0_0"]
    found = select_rows(keys, [NAN, 1.0, NAN, NAN, 0.0], DownSampling(keep=2), step=1)
    assert found.kept == [1, 4]
    assert found.metrics["down_sampling/unscored"] == 3


def test_seed_and_step_decide_among_equals() -> None:
    keys, rewards = [f"u_{i}_0" for i in range(32)], [0.0] * 32

    def kept(seed: int, step: int) -> tuple[int, ...]:
        return tuple(select_rows(keys, rewards, DownSampling(keep=4, rule="random", seed=seed), step).kept)

    assert kept(0, 1) == kept(0, 1)
    assert len({kept(0, 1), kept(0, 2), kept(1, 1)}) == 3


@pytest.mark.parametrize(
    ("keys", "rewards", "said"),
    [
        (["u_0_0", "u_1_0"], [NAN, NAN], "no rollout has a reward"),
        (["u_0_0", "u_1_0"], [0.0, float("inf")], "infinite"),
        (["row", "u_1_0"], [0.0, 1.0], "not named"),
    ],
)
def test_what_cannot_be_selected_from(keys: list[str], rewards: list[float], said: str) -> None:
    with pytest.raises(ReachlabError, match=said):
        select_rows(keys, rewards, DownSampling(keep=1), step=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, r"keep: how many of 8"),
        ({"keep": 9}, "choose 1 to actor_rollout_ref.rollout.n=8"),
        ({"keep": 0}, "choose 1 to"),
        ({"keep": "4"}, "whole number"),
        ({"keep": 4, "rules": "random"}, "no such option; there are keep, rule, seed"),
        ({"keep": 4, "rule": "best"}, "best"),
        ({"keep": 4, "rule": "none"}, "keeps all 8"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ReachlabError, match=said):
        read_settings(options, 8)


def test_pass_at_k_is_the_share_of_subsets() -> None:
    right = {"a": [1, 0, 0, 0], "b": [0, 0, 0, 0], "c": [1, 1, 0, 1, 0]}
    uids = [uid for uid, values in right.items() for _ in values]
    found = pass_at_k_metrics(["math"] * len(uids), uids, {"acc": [v for row in right.values() for v in row]})
    for k in (1, 2, 4):
        brute = np.mean([np.mean([max(few) for few in combinations(row, k)]) for row in right.values()])
        assert found[f"val-core/math/acc/pass@{k}/mean"] == pytest.approx(brute)
        assert found[f"val-core/math/acc/pass@{k}/low"] <= brute <= found[f"val-core/math/acc/pass@{k}/high"]
    assert len(found) == 9


def test_pass_at_k_of_unscored_and_of_what_is_no_label() -> None:
    infos: dict[str, list[Any]] = {"reward": [1.0, NAN, 0.3, 0.2], "acc": [1, None, None, None]}
    assert pass_at_k_metrics(["a", "a"], ["p", "p"], {"acc": ["yes", 1.0]}) == {}
    found = pass_at_k_metrics(["a", "a", "b", "b"], ["p", "p", "q", "q"], infos)
    assert {name.rsplit("/", 1)[0] for name in found} == {"val-core/a/acc/pass@1"}


def test_reward() -> None:
    assert compute_score("gsm8k", "So it is \\boxed{72}.", 72, reward_router_address=None)["score"] == 1.0
    assert compute_score("gsm8k", "So it is \\boxed{71}.", "72") == {"score": 0.0, "acc": 0.0}
    with pytest.raises(ReachlabError, match="gsm8k: ground_truth=None"):
        compute_score("gsm8k", "72", None)


@pytest.mark.parametrize("found", ["0.9.0", "0.10.0"])
def test_another_version_is_refused(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_version, "version", lambda _: found)
    with pytest.raises(ReachlabError, match=f"verl {found}: Reachlab's trainer is for 0.9.1"):
        plugin_version.check_version()
