"""How a router learns: a method a file, a line here. No torch: the command line reads this."""

from typing import TYPE_CHECKING

from reachlab.choices import Choices, one_of

if TYPE_CHECKING:
    from reachlab.moe.method import Method

METHODS: "Choices[type[Method]]" = Choices(
    "method",
    {
        "topk": "reachlab.moe.method:TopK",
        "default": "reachlab.moe.methods.default:Default",
        "sparsemixer": "reachlab.moe.methods.sparsemixer:SparseMixer",
        "densemixer": "reachlab.moe.methods.densemixer:DenseMixer",
        "lossfree": "reachlab.moe.methods.lossfree:LossFree",
    },
    adopt="reachlab.moe.method:adopted",
)

if TYPE_CHECKING:
    MethodName = str
else:
    MethodName = one_of(METHODS)
