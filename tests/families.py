"""What runs with a tiny model of a family: drawing, scoring, a step of RL, densify. `python -m tests.families` prints
the table of docs/families.md.

*sample*: the sum of an answer's log-probabilities, as the transformers engine draws it, is that of the model's own
forward pass over the sequence alone to 1e-4 a token in float32; answers up to 24 tokens, to prompts of 1 to 20, windows
of 8. *score*: the packer's are. *RL*: the trainer's gradient of the sampled answers' log-probabilities moves the
weights, and after that sampler and trainer still agree. *densify*: default vectors are put in, learn in a training
pass, and the rest holds on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
import transformers
from tests.moe.tiny import SIZES, TINY, TINY_REFUSED
from tests.tiny import tiny_tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from reachlab.engines.config import Decoding
from reachlab.engines.transformers import TransformersDecoder
from reachlab.errors import ReachlabError
from reachlab.models.packing import Packer
from reachlab.moe.densifying import densify
from reachlab.moe.sites import find_layers

PER_TOKEN = 1e-4
TOKENS = 24
RUNS = ("yes", "packed")
DENSE: dict[str, dict[str, Any]] = {
    "Llama": {}, "Mistral": {}, "Ministral": {}, "Ministral3": {}, "Qwen2": {"sliding_window": None}, "Qwen3": {},
    "SmolLM3": {"use_sliding_window": True, "no_rope_layers": [1, 0]}, "Gemma": {},
    "Gemma2": {"query_pre_attn_scalar": 8}, "Gemma3Text": {"query_pre_attn_scalar": 8}, "Granite": {}, "Olmo": {},
    "Olmo2": {}, "Phi": {}, "Phi3": {}, "Starcoder2": {}, "Cohere": {}, "Cohere2": {}, "Glm4": {},
    "GPT2": {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 64}, "GPTNeoX": {},
    "OPT": {"ffn_dim": 48, "word_embed_proj_dim": 32}, "Falcon": {}, "StableLm": {},
    "GPTJ": {"n_embd": 32, "n_head": 4, "n_layer": 2, "rotary_dim": 4, "n_positions": 64},
    "Bloom": {"n_head": 4, "n_layer": 2}, "Mamba": {},
}  # fmt: skip
"""Families without experts, by the name of their configuration, and what it wants beside `SIZES`."""
NAMES = [*DENSE, *(name for name in {**TINY, **TINY_REFUSED} if " " not in name)]


@dataclass
class Row:
    """A line of the table."""

    family: str
    sample: str = ""
    score: str = ""
    rl: str = ""
    densify: str = ""

    def line(self) -> str:
        """In markdown."""
        return f"| {self.family} | {self.sample} | {self.score} | {self.rl} | {self.densify} |"


def build(name: str) -> PreTrainedModel:
    """The same each time; biases, norms and sinks are not what a new model's are."""
    if name in DENSE:
        kind = getattr(transformers, f"{name}Config")
        known = {k: v for k, v in SIZES.items() if k in {f.name for f in fields(kind)}}
        known |= {"num_key_value_heads": 2} if "num_key_value_heads" in known else {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(kind(**known | DENSE[name])).float()
    else:
        model = {**TINY, **TINY_REFUSED}[name].build().float()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


class Trial:
    """A model, some prompts, and answers that it gave or that were made up."""

    def __init__(self, name: str):
        self.model, self.tokenizer = build(name), tiny_tokenizer()
        generator = torch.Generator().manual_seed(1)

        def draw(n: int) -> list[int]:
            return torch.randint(3, SIZES["vocab_size"], (n,), generator=generator).tolist()

        self.prompts = [draw(n) for n in (3, 14, 1, 20)]
        self.answers = [[draw(n) for n in (1, 9, TOKENS)] for _ in self.prompts]
        self.sampled: list[list[float]] | None = None

    def sample(self) -> str:
        """Whether what is drawn is drawn from the model."""
        engine = TransformersDecoder(self.model, self.tokenizer)
        seeds = [[10 * p + i for i in range(3)] for p in range(len(self.prompts))]
        found = engine.generate(self.prompts, seeds, Decoding(max_tokens=TOKENS))
        self.answers = [[c.tokens.tolist() for c in row] for row in found]
        self.sampled = [[c.logprob for c in row] for row in found]
        self._agree(self.sampled)
        return "fused" if engine.fused_cpu else "yes"

    def score(self) -> str:
        """Whether the packer's sums are the model's."""
        packer = Packer(self.model)
        sums = self._packed(packer, gradient=False)
        self._agree(sums)
        return "packed" if packer.fits else "yes"

    def learn(self) -> str:
        """A step of gradient on what was sampled, and another sample."""
        packer = Packer(self.model)
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.model.train()
        loss = self._packed(packer, gradient=True)
        self.model.eval()
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        gradients = [(p, g) for p, g in zip(parameters, found, strict=True) if g is not None]
        norm = float(sum(g.square().sum() for _, g in gradients)) ** 0.5
        assert 0 < norm < float("inf")
        with torch.no_grad():
            for parameter, gradient in gradients:
                parameter += gradient * 0.3 / norm
        self.sample()
        self.score()
        return "yes"

    def dense(self) -> str:
        """Default vectors in the answers, after they have learnt in training."""
        densify(self.model, "default", forward="default")
        self.model.train()
        with torch.no_grad():
            self.model(input_ids=torch.tensor([self.prompts[-1]]))
        self.model.train()
        self.model(input_ids=torch.tensor([self.prompts[-1]])).logits.square().sum().backward()
        self.model.eval()
        self.score()
        if self.sampled is not None:
            self.sample()
        return "yes"

    @torch.no_grad()
    def alone(self, prompt: Sequence[int], answer: Sequence[int]) -> float:
        """The sum of log π by the model's own pass."""
        logits = self.model(input_ids=torch.tensor([[*prompt, *answer]]), use_cache=False).logits[0]
        return float(logits[len(prompt) - 1 : -1].double().log_softmax(-1)[range(len(answer)), list(answer)].sum())

    def _agree(self, sums: Sequence[Sequence[float]]) -> None:
        worst = max(
            abs(self.alone(prompt, answer) - found) / len(answer)
            for prompt, row, got in zip(self.prompts, self.answers, sums, strict=True)
            for answer, found in zip(row, got, strict=True)
        )
        if not worst < PER_TOKEN:
            raise MisfitError(f"off by {worst:.0e} a token")

    def _packed(self, packer: Packer, *, gradient: bool) -> Any:
        flat: list[Any] = [0.0] * sum(map(len, self.answers))
        with torch.set_grad_enabled(gradient):
            for pack in packer.pack(self.prompts, self.answers, 100):
                found: Tensor = (
                    packer.logprobs(self.model, pack)[0].sum(1) if gradient else packer.sums(self.model, pack)
                )
                for i, value in zip(pack.index_B.tolist(), found if gradient else found.tolist(), strict=True):
                    flat[i] = value
        return torch.stack(flat).sum() if gradient else [flat[i : i + 3] for i in range(0, len(flat), 3)]


class MisfitError(Exception):
    """Something came out that is not the model's."""


def trial(name: str, *, whole: bool = True) -> Row | None:
    """The family's line, or the first half of it; None for what is no language model with a head (an encoder, a tower,
    the text part of a model that sees)."""
    row = Row(name)
    one = Trial(name)
    try:
        one.alone(one.prompts[0], one.answers[0][0])
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError):
        return None
    row.sample, row.score = _try(one.sample), _try(one.score)
    if not whole:
        return row
    row.rl = _try(one.learn) if one.sampled is not None and row.score in RUNS else "no"
    if name not in DENSE:
        row.densify = _try(Trial(name).dense) if row.score in RUNS and _routed(one.model) else "no"
    return row


def _routed(model: PreTrainedModel) -> bool:
    try:
        return bool(find_layers(model))
    except ReachlabError:
        return False


def _try(work: Any) -> str:
    try:
        return str(work())
    except (ReachlabError, MisfitError) as error:
        return f"no: {_short(str(error))}"


def _short(said: str) -> str:
    """The reason in a few words."""
    if "this one has" in said:
        kinds = said.partition("this one has ")[2].split(", ")
        return ", ".join(k for k in kinds if k not in ("full_attention", "sliding_attention")) or "its own attention"
    known = {
        "another model": "its attention is another",
        "mask of its own": "a mask of its own",
        "sliding window": "beyond its window",
        "comes after it": "looks ahead",
        "off by": "off",
    }
    for words, short in known.items():
        if words in said:
            return short
    return said[:80]


def main() -> None:
    """Print the table."""
    print("| family | sample | score | RL | densify |\n| --- | --- | --- | --- | --- |")
    for name in NAMES:
        row = trial(name)
        if row is not None:
            print(row.line(), flush=True)


if __name__ == "__main__":
    main()
