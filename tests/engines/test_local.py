from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from reachlab.engines.config import Decoding
from reachlab.engines.local import LocalEngine
from reachlab.engines.transformers import TransformersDecoder


def engine(parameters: float, rows: int, threads: int, device: str = "cpu") -> LocalEngine:
    model = SimpleNamespace(dtype=torch.float32, device=torch.device(device), num_parameters=lambda: int(parameters))
    decoder = SimpleNamespace(
        name="x", model=model, choose_rows=lambda decoding, longest: rows, batches=lambda: threads
    )
    return LocalEngine(cast(TransformersDecoder, decoder), cast(Any, None))


@pytest.mark.parametrize(
    ("parameters", "rows", "threads", "device", "max_tokens", "samples"),
    [
        (4e5, 512, 2, "cpu", 24, 4 * 2 * 512),  # a small model: four full batches, in seconds
        (135e6, 185, 2, "cpu", 64, 2 * 173),  # as much as 5e10 products a second allow in a minute
        (135e6, 185, 2, "cpu", 16384, 2 * 32),  # no fewer than keep a core busy, though they take longer
        (7e9, 8, 1, "cpu", 256, 32),
        (7e9, 256, 1, "cuda", 256, 4 * 256),
        (7e9, 256, 1, "cuda", 1000, 2 * 256),
        (7e9, 256, 1, "cuda", 16384, 256),
    ],
)
def test_a_part_is_about_a_minute(
    parameters: float, rows: int, threads: int, device: str, max_tokens: int, samples: int
) -> None:
    local = engine(parameters, rows, threads, device)
    assert local.part_size(Decoding(max_tokens=max_tokens), 100) == samples
    assert local.dtype == "float32"
