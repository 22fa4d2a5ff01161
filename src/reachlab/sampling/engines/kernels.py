"""Fused kernels for decoding on a CPU: what lies between two matrix products of a layer, in one pass over memory.

A step of a small model moves little data many times: head norm, rotation, append, scores, softmax and weighted sum are
a dozen operations over buffers that fall out of the cache in between. `attend` does them row by row, with everything
but the keys and values in registers or the first-level cache.

Numba compiles them at first use and keeps the result on disk. They release the GIL.
"""

from typing import Any

import numpy as np
from numba import njit

_POWERS = (2.0 ** -np.arange(130.0)).astype(np.float32)
_LOG2E, _LN2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)
_C2, _C3, _C4, _C5, _C6 = (np.float32(1 / f) for f in (2, 6, 24, 120, 720))
_ONE, _ZERO, _HALF = np.float32(1), np.float32(0), np.float32(0.5)


@njit(inline="always", fastmath=True)
def _exp(x: Any) -> Any:
    """e^x for x ≤ 0, to float32 rounding; below e^-87 it stays there. Written to be vectorised."""
    scaled = max(x, np.float32(-87)) * _LOG2E
    # The bounds hold by themselves, but for a NaN: what it becomes as an integer is anybody's guess.
    whole = min(max(np.int32(scaled - _HALF), np.int32(-128)), np.int32(0))
    f = (scaled - np.float32(whole)) * _LN2
    series = _ONE + f * (_ONE + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * _C6)))))
    return series * _POWERS[-whole]


@njit(nogil=True, fastmath=True, cache=True)
def unit(x_BH: Any, eps: Any, out_BH: Any) -> None:
    """out = x / √(mean x² + ε) over the last axis."""
    B, H = x_BH.shape
    for b in range(B):
        total = _ZERO
        for i in range(H):
            total += x_BH[b, i] * x_BH[b, i]
        scale = _ONE / np.sqrt(total / np.float32(H) + eps)
        for i in range(H):
            out_BH[b, i] = x_BH[b, i] * scale


@njit(nogil=True, cache=True)
def group(experts_BK: Any, experts: int) -> Any:
    """Sort (token, expert) pairs by expert.

    Returns:
        next_E: where each expert's pairs end; token_S: each pair's token; place_BK: where each pair went.
    """
    B, K = experts_BK.shape
    ends_E = np.zeros(experts, np.int64)
    for b in range(B):
        for k in range(K):
            ends_E[experts_BK[b, k]] += 1
    next_E = np.cumsum(ends_E) - ends_E
    token_S, place_BK = np.empty(B * K, np.int64), np.empty((B, K), np.int64)
    for b in range(B):
        for k in range(K):
            place = next_E[experts_BK[b, k]]
            next_E[experts_BK[b, k]] += 1
            token_S[place], place_BK[b, k] = b, place
    return next_E, token_S, place_BK


@njit(nogil=True, fastmath=True, cache=True)
def combine(out_SH: Any, place_BK: Any, weights_BK: Any, x_BH: Any) -> None:
    """x_b += Σ_k weight_bk · out[place_bk]."""
    B, H = x_BH.shape
    for b in range(B):
        for k in range(place_BK.shape[1]):
            place, weight = place_BK[b, k], weights_BK[b, k]
            for i in range(H):
                x_BH[b, i] += weight * out_SH[place, i]


# The helpers of `attend` take whole arrays and where to look in them: a slice would count references, row by row.


@njit(inline="always", fastmath=True)
def _dots(
    query_ND: Any, n: int, keys: Any, i: int, h: int, first: int, count: int, scores: Any, at: int, width: Any
) -> None:
    """scores[at + t] = query n · keys[i, h, first + t]; four at a time, so that the query stays in registers."""
    for t in range(0, count - 3, 4):
        a, b, c, e = _ZERO, _ZERO, _ZERO, _ZERO
        for d in range(len(width)):
            a += query_ND[n, d] * keys[i, h, first + t, d]
            b += query_ND[n, d] * keys[i, h, first + t + 1, d]
            c += query_ND[n, d] * keys[i, h, first + t + 2, d]
            e += query_ND[n, d] * keys[i, h, first + t + 3, d]
        scores[at + t], scores[at + t + 1], scores[at + t + 2], scores[at + t + 3] = a, b, c, e
    for t in range(count - count % 4, count):
        a = _ZERO
        for d in range(len(width)):
            a += query_ND[n, d] * keys[i, h, first + t, d]
        scores[at + t] = a


@njit(inline="always", fastmath=True)
def _add_weighted(
    weights: Any, at: int, values: Any, i: int, h: int, first: int, count: int, sum_D: Any, width: Any
) -> None:
    """sum += Σ_t weights[at + t] · values[i, h, first + t]; four at a time, so that the sum is stored less often."""
    for t in range(0, count - 3, 4):
        a, b, c, e = weights[at + t], weights[at + t + 1], weights[at + t + 2], weights[at + t + 3]
        for d in range(len(width)):
            sum_D[d] += (
                a * values[i, h, first + t, d]
                + b * values[i, h, first + t + 1, d]
                + c * values[i, h, first + t + 2, d]
                + e * values[i, h, first + t + 3, d]
            )
    for t in range(count - count % 4, count):
        for d in range(len(width)):
            sum_D[d] += weights[at + t] * values[i, h, first + t, d]


@njit(nogil=True, fastmath=True, cache=True)
def attend(
    width: Any,  # a tuple as long as a head is wide: its length is a constant to the compiler
    qkv_BF: Any,  # (B, (Q + 2 H) · D): queries, keys, values
    cos_Bd: Any,  # (B, D / 2)
    sin_Bd: Any,
    norm_ND: Any,  # (Q + H, D) weights of the query-key norm
    norm: int,  # 0 none, 1 a head at a time, 2 over all query and all key heads
    eps: Any,
    prefix_keys: Any,  # (G, H, Tp, D)
    prefix_values: Any,
    start_G: Any,  # first real position of each prefix
    own_keys: Any,  # (B, H, To, D)
    own_values: Any,
    at_B: Any,  # where this token goes among the row's own
    scale: Any,
    window: int,  # 0 none
    out_BF: Any,  # (B, Q · D)
) -> None:
    """Head norm, rotation, append to the cache, attention over prefix and own tokens."""
    D, half = len(width), len(width) // 2
    B, H, Tp = qkv_BF.shape[0], own_keys.shape[1], prefix_keys.shape[2]
    Q = out_BF.shape[1] // D
    R, group = B // prefix_keys.shape[0], Q // H
    heads = np.empty((Q + H, D), np.float32)
    scores, sum_D = np.empty(Tp + own_keys.shape[2], np.float32), np.empty(D, np.float32)
    for b in range(B):
        g, at = b // R, at_B[b]
        # Norm and rotation of queries and keys.
        query_scale, key_scale = _ONE, _ONE
        if norm == 2:
            total = _ZERO
            for i in range(Q * D):
                total += qkv_BF[b, i] * qkv_BF[b, i]
            query_scale = _ONE / np.sqrt(total / np.float32(Q * D) + eps)
            total = _ZERO
            for i in range(Q * D, (Q + H) * D):
                total += qkv_BF[b, i] * qkv_BF[b, i]
            key_scale = _ONE / np.sqrt(total / np.float32(H * D) + eps)
        for n in range(Q + H):
            factor = query_scale if n < Q else key_scale
            if norm == 1:
                total = _ZERO
                for d in range(D):
                    total += qkv_BF[b, n * D + d] * qkv_BF[b, n * D + d]
                factor = _ONE / np.sqrt(total / np.float32(D) + eps)
            for d in range(half):
                left, right = qkv_BF[b, n * D + d] * factor, qkv_BF[b, n * D + half + d] * factor
                if norm:
                    left *= norm_ND[n, d]
                    right *= norm_ND[n, half + d]
                heads[n, d] = left * cos_Bd[b, d] - right * sin_Bd[b, d]
                heads[n, half + d] = right * cos_Bd[b, d] + left * sin_Bd[b, d]
        for h in range(H):
            for d in range(D):
                own_keys[b, h, at, d] = heads[Q + h, d]
                own_values[b, h, at, d] = qkv_BF[b, (Q + H + h) * D + d]
        # Keys in order: the prompt's real ones, then the row's own; a window sees the last of them.
        prompt = Tp - start_G[g]
        first = max(0, prompt + at + 1 - window) if window else 0
        skip_prefix, skip_own = min(first, prompt), max(0, first - prompt)
        P, T, begin = prompt - skip_prefix, at + 1 - skip_own, start_G[g] + skip_prefix
        for n in range(Q):
            h = n // group
            _dots(heads, n, prefix_keys, g, h, begin, P, scores, 0, width)
            _dots(heads, n, own_keys, b, h, skip_own, T, scores, P, width)
            highest = scores[0]
            for t in range(1, P + T):
                highest = max(highest, scores[t])
            total = _ZERO
            for t in range(P + T):
                weight = _exp((scores[t] - highest) * scale)
                scores[t] = weight
                total += weight
            for d in range(D):
                sum_D[d] = _ZERO
            _add_weighted(scores, 0, prefix_values, g, h, begin, P, sum_D, width)
            _add_weighted(scores, P, own_values, b, h, skip_own, T, sum_D, width)
            share = _ONE / total
            for d in range(D):
                out_BF[b, n * D + d] = sum_D[d] * share
