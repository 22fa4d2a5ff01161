"""What packs spend their time in on a CPU where no gradient is asked for, in one pass over memory each.

    o_t = Σ_s softmax_s(scale · q_t · k_s) v_s,      s over the prompt's tokens and the answer's own up to t
    log π(y) = x_y − max x − log Σ_v exp(x_v − max x)

`attend`: torch's kernel wants rows of equal length and a mask, and computes what the mask then hides; gathered for it,
a prompt's keys are copied once an answer. Here each sequence's keys are laid out once a head, transposed, so that a
query meets many of them at a time, and two queries go together, so that a key is loaded half as often.
`log_softmax_at`: one number a row is wanted, and torch writes all.

Numba compiles them at first use (`attend` for each width of a head) and keeps the result on disk. They release the GIL.
They are told to assume that all numbers are finite, so whoever calls them looks first.
"""

from typing import Any

import numpy as np
from numba import njit

_LOG2E, _LN2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)
_C2, _C3, _C4, _C5, _C6 = (np.float32(1 / f) for f in (2, 6, 24, 120, 720))
_ONE, _ZERO, _HALF, _HIDDEN = np.float32(1), np.float32(0), np.float32(0.5), np.float32(-1e30)
_BIAS, _MANTISSA = np.int32(127), np.int32(23)


@njit(inline="always", fastmath=True)
def _exp(x: Any) -> Any:
    """e^x for x ≤ 0, to float32 rounding; below e^-87 it stays there. The power of two is written as its bits."""
    scaled = max(x, np.float32(-87)) * _LOG2E
    whole = min(max(np.int32(scaled - _HALF), np.int32(-126)), np.int32(0))
    f = (scaled - np.float32(whole)) * _LN2
    series = _ONE + f * (_ONE + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * _C6)))))
    return series * np.int32((whole + _BIAS) << _MANTISSA).view(np.float32)


@njit(nogil=True, fastmath=True, error_model="numpy", cache=True)
def log_softmax_at(logits_KV: Any, targets_K: Any, out_K: Any) -> None:
    """The log-probability of one entry of each row."""
    K, V = logits_KV.shape
    for k in range(K):
        highest, total = logits_KV[k, 0], _ZERO
        for v in range(V):
            highest = max(highest, logits_KV[k, v])
        for v in range(V):
            total += _exp(logits_KV[k, v] - highest)
        out_K[k] = logits_KV[k, targets_K[k]] - highest - np.log(total)


@njit(nogil=True, fastmath=True, error_model="numpy", cache=True)
def attend(
    width: Any,  # a tuple as long as a head is wide, a multiple of 4: its length is a constant to the compiler
    query_LQD: Any,
    key_LHD: Any,
    value_LHD: Any,
    rows_N4: Any,  # of each sequence: where its prompt begins, how long it is, where its own tokens begin, how many
    scale: Any,
    out_LQD: Any,
) -> None:
    """Every token's attention to its prompt and to what came before it in its own sequence."""
    H, longest = key_LHD.shape[1], 0
    group = query_LQD.shape[1] // H
    for n in range(len(rows_N4)):
        longest = max(longest, rows_N4[n, 1] + rows_N4[n, 3])
    keys_DS, values_SD = np.empty((len(width), longest), np.float32), np.empty((longest, len(width)), np.float32)
    a_S, b_S = np.empty(longest, np.float32), np.empty(longest, np.float32)  # scores, then weights, of two queries
    q_D, r_D = np.empty(len(width), np.float32), np.empty(len(width), np.float32)  # the queries
    o_D, p_D = np.empty(len(width), np.float32), np.empty(len(width), np.float32)  # their answers
    for n in range(len(rows_N4)):
        before, W, own, T = rows_N4[n, 0], rows_N4[n, 1], rows_N4[n, 2], rows_N4[n, 3]
        for h in range(H):
            for s in range(W + T):
                at = before + s if s < W else own + s - W
                for d in range(len(width)):
                    keys_DS[d, s], values_SD[s, d] = key_LHD[at, h, d], value_LHD[at, h, d]
            for head in range(h * group, (h + 1) * group):
                for t in range(0, T, 2):
                    # The last query may be alone; it then stands for both.
                    both = t + 1 < T
                    first, second = own + t, own + t + 1 if both else own + t
                    S = W + t + 2 if both else W + t + 1
                    for d in range(len(width)):
                        q_D[d], r_D[d] = query_LQD[first, head, d] * scale, query_LQD[second, head, d] * scale
                    for s in range(S):
                        a_S[s], b_S[s] = _ZERO, _ZERO
                    for d in range(0, len(width), 4):
                        q, q1, q2, q3 = q_D[d], q_D[d + 1], q_D[d + 2], q_D[d + 3]
                        r, r1, r2, r3 = r_D[d], r_D[d + 1], r_D[d + 2], r_D[d + 3]
                        for s in range(S):
                            k, k1, k2, k3 = keys_DS[d, s], keys_DS[d + 1, s], keys_DS[d + 2, s], keys_DS[d + 3, s]
                            a_S[s] += q * k + q1 * k1 + q2 * k2 + q3 * k3
                            b_S[s] += r * k + r1 * k1 + r2 * k2 + r3 * k3
                    if both:
                        a_S[S - 1] = _HIDDEN  # the second query itself comes after the first
                    highest_a, highest_b = a_S[0], b_S[0]
                    for s in range(S):
                        highest_a, highest_b = max(highest_a, a_S[s]), max(highest_b, b_S[s])
                    total_a, total_b = _ZERO, _ZERO
                    for s in range(S):
                        weight = _exp(a_S[s] - highest_a)
                        a_S[s] = weight
                        total_a += weight
                        weight = _exp(b_S[s] - highest_b)
                        b_S[s] = weight
                        total_b += weight
                    for d in range(len(width)):
                        o_D[d], p_D[d] = _ZERO, _ZERO
                    for s in range(0, S - 3, 4):
                        a, a1, a2, a3 = a_S[s], a_S[s + 1], a_S[s + 2], a_S[s + 3]
                        b, b1, b2, b3 = b_S[s], b_S[s + 1], b_S[s + 2], b_S[s + 3]
                        for d in range(len(width)):
                            v, v1 = values_SD[s, d], values_SD[s + 1, d]
                            v2, v3 = values_SD[s + 2, d], values_SD[s + 3, d]
                            o_D[d] += a * v + a1 * v1 + a2 * v2 + a3 * v3
                            p_D[d] += b * v + b1 * v1 + b2 * v2 + b3 * v3
                    for s in range(S - S % 4, S):
                        for d in range(len(width)):
                            o_D[d] += a_S[s] * values_SD[s, d]
                            p_D[d] += b_S[s] * values_SD[s, d]
                    # The second first: where one stands for both, the first is the one that saw no hidden key.
                    for d in range(len(width)):
                        out_LQD[second, head, d] = p_D[d] / total_b
                    for d in range(len(width)):
                        out_LQD[first, head, d] = o_D[d] / total_a
