"""The loss of next-token prediction: −Σ log p(y_t | y_<t) over the tokens to be learned, in nats.

Axes. B: sequences, T: tokens, V: entries of the vocabulary.
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def next_token_loss(logits_BTV: Tensor, ids_BT: Tensor, learn_BT: Tensor) -> Tensor:
    """The sum of the learned tokens' cross-entropies, a scalar in nats, float32 or wider.

    Args:
        logits_BTV: (B, T, V), what the model makes of the tokens; those at t predict the token at t + 1. They may go
            further than the last token but one, which predicts nothing here.
        ids_BT: (B, T), int64, the tokens.
        learn_BT: (B, T), true where a token is to be predicted; nothing predicts the first.
    """
    chosen = learn_BT[:, 1:].nonzero(as_tuple=True)
    logits_KV = logits_BTV[chosen]
    logits_KV = logits_KV.to(torch.promote_types(logits_KV.dtype, torch.float32))
    return F.cross_entropy(logits_KV, ids_BT[:, 1:][chosen], reduction="sum")
