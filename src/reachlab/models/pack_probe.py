"""Whether a model can be packed, found out on a few tokens and not guessed from its name.

A model is packed where the log-probabilities of a small probe are those of padded rows, to within a share of what
another prompt makes of them. A family whose log-probabilities depend on what comes after a token, or on padding, is
refused: nothing that it says of an answer could be used.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from reachlab.errors import ReachlabError
from reachlab.models.pack import Pack
from reachlab.models.pack_building import PackBudget, packed, padded
from reachlab.models.vision import Places

INDEXED = "indexed_attention"
"""Layers that choose the keys they attend to."""
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-2}
"""How far the probe may be off, as a share of what another prompt does to it; half precision: `HALF_TOLERANCE`."""
HALF_TOLERANCE = 0.3
MISFITS = (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError, NotImplementedError)
"""What a model raises that cannot do with our arguments."""

Logprobs = Callable[[Pack], Tensor]
"""log π of a pack's answer tokens, (B, T), by the model that is probed."""


def keeps_logits(model: Any) -> bool:
    """Whether the model makes logits only where it is asked to."""
    ids = torch.zeros(1, 3, dtype=torch.long, device=model.device)
    try:
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=torch.tensor([1], device=ids.device)).logits
    except MISFITS:
        return False
    return bool(logits.shape[1] == 1)


def ends_with_a_head(model: Any) -> bool:
    """Whether its logits are what its head makes of its body's last hidden states, bit for bit, and no more."""
    ids = torch.arange(4, device=model.device)[None] % _vocabulary(model)
    try:
        logits = model(input_ids=ids, use_cache=False).logits
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
        return torch.equal(model.get_output_embeddings()(hidden), logits)
    except (*MISFITS, AssertionError):
        return False


def refuse_looking_ahead(model: Any, places: Places, logprobs: Logprobs) -> None:
    """See that padded rows are what each row is alone, and that a row's beginning is what it is without its end.
    (transformers' Doge and A.X K2 choose the keys that are attended to among those that follow, too.)

    Args:
        model: in evaluation mode, with gradients off (`probing`).
        places: its positions of pictures.
        logprobs: of a pack's answer tokens, by this model.
    """
    if INDEXED in (getattr(model.config.get_text_config(), "layer_types", None) or ()):
        # Keys are chosen by a score, which a short probe does not see; several such families come out wrong.
        raise ReachlabError(
            f"{type(model).__name__}: a token's log-probability may depend on what comes after it or on padding "
            f"({INDEXED}), so its answers can be neither scored nor trained on"
        )
    generator = torch.Generator().manual_seed(0)
    ids = [torch.randint(_vocabulary(model), (n,), generator=generator).tolist() for n in (16, 9, 16)]
    pairs = [([row[0]], row[1:]) for row in ids]

    def of(*rows: tuple[list[int], list[int]]) -> Tensor:
        (pack,) = padded([p for p, _ in rows], [[a] for _, a in rows], PackBudget(), places)
        pack = pack.to(model.device)
        return logprobs(pack)[pack.index_B.argsort()]

    try:
        together = of(*pairs)
        begun, short = of((pairs[0][0], pairs[0][1][:7]))[0], of(pairs[1])[0]
    except MISFITS:
        return  # told where it is used
    error = torch.cat([together[0, :7] - begun, together[1, :8] - short]).abs().mean()
    effect = (together[0] - together[2]).abs().mean()
    if bool(effect.isfinite()) and error > TOLERANCE.get(model.dtype, HALF_TOLERANCE) * effect + 1e-5:
        raise ReachlabError(
            f"{type(model).__name__}: as transformers computes this family, a token's log-probability depends on "
            f"what comes after it or on padding (by {float(error):.2g}), so its answers can be neither scored nor "
            "trained on"
        )


def reproduces(model: Any, places: Places, logprobs: Logprobs) -> bool:
    """Whether packed log-probabilities are those of padded rows, beside what another prompt makes of them.

    Args:
        model: in evaluation mode, with gradients off (`probing`), and with our attention.
        places: its positions of pictures.
        logprobs: of a pack's answer tokens, by this model.
    """
    generator = torch.Generator().manual_seed(0)

    def draw(*lengths: int) -> list[list[int]]:
        return [torch.randint(_vocabulary(model), (n,), generator=generator).tolist() for n in lengths]

    prompts, others, answers = draw(5, 2, 4), draw(5, 2, 4), [draw(6, 1, 4, 5), draw(3, 7), draw(5, 5)]
    packs = [
        *packed(prompts, answers, PackBudget(), places, 1),
        *padded(prompts, answers, PackBudget(), places),
        *padded(others, answers, PackBudget(), places),
    ]
    packs = [pack.to(model.device) for pack in packs]
    ours, plain, other = (logprobs(pack)[pack.index_B.argsort()] for pack in packs)
    error, effect = (ours - plain).abs().mean(), (other - plain).abs().mean()
    # The probe is shorter than most windows: a layer that has one must have told us.
    text, layout = model.config.get_text_config(), packs[0].layout
    windows = set() if layout is None else layout.windows
    heard = "sliding_attention" not in attention_kinds(text) or text.sliding_window in windows
    return heard and bool(error < TOLERANCE.get(model.dtype, HALF_TOLERANCE) * effect)


def attention_kinds(config: Any) -> set[str]:
    """The kinds of layers of a text model."""
    if layers := getattr(config, "layer_types", None):
        return set(layers)
    return {"sliding_attention" if getattr(config, "sliding_window", None) else "full_attention"}


def _vocabulary(model: Any) -> int:
    return int(model.config.get_text_config().vocab_size)


@contextmanager
def probing(model: nn.Module) -> Iterator[None]:
    """Without gradients and dropout for a while."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
