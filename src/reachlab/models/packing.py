"""Log-probabilities of many answers in packs: no padding, and a prompt is computed once for all its answers.

A pack is one row of L tokens: its prompts, then its answers, end to end. Embeddings, projections, MLPs, experts and
norms see these L = ΣTp + ΣT tokens and nothing else. Only attention must know where a sequence ends: answer i of
prompt p, at position t after its prompt, attends to

    keys = [ prompt p (shared by its answers) ; answer i up to t ],      position = Tp + t

so in there, queries, keys and values are gathered into padded rows, and the result back into the pack. A prompt's keys
get the sum of its answers' gradients, which is the gradient of the rows computed one by one. An answer's last token is
never fed, for nothing is predicted from it; logits are made only where an answer's token is.

Prompts shared in the forward pass: Prefix Grouper (arXiv 2506.05433); sequences end to end: arXiv 2107.02027. Theirs
group the answers of one prompt, ours packs many prompts under one budget of tokens.

The attention function (`packed_attention.py`) is registered with transformers' `AttentionInterface`; what it needs
travels as a keyword through the model's own forward pass, so no model is edited and several threads may call one
model. Whether a model hands the keyword on, and has nothing else that crosses the border between two answers (a
convolution, a recurrence), is not guessed from its name: the log-probabilities of a small probe must be those of padded
rows. Other models get padded rows, sorted by length, through the same functions.

Axes. B: answers, T: tokens of an answer, K: answer tokens of all of them, R, L: rows and tokens of what the model is
fed, H: hidden width.
"""

from collections.abc import Sequence
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from reachlab.errors import ReachlabError
from reachlab.models.pack import Pack, inputs
from reachlab.models.pack_building import PackBudget, packed, padded
from reachlab.models.pack_probe import (
    MISFITS,
    attention_kinds,
    ends_with_a_head,
    keeps_logits,
    probing,
    refuse_looking_ahead,
    reproduces,
)
from reachlab.models.packed_attention import NAME
from reachlab.models.positions import refuse_unsteady
from reachlab.models.token_logprobs import token_logprobs
from reachlab.models.vision import Places, set_text_attention

KINDS = {"full_attention", "sliding_attention"}
"""Kinds of layers whose mask follows from positions and a window."""
HEAD_LOGITS = 1 << 19
"""Logits that `Packer.sums` makes at a time on a CPU: what stays in its cache."""
ACCELERATOR_HEAD_LOGITS = 1 << 27
"""Likewise elsewhere."""
HEAD_ROWS = 256
"""Yet so many rows at least: for fewer, a head is read from memory more often than it is computed with."""


class Packer:
    """Packs rollouts for a model, and computes their log-probabilities and values."""

    def __init__(self, model: Any):
        """Find out, on a few tokens, whether `model` can be packed.

        A model that can is left with our attention, which computes what its own did wherever no pack is given. Give
        the model itself or a peft model around it, before it is wrapped for several processes.

        Raises:
            ReachlabError: a token's log-probability depends on what comes after it, or on padding.
        """
        self._lock = Lock()
        text = model.config.get_text_config()
        self._text = text
        self._vocabulary, self._hidden = int(text.vocab_size), int(getattr(text, "hidden_size", 0) or 1)
        self.fits = False
        before = text._attn_implementation
        self._places = Places(model)

        def logprobs(pack: Pack) -> Tensor:
            return self.logprobs(model, pack)[0]

        with probing(model):
            self._keeps = keeps_logits(model)
            self.head_alone = ends_with_a_head(model)
            if getattr(model, "_supports_attention_backend", False) and attention_kinds(text) <= KINDS:
                try:
                    set_text_attention(model, NAME)
                    self.fits = reproduces(model, self._places, logprobs)
                except MISFITS:
                    self.fits = False
                if not self.fits:
                    set_text_attention(model, before)
            if not self.fits:
                refuse_looking_ahead(model, self._places, logprobs)

    def pack(
        self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[Sequence[int]]], tokens: int, pieces: int = 1
    ) -> list[Pack]:
        """The answers in packs of nearly equal cost.

        Args:
            prompts: P prompts of at least one token.
            answers: the answers to each, any number of them, each of at least one token.
            tokens: most tokens of a pack; a prompt and an answer that are longer make a pack of their own.
            pieces: packs are made to be computed by so many workers: a multiple of it, where the answers are
                enough. A prompt whose answers fall into several packs is in each of them.

        Raises:
            ReachlabError: an empty prompt or answer, a number below 1, or sequences too long for a token to have one
                probability (`models/positions.py`).
        """
        both = zip(prompts, answers, strict=True)
        refuse_unsteady(self._text, max((len(p) + max(map(len, row)) for p, row in both if row), default=0))
        if tokens < 1 or pieces < 1:
            raise ReachlabError(f"packing: tokens={tokens} and pieces={pieces} must be 1 or more")
        if any(not a for row in answers for a in row) or any(
            not p for p, row in zip(prompts, answers, strict=True) if row
        ):
            raise ReachlabError("packing: an empty prompt or answer; leave out what has no token to predict, or from")
        budget = PackBudget(tokens, pieces)
        if self.fits:
            return packed(prompts, answers, budget, self._places, self._hidden)
        return padded(prompts, answers, budget, self._places)

    def logprobs(
        self, model: Any, pack: Pack, temperature: float = 1.0, entropy: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """log π of each answer token with gradient and, if asked, the entropy there without; (B, T), zero off the mask.

        `model` is the one this packer was made for, or another of its architecture. Several threads may call at once.

        Args:
            model: the one this packer was made for, or another of its architecture.
            pack: from `pack`, on the model's device.
            temperature: what logits are divided by.
            entropy: whether entropies are made too.

        Raises:
            ReachlabError: a temperature that is not above 0.
        """
        self._prepare(model, pack)
        if pack.layout is None:
            columns = torch.arange(pack.first, pack.ids_RL.shape[1] - 1, device=pack.ids_RL.device)
            targets = pack.ids_RL[:, pack.first + 1 :]
        else:
            columns = pack.from_K
            targets = pack.targets_BT.flatten()[pack.slots_K][None]
        keep = {"logits_to_keep": columns} if self._keeps else {}
        logits = model(**inputs(pack), **keep).logits
        if not self._keeps:
            logits = logits[:, columns]
        both = token_logprobs(logits, targets, temperature, entropy=entropy)
        at_K = pack.from_K if pack.layout is None else slice(None)
        logprobs, entropies = (x if x is None else pack.rows(x.flatten()[at_K]) for x in both)
        assert logprobs is not None
        return logprobs, entropies

    @torch.no_grad()
    def sums(self, model: Any, pack: Pack) -> Tensor:
        """Σ_t log π of each answer at temperature 1, without gradient: (B,), float64.

        Logits are made a few rows at a time where the model's head can be asked alone, so that a large vocabulary
        takes no memory. `model` is the one this packer was made for, or a copy; it is not wrapped.

        Args:
            model: the one this packer was made for, or a copy, not wrapped.
            pack: from `pack`, on the model's device.
        """
        if not self.head_alone:
            return self.logprobs(model, pack)[0].double().sum(1)
        self._prepare(model, pack)
        hidden_RLH = model.base_model(**inputs(pack)).last_hidden_state
        if pack.layout is None:
            hidden_RLH = hidden_RLH[:, pack.first : -1]
        hidden_KH = hidden_RLH.flatten(0, 1).index_select(0, pack.from_K)
        targets_K = pack.targets_BT.flatten()[pack.slots_K]
        head = model.get_output_embeddings()
        logits = HEAD_LOGITS if hidden_KH.device.type == "cpu" else ACCELERATOR_HEAD_LOGITS
        rows = max(HEAD_ROWS, logits // self._vocabulary)
        pieces = zip(torch.split(hidden_KH, rows), torch.split(targets_K, rows), strict=True)
        logprobs_K = torch.cat([token_logprobs(head(h_KH)[None], at_K[None])[0][0] for h_KH, at_K in pieces])
        return pack.rows(logprobs_K.double()).sum(1)

    def values(self, body: Any, head: nn.Linear, pack: Pack) -> Tensor:
        """A critic's value of the state in which each answer token was drawn: (B, T), zero off the mask.

        Args:
            body: a backbone without its head, of the architecture this packer was made for.
            head: (H) to 1. It is applied to the last hidden state that predicts the token.
            pack: from `pack`.
        """
        self._prepare(body, pack)
        hidden_RLH = body(**inputs(pack)).last_hidden_state
        if pack.layout is None:
            hidden_RLH = hidden_RLH[:, pack.first : -1]
        hidden_KH = hidden_RLH.flatten(0, 1).index_select(0, pack.from_K)
        values_K = head(hidden_KH.to(head.weight.dtype)).squeeze(-1)
        return pack.rows(values_K.to(torch.promote_types(values_K.dtype, torch.float32)))

    def _prepare(self, model: Any, pack: Pack) -> None:
        """See that a copy, a reference or a critic attends as the pack wants it."""
        inner = getattr(model, "module", model)
        with self._lock:
            if pack.layout is not None and inner.config.get_text_config()._attn_implementation != NAME:
                set_text_attention(inner, NAME)
