"""What pictures cost the sampler: 256 answers to one picture, against as many to a text of as many tokens.

The same language model with and without eyes: `llava` of the shape of `reachlab study visual`, and the qwen3 inside it,
with the same weights. The prompt with a picture is drawn, processed, encoded and answered; the text is answered. No
answer ends before it has its tokens. They alternate. Printed: seconds, their ratio (a median over rounds, and the
quarters), and how much of it is the picture's processing and encoding.

Run: python benchmarks/bench_visual.py [--device cuda --hidden 768 --layers 12 --image-size 224]
"""

import argparse
import time

import numpy as np
import torch
from transformers import PreTrainedModel, Qwen3ForCausalLM

from reachlab.engines.config import Decoding
from reachlab.engines.transformers import TransformersDecoder
from reachlab.models.build import build_model, give_sight
from reachlab.models.config import ModelConfig
from reachlab.models.tokenizer import encode_prompts, train_tokenizer
from reachlab.models.vision import Seen, pixels
from reachlab.pictures.drawn_scenes import scene
from reachlab.tasks.registry import load_task
from reachlab.types import Illustrated
from timing import machine


def language_model(model: PreTrainedModel) -> PreTrainedModel:
    """The part of a llava that reads and writes text, as a model of its own with the same weights."""
    alone = Qwen3ForCausalLM(model.config.text_config)
    alone.model.load_state_dict(model.get_decoder().state_dict())
    alone.lm_head.load_state_dict(model.lm_head.state_dict())
    return alone.to(model.device).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--new-tokens", type=int, default=26)
    parser.add_argument("--hidden", type=int, default=96)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    task = load_task("scenes")
    tokenizer = train_tokenizer("number", [task.alphabet() or ""])
    shape = ModelConfig(family="llava", hidden=options.hidden, layers=options.layers, image_size=options.image_size)
    give_sight(shape, tokenizer)
    seeing = build_model(shape, tokenizer, seed=0).to(options.device).eval()
    decoders = [TransformersDecoder(m, tokenizer) for m in (seeing, language_model(seeing))]
    for decoder in decoders:
        decoder.ends = np.array([-1])
    decoding = Decoding(max_tokens=options.new_tokens)

    def work(number: int, seen: bool) -> tuple[float, float]:
        """Seconds, and those of them before the first token."""
        seeds = [[number * 1000 + i for i in range(options.samples)]]
        picture = scene("chart", {"r": 3, "g": 9, "b": 5, "y": 1}, number, options.image_size)  # never seen before
        began = time.perf_counter()
        if seen:
            prompts = encode_prompts(tokenizer, [Illustrated("chart r*g+b:", (picture,))])
        else:
            prompts = [list(np.random.default_rng(number).integers(3, 20, length))]
        processed = time.perf_counter() - began
        decoders[0 if seen else 1].generate(prompts, seeds, decoding)
        return time.perf_counter() - began, processed

    (prompt,) = encode_prompts(tokenizer, [Illustrated("chart r*g+b:", (scene("chart", {"r": 1}, 0, 64),))])
    assert isinstance(prompt, Seen)
    length, of_picture = len(prompt), sum(prompt.kinds)
    given = pixels([prompt], options.device)
    for seen in (True, False):
        work(0, seen)
    times = np.array([[work(n, seen) for seen in (True, False)] for n in range(1, options.rounds + 1)])
    encoding = []
    with torch.no_grad():
        for _ in range(options.rounds):
            began = time.perf_counter()
            seeing.get_image_features(**given)
            encoding.append(time.perf_counter() - began)
    ratios = times[:, 0, 0] / times[:, 1, 0]
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    print(machine(torch.get_num_threads()))
    print(f"{seeing.num_parameters() / 1e6:.2f} M parameters, {options.samples} answers of {options.new_tokens} tokens "
          f"to a prompt of {length}, {of_picture} of them a picture's")  # fmt: skip
    print(f"with a picture {np.median(times[:, 0, 0]) * 1e3:.1f} ms, text {np.median(times[:, 1, 0]) * 1e3:.1f} ms")
    print(f"ratio {middle:.3f} (quarters {low:.3f} to {high:.3f})")
    print(f"of it: processing {np.median(times[:, 0, 1]) * 1e3:.1f} ms, encoding {np.median(encoding) * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
