"""How many more rollouts each prompt gets, given the rewards so far: a budget a file, a line here. No torch: the
command line reads this."""

from typing import TYPE_CHECKING

from reachlab.choices import Choices, one_of

if TYPE_CHECKING:
    from reachlab.rl.budgets.budget import Budget

BUDGETS: "Choices[type[Budget]]" = Choices(
    "budget",
    {
        "all": "reachlab.rl.budgets.all_at_once:AllAtOnce",
        "waves": "reachlab.rl.budgets.waves:Waves",
        "pilot_commit": "reachlab.rl.budgets.pilot_commit:PilotCommit",
    },
    adopt="reachlab.rl.budgets.budget:adopted",
)

if TYPE_CHECKING:
    BudgetName = str
else:
    BudgetName = one_of(BUDGETS)
