"""Whether a budget keeps what `rl/budgets/budget.py` promises of it.

Axes: P prompts, N rollouts that a prompt may get, M kept ones.
"""

import torch
from torch import Tensor

from reachlab.checks.contract import Contract
from reachlab.rl.budgets.budget import Budget
from reachlab.rl.rules.max_variance import MAX_VARIANCE
from reachlab.rl.rules.rule import Rule
from reachlab.training.rl_config import BudgetConfig

NAN = torch.nan


def check_budget(kind: type[Budget], rule: Rule = MAX_VARIANCE, said: BudgetConfig | None = None) -> None:
    """Let a budget draw from stocks of rewards that are known beforehand.

    Args:
        kind: the budget. rule: what will keep M of what it draws. said: what a user says; n = 16 by default.

    Raises:
        ContractError: it does not do what a budget promises.
    """
    contract = Contract(f"the budget {kind.name!r}")
    said = said or BudgetConfig(rollouts=16)
    n = said.rollouts
    kind.check(said, rule)
    all_drawn = True
    for seed, rates in enumerate(((0.5, 0.1, 0.9, 0.3), (0.0, 1.0, 0.05, 0.5), (0.2,))):
        generator = torch.Generator().manual_seed(seed)
        stock_PN = torch.bernoulli(torch.tensor(rates, dtype=torch.float64)[:, None].expand(-1, n), generator=generator)
        unscored_PN = torch.rand(stock_PN.shape, generator=generator) < 0.1
        for stock in (stock_PN, stock_PN.masked_fill(unscored_PN, NAN)):
            for m in (2, 4, 5):
                drawn_P = _spend(kind.of(said, rule, m), stock, m, contract)
                all_drawn &= bool((drawn_P == n).all())
                _check_kept(kind, rule, stock, drawn_P, m, contract)
    contract.holds(
        all_drawn or not kind.draws_all,
        "says draws_all, and some prompts get fewer than n",
        "with draws_all, statistics over all n are allowed (--advantage-normalisation all)",
    )


def _spend(budget: Budget, stock_PN: Tensor, m: int, contract: Contract) -> Tensor:
    """Draw as the budget says until it is done: how many each prompt got."""
    P, n = stock_PN.shape
    drawn_P = torch.zeros(P, dtype=torch.int64)
    for asked in range(P * n + 2):
        rewards_PN = stock_PN.masked_fill(torch.arange(n) >= drawn_P[:, None], NAN)
        more_P, again_P = (budget.more(rewards_PN.clone(), drawn_P.clone(), m, n) for _ in range(2))
        contract.holds(
            more_P.shape == (P,) and more_P.dtype == torch.int64,
            f"returns {tuple(more_P.shape)} {more_P.dtype} for {P} prompts",
            "how many more each prompt gets is (P,) int64",
        )
        contract.holds(
            torch.equal(more_P, again_P),
            "gives something else when it is asked again",
            "it looks at rewards and counts alone: what looks at anything else changes what is learned",
        )
        contract.holds(
            ((more_P >= 0) & (drawn_P + more_P <= n)).all(),
            f"gives {more_P.tolist()} more where {drawn_P.tolist()} of n = {n} are drawn",
            "no prompt gets fewer than none, or more than n in all",
        )
        contract.holds(
            asked or bool((more_P >= 1).all()),
            f"begins with {more_P.tolist()}",
            "every prompt gets some at first: what is reported of the policy is measured on them",
        )
        if not more_P.any():
            return drawn_P
        drawn_P = drawn_P + more_P
    contract.holds(False, "never ends", "all zeros ends")
    return drawn_P


def _check_kept(kind: type[Budget], rule: Rule, stock_PN: Tensor, drawn_P: Tensor, m: int, contract: Contract) -> None:
    """What a rule can keep of what was drawn."""
    n = stock_PN.shape[1]
    if kind.partial_groups:
        contract.holds(
            (drawn_P >= m).all(),
            f"ends with {drawn_P.tolist()} drawn, fewer than M = {m}",
            "M rollouts of each prompt are learned from; partial_groups = False leaves out those with fewer than n",
        )
    if kind.bounded:
        drawn_PN = stock_PN.masked_fill(torch.arange(n) >= drawn_P[:, None], NAN)
        early, whole = (
            r.gather(1, rule.keep(r, m, torch.Generator().manual_seed(0))).nan_to_num(-9.0).sort(dim=1).values
            for r in (drawn_PN, stock_PN)
        )
        contract.holds(
            torch.equal(early, whole),
            f"stops at {drawn_P.tolist()} of {n}, where the rule {rule.name!r} would keep other rewards of all {n}",
            "a bounded budget stops only where no further reward can change what is kept",
        )
