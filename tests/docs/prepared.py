"""What the programs of a page take as given. They run in order, with one set of names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def mixture() -> dict[str, Any]:
    """A tiny mixture of experts, text for it, and a training step."""
    import torch
    from tests.tiny import tiny_model
    from transformers import AutoModelForCausalLM

    model = tiny_model("olmoe")
    generator = torch.Generator().manual_seed(0)

    def batch() -> dict[str, torch.Tensor]:
        tokens_BT = torch.randint(0, model.config.vocab_size, (2, 16), generator=generator)
        return {"input_ids": tokens_BT, "labels": tokens_BT}

    def train_step(batch: dict[str, torch.Tensor]) -> None:
        model.train()
        model(**batch).loss.backward()

    return {
        "model": model,
        "batches": [batch(), batch()],
        "others": [batch(), batch()],
        "folder": Path("a-mixture"),
        "AutoModelForCausalLM": AutoModelForCausalLM,
        "train_step": train_step,
        "log": print,
    }


def training() -> dict[str, Any]:
    """What a Hugging Face `Trainer` takes: a tiny model, rows to learn, arguments of a short training."""
    from tests.integrations.watch.trainings import arguments, rows
    from tests.tiny import tiny_model, tiny_tokenizer
    from transformers import Trainer, TrainingArguments

    how = TrainingArguments(**arguments(Path("a-training")))
    return {
        "Trainer": Trainer,
        "model": tiny_model(),
        "arguments": how,
        "rows": rows(),
        "tokenizer": tiny_tokenizer(),
    }


def trainer() -> dict[str, Any]:
    """That, and what a `Trainer` is made of."""
    from transformers import Trainer, TrainingArguments

    given = mixture()
    arguments = TrainingArguments("trained", max_steps=1, use_cpu=True, report_to=[], disable_tqdm=True)
    data = [{name: tensor[0] for name, tensor in batch.items()} for batch in given["batches"]]
    return given | {"Trainer": Trainer, "arguments": arguments, "data": data}


NAMES: dict[str, Callable[[], dict[str, Any]]] = {
    "mixtures.md": mixture,
    "moe.md": mixture,
    "tour.md": mixture,
    "watch.md": training,
    "trainers.md": trainer,
}
"""By the name of the page."""
