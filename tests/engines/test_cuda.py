"""On a GPU: steps as one graph, and pictures. Skipped without one."""

import pytest
import torch
from tests.models.vlm import llava
from tests.tiny import tiny_model, tiny_tokenizer

from reachlab.engines.config import Decoding
from reachlab.engines.cuda_graph import CudaGraphSteps
from reachlab.engines.transformers import ACCELERATOR_ROWS, TransformersDecoder
from reachlab.models.tokenizer import encode_prompts
from reachlab.models.vision import processor_of, written
from reachlab.pictures.reference import open_picture
from reachlab.tasks.registry import load_task
from reachlab.types import Illustrated

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
SEEDS = [list(range(p * 100, p * 100 + 40)) for p in range(3)]


def test_captured_steps_draw_what_the_steps_as_they_are_do(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, model = tiny_tokenizer(), tiny_model().to("cuda")
    prompts = encode_prompts(tokenizer, ["1 2 3=6:", "4 5 6=15:", "12 1 1=14:"])
    captures, capture = [], CudaGraphSteps._capture

    def counted(self: CudaGraphSteps, *args: object) -> object:
        captures.append(capture(self, *args))  # type: ignore[arg-type]
        return captures[-1]

    def never(self: CudaGraphSteps, *args: object) -> object:
        raise RuntimeError

    texts = []
    for how in (counted, never):
        monkeypatch.setattr(CudaGraphSteps, "_capture", how)
        found = TransformersDecoder(model, tokenizer).generate(prompts, SEEDS, Decoding(max_tokens=40))
        texts.append([[c.tokens.tolist() for c in row] for row in found])
    assert captures
    assert texts[0] == texts[1]


def test_greedy_answers_about_pictures_are_those_of_generate() -> None:
    model, tokenizer = llava()
    model.to("cuda")
    problems = load_task("scenes,size=32").problems("test", 4)
    prompts = encode_prompts(tokenizer, [p.asked for p in problems])
    found = TransformersDecoder(model, tokenizer).generate(prompts, [[0, 1]] * 4, Decoding(max_tokens=8, temperature=0))
    for problem, row in zip(problems, found, strict=True):
        assert isinstance(problem.asked, Illustrated)
        given = processor_of(tokenizer)(
            text=[written(tokenizer, problem.asked)], images=[[open_picture(problem.images[0])]], return_tensors="pt"
        ).to("cuda")
        whole = model.generate(**given, max_new_tokens=8, do_sample=False)
        wanted = whole[0, given["input_ids"].shape[1] :].tolist()
        assert [c.tokens.tolist() for c in row] == [wanted, wanted]


def test_as_many_rows_as_fit() -> None:
    decoder = TransformersDecoder(tiny_model().to("cuda"), tiny_tokenizer())
    assert decoder.choose_rows(Decoding(max_tokens=16), 16) == ACCELERATOR_ROWS
    assert 8 <= decoder.choose_rows(Decoding(max_tokens=1 << 22), 16) < ACCELERATOR_ROWS
