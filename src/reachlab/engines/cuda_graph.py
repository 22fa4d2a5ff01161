"""A decoding step as one CUDA graph: launched at once, where a small model's many kernels would wait for the host.

A graph is made for shapes, so shapes are few: own tokens are attended to up to the next multiple of `BUCKET`, prefixes
in full, with what is not there masked. Blocks are rounded up to the next power of two, or to all there are: a batch
that shrinks block by block at its end would otherwise meet a new shape at every other step. A graph a (blocks, bucket),
captured when first met, replayed ever after; the inputs are copied into its own tensors. A model that cannot be
captured (one that asks the host in the middle of its forward pass) is run as before.

Axes. B: rows, V: entries of the vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812
from transformers import PreTrainedModel

from reachlab.engines.shared_prefix import PrefixCache

BUCKET = 64
WARM_UPS = 2


@dataclass
class _Graph:
    """One shape's graph, its inputs and its output."""

    graph: Any
    ids_B1: torch.Tensor
    own_B: torch.Tensor
    positions_B1: torch.Tensor
    logits_BV: torch.Tensor


class CudaGraphSteps:
    """The steps of one batch."""

    def __init__(self, model: PreTrainedModel, cache: PrefixCache):
        self.model, self.cache = model, cache
        self.graphs: dict[tuple[int, int], _Graph] = {}
        self.pool: Any = None
        self.works = model.device.type == "cuda"

    def bucket(self, longest: int) -> int:
        """Own tokens that a step attends to, for a longest row of `longest`."""
        return min(-(-longest // BUCKET) * BUCKET, self.cache.own_tokens)

    def rounded(self, blocks: int) -> int:
        """Blocks that a step computes, for `blocks` in use; those beyond are places that nothing reads."""
        return min(1 << (blocks - 1).bit_length(), self.cache.blocks)

    def logits(
        self, blocks: int, ids_B: torch.Tensor, own_B: torch.Tensor, positions_B: torch.Tensor, longest: int
    ) -> torch.Tensor:
        """Logits (B, V) after tokens `ids_B`, each its row's `own_B`-th own token, at `positions_B` of the sequence.

        Args:
            blocks: blocks in the batch, of as many rows each as the cache has.
            ids_B: (B,), int64, the tokens that are fed.
            own_B: (B,), int64, how many own tokens each row has before this one.
            positions_B: (B,), int64, their positions in their sequences.
            longest: own tokens of the longest row, this one included.
        """
        key = (self.rounded(blocks), self.bucket(longest))
        rows, spare = len(ids_B), (key[0] - blocks) * self.cache.rows
        if spare:
            ids_B, own_B, positions_B = (F.pad(x_B, (0, spare)) for x_B in (ids_B, own_B, positions_B))
        if self.works and key not in self.graphs:
            try:
                self.graphs[key] = self._capture(key, ids_B, own_B, positions_B)
            except RuntimeError:
                # Whatever the reason, the step itself is as right as ever.
                self.works = False
                torch.cuda.synchronize()
        if not self.works:
            return self.forward(key, ids_B[:, None], own_B, positions_B[:, None])[:rows]
        graph = self.graphs[key]
        graph.ids_B1.copy_(ids_B[:, None])
        graph.own_B.copy_(own_B)
        graph.positions_B1.copy_(positions_B[:, None])
        graph.graph.replay()
        return graph.logits_BV[:rows]

    def forward(
        self, key: tuple[int, int], ids_B1: torch.Tensor, own_B: torch.Tensor, positions_B1: torch.Tensor
    ) -> torch.Tensor:
        """The step that is captured: its shapes are the key's, and nothing in it waits for the device."""
        blocks, longest = key
        self.cache.begin_padded_step(blocks, own_B, longest)
        out = self.model(input_ids=ids_B1, position_ids=positions_B1, use_cache=False, prefix_cache=self.cache)
        logits_BV: torch.Tensor = out.logits[:, -1]
        return logits_BV

    def _capture(
        self, key: tuple[int, int], ids_B: torch.Tensor, own_B: torch.Tensor, positions_B: torch.Tensor
    ) -> _Graph:
        inputs = ids_B[:, None].clone(), own_B.clone(), positions_B[:, None].clone()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                self.forward(key, *inputs)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            logits_BV = self.forward(key, *inputs)
        self.pool = graph.pool()
        return _Graph(graph, *inputs, logits_BV)
