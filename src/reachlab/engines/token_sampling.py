"""From logits to tokens: temperature, top-k, top-p, and the inverse of the cumulative distribution at a given uniform.

    token = min { v : Σ_{w ≤ v} p_w > u · Σ_w p_w }

One uniform a token (and not one a vocabulary entry, as the Gumbel trick would take) keeps a draw a function of the
sample's own counter, see `rng.py`.

Axes. B: rows, V: entries of the vocabulary, K: the likeliest of them that are kept.
"""

import numpy as np
import torch

from reachlab.engines.config import Decoding
from reachlab.engines.kernels import compiled
from reachlab.errors import ReachlabError


def sample_tokens(
    logits_BV: torch.Tensor, uniforms_B: torch.Tensor, decoding: Decoding, places_B: np.ndarray | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose the next token of every row, or, with `places_B`, one from each of these rows.

    Args:
        logits_BV: (B, V), of any floating dtype.
        uniforms_B: one number in [0, 1) a token that is drawn, float32.
        decoding: temperature, top-k and top-p.
        places_B: which rows of the logits to draw from, one a token; None: each once.

    Returns:
        tokens_B (int64) and logprobs_B (float32): the model's own log-probability of each token, at temperature 1 and
        before any truncation.

    Raises:
        ReachlabError: logits that are not numbers.
    """
    if logits_BV.device.type == "cpu" and compiled():
        return _sample_by_rows(logits_BV.float().contiguous(), uniforms_B, decoding, places_B)
    return sample_at_once(logits_BV if places_B is None else logits_BV[places_B], uniforms_B, decoding)


def _sample_by_rows(
    logits_BV: torch.Tensor, uniforms_B: torch.Tensor, decoding: Decoding, places_B: np.ndarray | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """On a CPU: one kernel, a row at a time."""
    from reachlab.engines import token_sampling_kernels as kernels  # with numba, which an extra brings

    tokens_B, logprobs_B = np.empty(len(uniforms_B), np.int64), np.empty(len(uniforms_B), np.float32)
    logits = logits_BV.numpy()
    if not kernels.draw(
        logits, logits.view(np.int32), np.arange(len(logits)) if places_B is None else places_B, uniforms_B.numpy(),
        float(decoding.temperature), decoding.top_k, float(decoding.top_p), tokens_B, logprobs_B,
    ):  # fmt: skip
        raise _not_finite()
    return torch.from_numpy(tokens_B), torch.from_numpy(logprobs_B)


def sample_at_once(
    logits_BV: torch.Tensor, uniforms_B: torch.Tensor, decoding: Decoding
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same in operations over all rows, as an accelerator wants it, and a CPU without kernels has it.

    Args:
        logits_BV: (B, V), of any floating dtype.
        uniforms_B: (B,), in [0, 1), float32.
        decoding: temperature, top-k and top-p.
    """
    logits_BV = logits_BV.float()
    if decoding.temperature == 0:
        highest_B, tokens_B = logits_BV.max(-1)
        _check_finite(highest_B)
        return tokens_B, _logprob(logits_BV, tokens_B)
    plain = decoding.temperature == 1 and decoding.top_p == 1 and not decoding.top_k
    scaled_BV = logits_BV
    if decoding.temperature != 1:
        # From the highest down, so that a temperature near 0 leaves 0 and -inf, and not inf - inf.
        scaled_BV = (logits_BV - logits_BV.amax(-1, keepdim=True)) / decoding.temperature
    probs_BV = scaled_BV.softmax(-1)
    if decoding.top_k or decoding.top_p < 1:
        probs_BV = _truncate(probs_BV, decoding)
    cumulative_BV = probs_BV.cumsum(-1)
    total_B1 = cumulative_BV[:, -1:]
    _check_finite(total_B1)
    # Strictly below the total, so that a token with probability above 0 is always found.
    target_B1 = torch.minimum(uniforms_B[:, None] * total_B1, torch.nextafter(total_B1, torch.zeros_like(total_B1)))
    tokens_B = torch.searchsorted(cumulative_BV, target_B1, right=True)[:, 0]
    if plain:
        return tokens_B, probs_BV.gather(1, tokens_B[:, None])[:, 0].log()
    return tokens_B, _logprob(logits_BV, tokens_B)


def _check_finite(values: torch.Tensor) -> None:
    if not bool(values.isfinite().all()):
        raise _not_finite()


def _not_finite() -> ReachlabError:
    return ReachlabError(
        "the model's logits are not finite: its weights are damaged, or its dtype is too narrow for them"
    )


def _logprob(logits_BV: torch.Tensor, tokens_B: torch.Tensor) -> torch.Tensor:
    return logits_BV.gather(1, tokens_B[:, None])[:, 0] - logits_BV.logsumexp(-1)


def _truncate(probs_BV: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """Zero what top-k and then top-p leave out (the likeliest token always stays)."""
    width = min(decoding.top_k or probs_BV.shape[-1], probs_BV.shape[-1])
    kept_BK, ids_BK = probs_BV.topk(width, dim=-1)
    if decoding.top_p < 1:
        before_BK = kept_BK.cumsum(-1) - kept_BK
        share_B1 = decoding.top_p * kept_BK.sum(-1, keepdim=True)
        kept_BK = torch.where(before_BK < share_B1, kept_BK, torch.zeros_like(kept_BK))
    return torch.zeros_like(probs_BV).scatter_(1, ids_BK, kept_BK)
