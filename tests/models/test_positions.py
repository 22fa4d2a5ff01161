import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from reachlab.models.positions import positions

QWEN3: dict[str, Any] = {"model_type": "qwen3", "max_position_embeddings": 32768, "num_hidden_layers": 2}
LLAMA: dict[str, Any] = {"model_type": "llama", "max_position_embeddings": 4096, "num_hidden_layers": 2}


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (QWEN3, 32768),
        # As Qwen's cards add it, in the spelling of transformers 4 and 5; and with the length raised by hand.
        ({**QWEN3, "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}}, 131072),
        ({**QWEN3, "rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0}}, 131072),
        (
            {
                **QWEN3,
                "max_position_embeddings": 131072,
                "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
            },
            131072,
        ),
        ({**LLAMA, "rope_scaling": {"type": "linear", "factor": 4.0}}, 16384),
        ({**LLAMA, "rope_scaling": {"type": "dynamic", "factor": 2.0}}, 8192),
        # Llama 3.1 states what comes out.
        (
            {
                **LLAMA,
                "max_position_embeddings": 131072,
                "rope_scaling": {
                    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192,
                },
            },
            131072,
        ),
        (
            {
                "model_type": "gemma3_text", "max_position_embeddings": 131072, "num_hidden_layers": 2,
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            },
            131072,
        ),
        ({"model_type": "mistral", "max_position_embeddings": 32768, "sliding_window": 4096}, 32768),
        ({"model_type": "gpt2", "n_positions": 32}, 32),
        ({"model_type": "bloom"}, None),
        ({"model_type": "mamba"}, None),
    ],
)  # fmt: skip
def test_what_configurations_state(config: dict[str, Any], found: int | None, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert positions(tmp_path, elsewhere=True) == found
    dynamic = config.get("rope_scaling", {}).get("type") == "dynamic"
    assert positions(tmp_path) == (4096 if dynamic else found)


@pytest.mark.parametrize(("long", "found"), [([4.0] * 48, 4096), ([1.0] * 48, 131072)])
def test_longrope_ends_at_the_original_length_unless_its_factors_are_alike(
    long: list[float], found: int, tmp_path: Path
) -> None:
    scaling = {"rope_type": "longrope", "short_factor": [1.0] * 48, "long_factor": long}
    phi3 = {"model_type": "phi3", "max_position_embeddings": 131072, "original_max_position_embeddings": 4096}
    (tmp_path / "config.json").write_text(json.dumps({**phi3, "rope_scaling": scaling}))
    assert positions(tmp_path) == found
    assert positions(tmp_path, elsewhere=True) == 131072


def test_of_a_checkpoint_and_of_the_text_part_of_one_that_sees(checkpoint: Path, tmp_path: Path) -> None:
    assert positions(checkpoint) == 64
    copy = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    text = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(
        json.dumps({"model_type": "llava", "text_config": text, "vision_config": {"model_type": "siglip_vision_model"}})
    )
    assert positions(copy) == 64
