"""Which of a prompt's rollouts are learned from: a rule a file, a line here. No torch: the command line reads this."""

from typing import TYPE_CHECKING

from reachlab.choices import Choices, one_of

if TYPE_CHECKING:
    from reachlab.rl.rules.rule import Rule

RULES: "Choices[Rule]" = Choices(
    "rule",
    {
        "none": "reachlab.rl.rules.none:NONE",
        "max_variance": "reachlab.rl.rules.max_variance:MAX_VARIANCE",
        "max_reward": "reachlab.rl.rules.max_reward:MAX_REWARD",
        "random": "reachlab.rl.rules.random:RANDOM",
        "percentile": "reachlab.rl.rules.percentile:PERCENTILE",
    },
    unknown="down-sampling: no rule",
    adopt="reachlab.rl.rules.rule:adopted",
)

if TYPE_CHECKING:
    RuleName = str
else:
    RuleName = one_of(RULES)
