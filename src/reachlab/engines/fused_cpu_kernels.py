"""Fused kernels for decoding on a CPU: what lies between two matrix products of a layer, in one pass over memory.

A step of a small model moves little data many times: head norm, rotation, append, scores, softmax and weighted sum are
a dozen operations over buffers that fall out of the cache in between. `attend` does them row by row, with everything
but the keys and values in registers or the first-level cache.

Numba compiles them at first use and keeps the result on disk. They release the GIL.

Axes. B: rows, H: hidden width, F: width inside a projection, N: panels of a wide matrix or heads, D: width of a head,
d: half of it, E: experts, K: experts that a token visits; in attention S: blocks times key heads, M: query rows that
share a key head, T: tokens of a prompt, G: blocks; in a mixture S = B·K.
"""

from typing import Any

import numpy as np
from numba import njit

_LOG2E, _LN2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)
_C2, _C3, _C4, _C5, _C6 = (np.float32(1 / f) for f in (2, 6, 24, 120, 720))
_ONE, _ZERO, _SHIFT = np.float32(1), np.float32(0), np.float32(256.5)


@njit(inline="always", fastmath=True)
def exp(x: Any) -> Any:
    """e^x to float32 rounding, for x within ±87; beyond, it stays there. Written to be vectorised."""
    scaled = min(max(x, np.float32(-87)), np.float32(87)) * _LOG2E
    # To the nearest: as an integer, a positive number is cut.
    whole = np.int32(np.int32(scaled + _SHIFT) - np.int32(256))
    f = (scaled - np.float32(whole)) * _LN2
    series = _ONE + f * (_ONE + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * _C6)))))
    # 2^whole by its bits: a look-up would not be a vector instruction.
    return series * np.int32((whole + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(nogil=True, fastmath=True, cache=True)
def unit(x_BH: Any, eps: Any, out_BH: Any) -> None:
    """out = x / √(mean x² + ε) over the last axis.

    Args:
        x_BH: (B, H), float32.
        eps: ε.
        out_BH: (B, H), float32, is written.
    """
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
    """x_b += Σ_k weight_bk · out[place_bk].

    Args:
        out_SH: (S, H), the experts' answers, sorted by expert.
        place_BK: (B, K), where in them each token's are.
        weights_BK: (B, K), float32.
        x_BH: (B, H), is added to.
    """
    B, H = x_BH.shape
    for b in range(B):
        for k in range(place_BK.shape[1]):
            place, weight = place_BK[b, k], weights_BK[b, k]
            for i in range(H):
                x_BH[b, i] += weight * out_SH[place, i]


# The helpers of `attend` take whole arrays and where to look in them: a slice would count references, row by row.


@njit(inline="always", fastmath=True)
def _dots(
    query_SMD: Any, s: int, m: int, keys: Any, i: int, h: int, first: int, count: int, scores: Any, width: Any
) -> None:
    """scores[t] = query (s, m) · keys[i, h, first + t]; four at a time, so that the query stays in registers."""
    for t in range(0, count - 3, 4):
        a, b, c, e = _ZERO, _ZERO, _ZERO, _ZERO
        for d in range(len(width)):
            a += query_SMD[s, m, d] * keys[i, h, first + t, d]
            b += query_SMD[s, m, d] * keys[i, h, first + t + 1, d]
            c += query_SMD[s, m, d] * keys[i, h, first + t + 2, d]
            e += query_SMD[s, m, d] * keys[i, h, first + t + 3, d]
        scores[t], scores[t + 1], scores[t + 2], scores[t + 3] = a, b, c, e
    for t in range(count - count % 4, count):
        a = _ZERO
        for d in range(len(width)):
            a += query_SMD[s, m, d] * keys[i, h, first + t, d]
        scores[t] = a


@njit(inline="always", fastmath=True)
def _add_weighted(weights: Any, values: Any, i: int, h: int, first: int, count: int, sum_D: Any, width: Any) -> None:
    """sum += Σ_t weights[t] · values[i, h, first + t]; four at a time, so that the sum is stored less often."""
    for t in range(0, count - 3, 4):
        a, b, c, e = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
        for d in range(len(width)):
            sum_D[d] += (
                a * values[i, h, first + t, d]
                + b * values[i, h, first + t + 1, d]
                + c * values[i, h, first + t + 2, d]
                + e * values[i, h, first + t + 3, d]
            )
    for t in range(count - count % 4, count):
        for d in range(len(width)):
            sum_D[d] += weights[t] * values[i, h, first + t, d]


@njit(nogil=True, fastmath=True, cache=True)
def gate(both_NBF: Any, out_BF: Any) -> None:
    """out = silu(g) · u, of panels that hold first g and then u.

    Args:
        both_NBF: (N, B, F), the panels of g, then as many of u.
        out_BF: (B, width of the MLP), is written.
    """
    (B, width), N, F = out_BF.shape, both_NBF.shape[0] // 2, both_NBF.shape[2]
    for b in range(B):
        for n in range(N):
            gate_F, up_F, out_F = both_NBF[n, b], both_NBF[N + n, b], out_BF[b, n * F : min(n * F + F, width)]
            # Two loops, for LLVM makes vector instructions of neither in one.
            for i in range(len(out_F)):
                out_F[i] = exp(-gate_F[i])
            for i in range(len(out_F)):
                out_F[i] = gate_F[i] * up_F[i] / (_ONE + out_F[i])


@njit(nogil=True, fastmath=True, cache=True)
def rotate(
    width: Any,  # a tuple as long as a head is wide: its length is a constant to the compiler
    qkv_BF: Any,  # (B, (Q + 2 H) · D): queries, keys, values
    cos_Bd: Any,  # (B, D / 2)
    sin_Bd: Any,
    norm_ND: Any,  # (Q + H, D) weights of the query-key norm
    norm: int,  # 0 none, 1 a head at a time, 2 over all query and all key heads
    eps: Any,
    R: int,  # rows of a block
    row_B: Any,  # where each row is in the cache
    at_B: Any,  # where this token goes among the row's own
    own_keys: Any,  # (rows of the cache, H, To, D)
    own_values: Any,
    query_SMD: Any,  # (G · H, R · Q / H, D)
) -> None:
    """Head norm and rotation; queries go where their block's are, keys and values to the row's own."""
    D, half = len(width), len(width) // 2
    H = own_keys.shape[1]
    group = query_SMD.shape[1] // R
    Q = H * group
    for i in range(len(row_B)):
        b, at = row_B[i], at_B[i]
        # The norm over all heads has one scale for the queries and one for the keys.
        query_scale, key_scale = _ONE, _ONE
        if norm == 2:
            total = _ZERO
            for f in range(Q * D):
                total += qkv_BF[i, f] * qkv_BF[i, f]
            query_scale = _ONE / np.sqrt(total / np.float32(Q * D) + eps)
            total = _ZERO
            for f in range(Q * D, (Q + H) * D):
                total += qkv_BF[i, f] * qkv_BF[i, f]
            key_scale = _ONE / np.sqrt(total / np.float32(H * D) + eps)
        for n in range(Q + H):
            factor = query_scale if n < Q else key_scale
            # Head n of row b is row m of product s: blocks' key heads one after another, and in each the rows of the
            # block with as many query heads as share that key head. For a key head s and m mean nothing.
            s, m = b // R * H + n // group, b % R * group + n % group
            if norm == 1:
                total = _ZERO
                for d in range(D):
                    total += qkv_BF[i, n * D + d] * qkv_BF[i, n * D + d]
                factor = _ONE / np.sqrt(total / np.float32(D) + eps)
            # The halves of a head are the parts of D / 2 complex numbers, each turned by its angle.
            for d in range(half):
                left, right = qkv_BF[i, n * D + d] * factor, qkv_BF[i, n * D + half + d] * factor
                if norm:
                    left *= norm_ND[n, d]
                    right *= norm_ND[n, half + d]
                low = left * cos_Bd[i, d] - right * sin_Bd[i, d]
                high = right * cos_Bd[i, d] + left * sin_Bd[i, d]
                if n < Q:
                    query_SMD[s, m, d], query_SMD[s, m, half + d] = low, high
                else:
                    own_keys[b, n - Q, at, d], own_keys[b, n - Q, at, half + d] = low, high
        for h in range(H):
            for d in range(D):
                own_values[b, h, at, d] = qkv_BF[i, (Q + H + h) * D + d]


@njit(nogil=True, fastmath=True, cache=True)
def attend(
    width: Any,
    query_SMD: Any,
    scores_SMT: Any,  # of the prompt's tokens; becomes their weights
    start_G: Any,  # first real position of each prompt
    R: int,
    row_B: Any,
    at_B: Any,
    own_keys: Any,
    own_values: Any,
    scale: Any,
    window: int,  # 0 none
    out_SMD: Any,  # what the row's own tokens add
) -> None:
    """One softmax over a prompt and a row's own tokens."""
    D, H, Tp, group = len(width), own_keys.shape[1], scores_SMT.shape[2], scores_SMT.shape[1] // R
    scores, sum_D = np.empty(own_keys.shape[2], np.float32), np.empty(D, np.float32)
    for i in range(len(row_B)):
        b, at = row_B[i], at_B[i]
        g = b // R
        # Keys in order: the prompt's real ones, then the row's own; a window sees the last of them.
        prompt = Tp - start_G[g]
        first = max(0, prompt + at + 1 - window) if window else 0
        skip_own = max(0, first - prompt)
        begin, T = start_G[g] + min(first, prompt), at + 1 - skip_own
        for n in range(H * group):
            h = n // group
            s, m = g * H + h, b % R * group + n % group
            _dots(query_SMD, s, m, own_keys, b, h, skip_own, T, scores, width)
            # One maximum and one total over both parts: the prompt's scores came out of a matrix product.
            highest = scores[0]
            for t in range(1, T):
                highest = max(highest, scores[t])
            for t in range(begin, Tp):
                highest = max(highest, scores_SMT[s, m, t])
            total = _ZERO
            for t in range(T):
                weight = exp((scores[t] - highest) * scale)
                scores[t] = weight
                total += weight
            for t in range(begin, Tp):
                weight = exp((scores_SMT[s, m, t] - highest) * scale)
                scores_SMT[s, m, t] = weight
                total += weight
            share = _ONE / total
            # Padding and what a window leaves behind weigh nothing in the product with the prompt's values.
            for t in range(begin):
                scores_SMT[s, m, t] = _ZERO
            for t in range(begin, Tp):
                scores_SMT[s, m, t] *= share
            for d in range(D):
                sum_D[d] = _ZERO
            _add_weighted(scores, own_values, b, h, skip_own, T, sum_D, width)
            for d in range(D):
                out_SMD[s, m, d] = sum_D[d] * share


@njit(nogil=True, cache=True)
def unpack(out_SMD: Any, R: int, H: int, row_B: Any, out_BF: Any) -> None:
    """From heads of blocks to rows: (B, Q · D)."""
    group, D = out_SMD.shape[1] // R, out_SMD.shape[2]
    for i in range(len(row_B)):
        b = row_B[i]
        for n in range(H * group):
            for d in range(D):
                out_BF[i, n * D + d] = out_SMD[b // R * H + n // group, b % R * group + n % group, d]
