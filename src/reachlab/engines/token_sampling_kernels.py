"""What `token_sampling.py` says, row by row in one kernel, for float32 logits on a CPU.

A row of a large vocabulary is read from memory once and stays in the second-level cache for the rest: highest logit,
weights e^((l − highest) / temperature) summed by chunks, and then only the chunk in which the draw falls is walked.

Top-k and top-p sort no vocabulary. Positive float32 numbers are ordered as their bits are, so the upper bits are the
bins of a histogram; the bin in which the last token that is kept lies is the only one that is sorted.

Axes. B: rows, V: entries of the vocabulary, C: chunks of it.
"""

from typing import Any

import numpy as np
from numba import njit

from reachlab.engines.fused_cpu_kernels import exp

CHUNK = 512
_SHIFT = 18
"""Bits of a weight below its bin's: a bin is 3 % wide."""
_BINS = (0x3F800000 >> _SHIFT) + 1
"""Weights are at most 1."""
_ZERO, _LOWEST = np.float32(0), np.float32(-87)
_INFINITY, _BOTTOM = np.int32(0x7F800000), np.int32(-1 - 0x7F800000)
"""+inf by its bits, and -inf in the order that `_highest` makes of them."""


@njit(nogil=True, cache=True)
def _highest(bits_BV: Any, b: int) -> Any:
    """The highest logit of a row; NaN where one is no number or +inf, or where all are -inf.

    It goes by bits: a maximum of floats among which may be NaN is no vector instruction.
    """
    highest, largest = _BOTTOM, np.int32(0)
    for v in range(bits_BV.shape[1]):
        bits = bits_BV[b, v]
        size = bits & np.int32(0x7FFFFFFF)
        # As integers, negative numbers are in reverse.
        highest = max(highest, bits if bits >= 0 else np.int32(-1) - size)
        largest = max(largest, size)
    if highest >= _INFINITY or highest == _BOTTOM or largest > _INFINITY:
        return np.float32(np.nan)
    return np.int32(highest if highest >= 0 else (np.int32(-1) - highest) | np.int32(-(2**31))).view(np.float32)


@njit(nogil=True, fastmath={"contract"}, cache=True)
def _weigh(logits_BV: Any, b: int, highest: Any, factor: Any, weights_V: Any) -> None:
    """weights = e^((l − highest) · factor), 0 where that is below e^-87. The difference is taken first:
    the product of a logit and a large factor would be all rounding."""
    for v in range(len(weights_V)):
        x = (logits_BV[b, v] - highest) * factor
        weights_V[v] = exp(x) if x > _LOWEST else _ZERO


@njit(nogil=True, fastmath={"reassoc", "nsz"}, cache=True)
def _sums(weights_V: Any, sums_C: Any) -> float:
    """Sums of the chunks; returns that of all."""
    whole = 0.0
    for c in range(len(sums_C)):
        total = _ZERO
        for v in range(c * CHUNK, min((c + 1) * CHUNK, len(weights_V))):
            total += weights_V[v]
        sums_C[c] = total
        whole += sums_C[c]
    return whole


@njit(nogil=True, cache=True)
def _last_kept(weights_V: Any, bits_V: Any, top_k: int, mass: float, counts: Any, sums: Any) -> Any:
    """The lightest token that stays when the heaviest do: the first `top_k` (0: all), or those before which lies less
    than `mass`. Of equal weights the earlier token is the heavier one. Returns its weight and itself."""
    counts[:], sums[:] = 0, 0.0
    for v in range(len(weights_V)):
        place = bits_V[v] >> _SHIFT
        counts[place] += 1
        sums[place] += weights_V[v]
    # From the heaviest bin down: how many tokens lie in bins that are kept whole, and what they weigh.
    number, heavier, place = 0, 0.0, _BINS - 1
    # Bin 0 holds what has no weight.
    while place > 1 and not (
        number + counts[place] >= top_k if top_k else counts[place] and heavier + sums[place] >= mass
    ):
        number += counts[place]
        heavier += sums[place]
        place -= 1
    if not counts[place]:  # fewer than top_k have any weight
        return _ZERO, 0
    kept_ids = np.empty(counts[place], np.int64)
    at = 0
    for v in range(len(weights_V)):
        if bits_V[v] >> _SHIFT == place:
            kept_ids[at] = v
            at += 1
    order = kept_ids[np.argsort(-weights_V[kept_ids], kind="mergesort")]
    last = 0
    for i in range(len(order)):
        if number >= top_k if top_k else heavier >= mass:
            break
        last = i
        number += 1
        heavier += weights_V[order[i]]
    return weights_V[order[last]], order[last]


@njit(nogil=True, cache=True)
def _truncate(weights_V: Any, bits_V: Any, top_k: int, top_p: float, sums_C: Any, counts: Any, sums: Any) -> None:
    """Zero what top-k and then top-p leave out (the likeliest token always stays)."""
    for rule in range(2):
        if not (0 < top_k < len(weights_V) if rule == 0 else top_p < 1):
            continue
        mass = top_p * _sums(weights_V, sums_C)
        least, last = _last_kept(weights_V, bits_V, top_k if rule == 0 else 0, mass, counts, sums)
        for v in range(len(weights_V)):
            if weights_V[v] < least or (weights_V[v] == least and v > last):
                weights_V[v] = _ZERO


@njit(nogil=True, cache=True)
def _draw(weights_V: Any, sums_C: Any, u: Any) -> int:
    """The first token whose running sum exceeds u times the whole; `sums_C` are the sums of the chunks."""
    total = 0.0
    for c in range(len(sums_C)):
        total += sums_C[c]
    # Strictly below the total, so that a token with weight is always found.
    target = min(float(u) * total, np.nextafter(total, 0.0))
    before, c = 0.0, 0
    while c < len(sums_C) - 1 and before + sums_C[c] <= target:
        before += sums_C[c]
        c += 1
    token = -1
    for v in range(c * CHUNK, min((c + 1) * CHUNK, len(weights_V))):
        if weights_V[v] > 0:
            token = v
            before += weights_V[v]
            if before > target:
                break
    return token


@njit(nogil=True, cache=True)
def draw(
    logits_BV: Any,
    logit_bits_BV: Any,
    place_B: Any,
    uniforms_B: Any,
    temperature: float,
    top_k: int,
    top_p: float,
    tokens_B: Any,
    logprobs_B: Any,
) -> bool:
    """Choose a token a row, with its log-probability at temperature 1. False: some logits are not numbers.

    Args:
        logits_BV: (B, V), float32. logit_bits_BV: the same memory as int32.
        place_B: which row of the logits each token is drawn from.
        uniforms_B: in [0, 1), float32.
        temperature: 0 takes the likeliest.
        top_k: 0 keeps all.
        top_p: 1 keeps all.
        tokens_B: int64, is written. logprobs_B: float32, nats, is written.
    """
    V = logits_BV.shape[1]
    weights_V, sums_C = np.empty(V, np.float32), np.empty((V + CHUNK - 1) // CHUNK, np.float64)
    bits_V = weights_V.view(np.int32)
    counts, sums = np.empty(_BINS, np.int64), np.empty(_BINS, np.float64)
    one = np.float32(1)
    factor = np.float32(min(1 / temperature, 3e38)) if temperature > 0 else one
    for i in range(len(place_B)):
        b = place_B[i]
        highest = _highest(logit_bits_BV, b)
        if np.isnan(highest):
            return False
        _weigh(logits_BV, b, highest, one, weights_V)
        whole = _sums(weights_V, sums_C)
        if temperature == 0:
            token = 0
            while logits_BV[b, token] < highest:
                token += 1
        else:
            if factor != one:
                _weigh(logits_BV, b, highest, factor, weights_V)
            if top_p < 1 or 0 < top_k < V:
                _truncate(weights_V, bits_V, top_k, top_p, sums_C, counts, sums)
            if factor != one or top_p < 1 or 0 < top_k < V:
                _sums(weights_V, sums_C)
            token = _draw(weights_V, sums_C, uniforms_B[i])
        tokens_B[i] = token
        logprobs_B[i] = logits_BV[b, token] - highest - np.log(whole)
    return True
