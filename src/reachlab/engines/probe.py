"""Whether a model can be decoded here, and by the fused CPU decoder: found out before its first token is drawn.

Neither is guessed from a family's name, which says little about a fork or a new version.

**Decoded** (`probe_decoding`): the log-probabilities that come out of a prefill and of steps through our attention must
be those of the model's own forward pass over each sequence alone. A family that fails is refused.

**By the fused CPU decoder** (`Probe.fused_cpu`): a probe alone proves little. A clip may sleep at the probe's
activations, a scaling at its positions, a bias or an expert in weights that are still 0. So four things are asked, and
each holds for any weights, any activations and any position:

- every parameter and buffer is one that the fused CPU decoder reads (`fused_cpu_weights.unread`);
- a step through the modules is made of what it is made of in a Llama or a sparse mixture of that shape (`STEP`,
  `MIXTURE`): no clip, threshold, rounding, maximum or look at a value. Whatever such a step computes is one formula,
  and analytic, so what agrees at points of no special kind agrees everywhere. Operations are seen as torch dispatches
  them, asleep or not;
- attention is told the scale and the window that were read, and neither a cap nor a sink;
- queries, keys, values and logits are the modules' own, near the beginning and beyond every length that the
  configuration names; queries and keys by themselves, for in a new model they hardly move the logits.

All else goes through the modules: slower, never different.

Axes. B: rows, G: prompts, S: own tokens of a row, T: tokens, V: vocabulary, R: rows that are compared.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel

from reachlab.engines.fused_cpu_weights import FusedCpuWeights, unread
from reachlab.engines.kernels import compiled
from reachlab.engines.shared_prefix import AttentionSettings, PrefixCache, shared_prefix_attention
from reachlab.errors import ReachlabError
from reachlab.models.vision import Places
from reachlab.moe.densifying import densified

# fmt: off
STEP = frozenset((
    "_fused_rms_norm", "_to_copy", "_unsafe_view", "add", "add_", "addmm", "alias", "bmm", "cat", "clone", "cos",
    "detach", "div", "embedding", "expand", "mean", "mm", "mul", "mul_", "neg", "permute", "pow", "rsqrt", "select",
    "sigmoid", "silu", "sin", "slice", "split", "split_with_sizes", "squeeze", "sub", "t", "transpose", "unbind",
    "unsqueeze", "view",
))
"""What a step of a Llama-shaped model is made of."""
MIXTURE = frozenset((
    "_grouped_mm", "_softmax", "arange", "cumsum", "div_", "empty_like", "floor_divide", "gather", "histc", "index",
    "index_put_", "new_empty", "sort", "sum", "topk",
))
"""And of a sparse mixture's: what sorts tokens by expert, and the router, which the fused CPU decoder asks as it is."""
# fmt: on
TOLERANCE = 1e-3
"""How far the fused CPU decoder's numbers may be from the modules', in deviations of theirs."""
SAME, SAME_IN_HALF = 1e-2, 0.3
"""How far log-probabilities may be from the model's own, as a share of what another prompt does to them."""
PROMPTS = (5, 2)
"""Tokens of the probe's prompts: one is padded."""
ROWS, STEPS = 2, 2
"""Rows a prompt, and own tokens of each."""
REFUSALS = (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError, NotImplementedError)
"""What a model raises that cannot do with our arguments."""


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The names of the operations that are dispatched, but for what our own attention does."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[str] = set()
        self.off = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self.off:
            self.seen.add(func._schema.name.removeprefix("aten::"))
        return func(*args, **(kwargs or {}))


class ListeningCache(PrefixCache):
    """A cache that keeps the queries of a step, and what each layer says of its attention."""

    def begin(self, watch: Watch) -> None:
        """Listen anew."""
        self.heard, self.settings, self.watch = list[Tensor](), list[AttentionSettings](), watch
        self.queries = self.heard

    def attend(
        self, layer: int, query_BQD: Tensor, key_BHD: Tensor, value_BHD: Tensor, how: AttentionSettings
    ) -> Tensor:
        """See `PrefixCache.attend`."""
        self.watch.off = True
        try:
            self.heard.append(query_BQD.clone())
            self.settings.append(how)
            return super().attend(layer, query_BQD, key_BHD, value_BHD, how)
        finally:
            self.watch.off = False


@dataclass(frozen=True)
class ProbeResult:
    """What was found out."""

    longest: int | None
    """Tokens of a sequence that can be decoded here; None: any. A window that stands in the configuration, and that
    attention is not told of, may be in the model's own mask."""
    weights: FusedCpuWeights | None
    """What the fused CPU decoder has just read, where it may be used."""


def probe_decoding(model: PreTrainedModel) -> ProbeResult:
    """Find out how a model's tokens can be drawn here.

    Raises:
        ReachlabError: its own log-probabilities do not come out.
    """
    half = model.dtype not in (torch.float32, torch.float64) or torch.is_autocast_enabled(model.device.type)
    share = SAME_IN_HALF if half else SAME
    elsewhere = "let --engine vllm or a server (--engine openai) draw from it"
    # Twice: of two experts' scores that are nearly equal, either may be the larger.
    for seed in range(2):
        probe = Probe(model, seed)
        try:
            error, effect = probe.error()
        except REFUSALS as failure:
            reason = (str(failure).strip() or type(failure).__name__).splitlines()[0]
            raise ReachlabError(
                f"{type(model).__name__}: the transformers engine cannot decode this family ({reason[:200]}); "
                f"{elsewhere}"
            ) from failure
        # What is not a number is told when a token is drawn from it.
        if not np.isfinite(effect) or error <= share * effect + 1e-5:
            return ProbeResult(_untold(model.config.get_text_config(), probe.windows), probe.fused_cpu())
    raise ReachlabError(
        f"{type(model).__name__}: the transformers engine would draw from another model: its log-probabilities are off "
        f"by {error:.2g}, where another prompt moves them by {effect:.2g}; {elsewhere}"
    )


class Probe:
    """A few random tokens: prompts of 5 and 2, two rows each, two steps; and one more at positions near and far."""

    def __init__(self, model: PreTrainedModel, seed: int = 0):
        self.model, self.B, self.watch = model, len(PROMPTS) * ROWS, Watch()
        generator = torch.Generator().manual_seed(seed)
        vocabulary, places = int(model.config.get_text_config().vocab_size), Places(model)
        self.prompts = [places.fed(torch.randint(vocabulary, (n,), generator=generator)) for n in PROMPTS]
        self.ids_BS = places.fed(torch.randint(vocabulary, (self.B, STEPS + 1), generator=generator))
        near_BS = torch.tensor(PROMPTS).repeat_interleave(ROWS)[:, None] + torch.arange(STEPS + 1)
        # By different factors, for what grows with the position.
        far_B = (far(model.config) * torch.tensor([0, 1 / 3, 1, 3])).long()
        self.at_BS = torch.cat([near_BS[:, :-1], near_BS[:, -1:] + far_B[:, None]], 1)

    @torch.no_grad()
    def error(self) -> tuple[float, float]:
        """How far our log-probabilities are from the model's own, and how far another prompt moves these; both means
        over entries."""
        rows = [0, self.B - 1]
        with resting(self.model):
            own_RSV = torch.stack([self._alone(b) for b in rows])
        with shared_prefix_attention(self.model):
            first_GV = self._prefill()
            steps = [self._step(step) for step in range(STEPS)]
        ours_RSV = torch.stack([torch.stack([first_GV[b // ROWS], *(s[b] for s in steps)]) for b in rows])
        ours_RSV = ours_RSV.float().log_softmax(-1)
        return float((ours_RSV - own_RSV).abs().mean()), float((own_RSV[0] - own_RSV[1]).abs().mean())

    @property
    def windows(self) -> set[int | None]:
        """What attention was told of, or None for a layer that sees everything; after `error`."""
        return {how.window for how in self.cache.settings} | {None, 0}

    @torch.no_grad()
    def fused_cpu(self) -> FusedCpuWeights | None:
        """The weights as a `FusedCpuDecoder` reads them, if it computes what the model does; after `error`."""
        if not compiled():
            return None
        if self.model.device.type != "cpu" or self.model.dtype != torch.float32 or _answers_otherwise(self.model):
            return None
        try:
            weights = FusedCpuWeights(self.model)
            allowed = STEP | MIXTURE if any(layer.mixture for layer in weights.layers) else STEP
            if unread(self.model) or not self.watch.seen <= allowed or not _as_read(self.cache.settings, weights):
                return None
            with shared_prefix_attention(self.model):
                return weights if self._same(weights) else None
        except REFUSALS:
            return None

    def _same(self, weights: FusedCpuWeights) -> bool:
        """Whether the last step is the fused CPU decoder's, near and far."""
        from reachlab.engines.fused_cpu import FusedCpuDecoder  # with its kernels

        fused = deepcopy(self.cache)
        logits_BV = self._step(STEPS)
        fused.begin(self.watch)
        fused.begin_fused_cpu_step(len(PROMPTS), max(PROMPTS))
        rows, own_B = np.arange(self.B), np.full(self.B, STEPS)
        decoder = FusedCpuDecoder(weights, self.at_BS[:, STEPS], self.B)
        fused_BV = decoder.logits(rows, self.ids_BS[:, STEPS].contiguous(), own_B, rows, fused)
        kept = zip(self.cache.own_GRHTD, fused.own_GRHTD, strict=True)
        pairs = [
            (logits_BV, fused_BV),
            *zip(self.cache.heard, fused.heard, strict=True),
            *(pair for theirs, ours in kept for pair in zip(theirs, ours, strict=True)),
        ]
        return all(_close(*pair) for pair in pairs)

    # -- the model's way --------------------------------------------------------------------------------------------

    def _alone(self, row: int) -> Tensor:
        """log π after the row's prompt and each of its own tokens, by the model's own forward pass: (S + 1, V)."""
        prompt = self.prompts[row // ROWS]
        ids = torch.cat([prompt, self.ids_BS[row, :STEPS]])[None].to(self.model.device)
        logits_TV: Tensor = self.model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 :]
        return logits_TV.float().log_softmax(-1)

    def _prefill(self) -> Tensor:
        device, longest = self.model.device, max(PROMPTS)
        ids_GT = torch.zeros(len(PROMPTS), longest, dtype=torch.long)
        valid_GT = torch.zeros_like(ids_GT, dtype=torch.bool)
        for g, prompt in enumerate(self.prompts):
            ids_GT[g, longest - len(prompt) :], valid_GT[g, longest - len(prompt) :] = prompt, True
        self.cache = ListeningCache(len(PROMPTS), ROWS, longest, STEPS + 1, device)
        self.cache.begin_prefill(valid_GT.to(device))
        logits_GV: Tensor = self.model(
            input_ids=ids_GT.to(device),
            position_ids=(valid_GT.cumsum(1) - 1).clamp_(min=0).to(device),
            use_cache=False,
            prefix_cache=self.cache,
        ).logits[:, -1]
        for block in range(len(PROMPTS)):
            self.cache.place(block, block)
        return logits_GV

    def _step(self, step: int) -> Tensor:
        device = self.model.device
        self.cache.begin(self.watch)
        self.cache.begin_step(len(PROMPTS), torch.full((self.B,), step, device=device), step + 1, max(PROMPTS))
        ids_B1, at_B1 = (x_BS[:, step : step + 1].to(device) for x_BS in (self.ids_BS, self.at_BS))
        with self.watch:
            output = self.model(input_ids=ids_B1, position_ids=at_B1, use_cache=False, prefix_cache=self.cache)
        logits_BV: Tensor = output.logits[:, -1]
        return logits_BV


@contextmanager
def resting(model: PreTrainedModel) -> Iterator[None]:
    """In evaluation mode for a while; then every module as it was."""
    awake = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in awake:
            module.training = True


def far(config: Any) -> int:
    """A position beyond every length that a configuration names, at any depth."""
    return max(2048, 2 * max(_lengths(config.to_dict()), default=0))


def _lengths(config: Mapping[str, Any]) -> Iterator[int]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _lengths(value)
        elif any(word in str(name) for word in ("position", "length", "window", "context", "chunk", "size")):
            yield from [int(value)] if isinstance(value, int | float) and 0 < value < 1 << 26 else []


def _untold(config: Any, windows: set[int | None]) -> int | None:
    """The window that a configuration has for its layers, where none of them tells it."""
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    return window if window not in windows and (kinds is None or "sliding_attention" in kinds) else None


def _as_read(settings: list[AttentionSettings], weights: FusedCpuWeights) -> bool:
    """Whether attention was told what was read, by every layer."""
    read = [(float(layer.scale), layer.window) for layer in weights.layers]
    used = [(float(np.float32(how.scale)), how.window or 0) for how in settings]
    return read == used and all(not how.softcap and how.sinks_Q is None for how in settings)


def _close(theirs: Tensor, ours: Tensor) -> bool:
    return bool((theirs - ours).abs().max() <= TOLERANCE * (theirs.std() + 1e-6))


def _answers_otherwise(model: PreTrainedModel) -> bool:
    """Whether a method of `reachlab.moe` changes what the experts' sums are, in evaluation too."""
    dense = densified(model)
    return dense is not None and dense.answers_when_frozen
