"""What a `Trainer` with densify leaves, in stock transformers and in the real vLLM (`make vllm`)."""

import json
import subprocess
from pathlib import Path

import pytest
import torch
from tests.engines.test_vllm import BIN, HERE
from transformers import OlmoeConfig, OlmoeForCausalLM, Trainer, TrainingArguments

from reachlab.integrations.routers import KeepRouters
from reachlab.moe import densify
from reachlab.moe.files import FILE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not (BIN / "vllm").exists(), reason="no .venv-vllm: make vllm"),
]

PROMPT = [1, 5, 7, 9, 3, 11]
ASK = """
import json, sys
from vllm import LLM, SamplingParams
llm = LLM(sys.argv[1], dtype="float32", enforce_eager=True, max_model_len=32, max_num_seqs=2, max_logprobs=64,
          skip_tokenizer_init=True)
how = SamplingParams(temperature=0, max_tokens=6, logprobs=64, detokenize=False, ignore_eos=True)
(found,) = llm.generate([{"prompt_token_ids": json.loads(sys.argv[2])}], how)[0].outputs
rows = [[step[token].logprob for token in range(64)] for step in found.logprobs]
print(json.dumps({"tokens": list(found.token_ids), "logprobs": rows}))
"""


def trained(folder: Path) -> OlmoeForCausalLM:
    """Heads of 32, and not tied: of tied ones vLLM leaves OLMoE's output layer zero (docs/trainers.md)."""
    torch.manual_seed(0)
    config = OlmoeConfig(
        vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_experts=8, num_experts_per_tok=2, max_position_embeddings=64, tie_word_embeddings=False,
        initializer_range=0.15, bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    model = OlmoeForCausalLM(config)
    densify(model, "default", forward="sparse")
    how = TrainingArguments(
        str(folder), max_steps=4, save_steps=4, learning_rate=1e-2, use_cpu=True, report_to=[], disable_tqdm=True
    )
    rows = torch.randint(64, (16, 9), generator=torch.Generator().manual_seed(0))
    data = [{"input_ids": row, "labels": row} for row in rows]
    Trainer(model, how, train_dataset=data, callbacks=[KeepRouters()]).train()
    return model.eval()


def test_it_is_the_same_model_to_both(tmp_path: Path) -> None:
    model, folder = trained(tmp_path), tmp_path / "checkpoint-4"
    assert (folder / FILE).is_file()
    stock = OlmoeForCausalLM.from_pretrained(folder).eval()
    asked = subprocess.run(
        [BIN / "python", "-c", ASK, folder, json.dumps(PROMPT)],
        env={**HERE, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr[-3000:]
    said = json.loads(asked.stdout.splitlines()[-1])
    tokens = torch.tensor([PROMPT + said["tokens"]])
    with torch.no_grad():
        logits = stock(tokens).logits
        assert torch.equal(logits, model(tokens).logits)
    theirs, ours = torch.tensor(said["logprobs"]), logits[0, len(PROMPT) - 1 : -1].log_softmax(-1)
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-4)
    assert said["tokens"] == ours.argmax(-1).tolist()
    assert ours.std(-1).min() > 0.3  # and not as likely, one and all
