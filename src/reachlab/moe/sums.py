"""The weighted sum of each expert's answers, in one pass over them.

    sums_ED[i] = Σ_{s: i(s) = i} w_s o_s        totals_E[i] = Σ_{s: i(s) = i} w_s

On a CPU the answers of grouped_mm lie expert by expert, and each run of them is one product of a vector and a matrix.
Elsewhere it is one product with a matrix of weights, (S, E) and mostly zero: no atomics, so the same sum every time,
and no waiting for the host; an answer that is not finite then spoils every expert's sum. Both accumulate in float32.

Axes. E: experts, S: token-expert pairs, D: width of an expert's answer.
"""

import torch
from torch import Tensor


def weighted_sums(outputs_SD: Tensor, experts_S: Tensor, weights_S: Tensor, E: int) -> tuple[Tensor, Tensor]:
    """Sums (E, D) and totals (E,), float32; experts numbered E or more are left out (they live elsewhere).

    Args:
        outputs_SD: (S, D), the experts' answers.
        experts_S: (S,), int64, whose each is.
        weights_S: (S,), float32.
        E: experts that are summed for.
    """
    weights_S = weights_S.float()
    totals_E = weights_S.new_zeros(E + 1).index_add_(0, experts_S, weights_S)[:E]
    if outputs_SD.device.type == "cpu" and not torch.compiler.is_compiling() and _sorted(experts_S):
        return _run_by_run(outputs_SD, experts_S, weights_S, E), totals_E
    dtype = outputs_SD.dtype if outputs_SD.is_cuda else torch.float32
    weights_SE = torch.zeros(len(experts_S), E + 1, dtype=dtype, device=outputs_SD.device)
    weights_SE = weights_SE.scatter_(1, experts_S[:, None], weights_S[:, None].to(dtype))[:, :E]
    if outputs_SD.is_cuda and dtype != torch.float32:
        return torch.mm(weights_SE.T, outputs_SD, out_dtype=torch.float32), totals_E
    return weights_SE.T @ outputs_SD.to(dtype), totals_E


def _sorted(experts_S: Tensor) -> bool:
    return bool((experts_S[1:] >= experts_S[:-1]).all())


def _run_by_run(outputs_SD: Tensor, experts_S: Tensor, weights_S: Tensor, E: int) -> Tensor:
    sums_ED = torch.zeros(E, outputs_SD.shape[1])
    start = 0
    for expert, length in enumerate(torch.bincount(experts_S, minlength=E + 1)[:E].tolist()):
        run = slice(start, start + length)
        sums_ED[expert] = weights_S[run] @ outputs_SD[run].float()
        start += length
    return sums_ED
