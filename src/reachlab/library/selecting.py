"""`reachlab.max_variance` and `reachlab.densify`: the papers' two ideas, in anyone's own training loop."""

import sys
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from reachlab.errors import InvalidArgumentError
from reachlab.library.functions import bordered
from reachlab.library.keywords import converted
from reachlab.library.max_variance_of_arrays import keep_most_variance

if TYPE_CHECKING:
    from torch import nn

    from reachlab.moe import Densified

Rewards = TypeVar("Rewards")


@bordered
def max_variance(rewards_PN: Rewards, m: int, *, seed: int | None = None) -> Rewards:
    """Choose the M rollouts of each prompt whose rewards have the largest variance (PODS, arXiv 2504.13818).

    It is the rule that `train_rl` keeps by; arrays need no torch.

    Parameters
    ----------
    rewards_PN : torch.Tensor or numpy.ndarray
        A row a prompt, a column a rollout; nan is unscored, and taken last. A row alone, (N,), is one prompt.
    m : int
        How many rollouts of each are kept.
    seed : int, optional
        Breaks ties between equal rewards at random; without, always by the same lot. torch's own random numbers are
        neither used nor moved.

    Returns
    -------
    torch.Tensor or numpy.ndarray
        The indices of the kept rollouts, (P, M), as what was given: ``rewards_PN.gather(1, kept_PM)``, or
        ``numpy.take_along_axis(rewards_PN, kept_PM, 1)``, are their rewards.

    Raises
    ------
    ReachlabError
        And ValueError: no such table, or m outside 1 to N.

    Examples
    --------
    >>> import numpy as np
    >>> import reachlab as rl
    >>> rewards_PN = np.array([[0.0, 0, 0, 0, 0, 0, 1, 0]])
    >>> np.take_along_axis(rewards_PN, rl.max_variance(rewards_PN, 2), axis=1).tolist()
    [[0.0, 1.0]]
    """
    given: Any = rewards_PN
    found = given if _is_tensor(given) else _array(given)
    if found.ndim not in (1, 2) or not all(found.shape):
        raise InvalidArgumentError(f"max_variance: rewards have axes P, N, and these the shape {tuple(found.shape)}")
    rows_PN = found.reshape(-1, found.shape[-1])
    if isinstance(m, bool) or not isinstance(m, int | np.integer) or not 1 <= m <= rows_PN.shape[1]:
        raise InvalidArgumentError(f"max_variance: m={m!r} must be a whole number, 1 to N={rows_PN.shape[1]}")
    lot = 0 if seed is None else converted(seed, int, "max_variance: seed")
    kept_PM: Any = _of_tensor(rows_PN, int(m), lot) if _is_tensor(given) else keep_most_variance(rows_PN, int(m), lot)
    return cast(Rewards, kept_PM.reshape(*found.shape[:-1], int(m)))


def _is_tensor(given: Any) -> bool:
    torch = sys.modules.get("torch")  # where there is a tensor, it is imported
    return torch is not None and isinstance(given, torch.Tensor)


def _array(given: Any) -> Any:
    try:
        return np.array(given, np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError("max_variance: rewards must be numbers, a row a prompt, all rows as long") from error


def _of_tensor(rows_PN: Any, m: int, seed: int) -> Any:
    import torch

    from reachlab.rl.rules.max_variance import max_variance

    generator = torch.Generator(rows_PN.device).manual_seed(seed)
    return max_variance(rows_PN if rows_PN.is_floating_point() else rows_PN.float(), m, generator)


@bordered
def densify(model: "nn.Module", method: str = "default", **options: Any) -> "Densified":
    """Give every router of a mixture-of-experts model a dense gradient (Default MoE, arXiv 2504.12463).

    Parameters
    ----------
    model : torch.nn.Module
        A transformers model with mixture-of-experts layers, by itself or in PEFT's wrapper. Densify before DDP, FSDP
        or torch.compile wrap it.
    method : {'default', 'topk', 'densemixer', 'sparsemixer', 'lossfree'}, default='default'
        What gives the gradient.
    **options
        Of the method, e.g. ``forward="default"`` or ``estimator="probed"``.

    Returns
    -------
    Densified
        What hangs on the model; ``undensify(model)`` of `reachlab.moe` takes it away.

    Raises
    ------
    ReachlabError
        And ValueError: a dense model, a family that cannot be densified, an unknown method or option.

    Examples
    --------
    >>> import reachlab as rl
    >>> dense = rl.densify(model)  # doctest: +SKIP
    """
    from reachlab.moe import densify

    return densify(model, method, **options)
