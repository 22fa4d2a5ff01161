"""A densified model in a Hugging Face `Trainer` and in TRL's: steps count once, and checkpoints keep the state."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from tests.moe.brute import vectors
from tests.moe.tiny import TINY
from tests.tiny import tiny_tokenizer
from torch import Tensor
from transformers import PreTrainedModel, Trainer, TrainingArguments
from trl import SFTConfig, SFTTrainer

from reachlab.errors import ReachlabError
from reachlab.integrations.routers import KeepRouters
from reachlab.moe import densify, restore
from reachlab.moe.densifying import densified

ROWS = torch.randint(3, 64, (16, 9), generator=torch.Generator().manual_seed(0))
DATA: Any = [{"input_ids": row, "labels": row} for row in ROWS]


def build(**options: Any) -> PreTrainedModel:
    model = TINY["olmoe"].build().train()
    densify(model, "default", **{"beta": 0.5, "update": "per_step", **options})
    return model


def train(folder: Path, model: Any, resume: bool = False, callbacks: Any = None, **given: Any) -> Any:
    settings = {"max_steps": 3, "learning_rate": 1e-2, "optim": "sgd", "save_strategy": "no", **given}
    how = TrainingArguments(str(folder), use_cpu=True, report_to=[], disable_tqdm=True, **settings)
    trainer = Trainer(model, how, train_dataset=DATA, eval_dataset=DATA[:4], callbacks=callbacks)
    trainer.train(resume_from_checkpoint=resume or None)
    return trainer


def ages(model: Any) -> list[Tensor]:
    dense = densified(model)
    assert dense is not None
    return [tensor for name, tensor in dense.state().items() if name.endswith("age")]


def same(model: Any, other: Any, tolerance: float = 1e-5) -> None:
    for one, two in zip(vectors(model), vectors(other), strict=True):
        assert two.any()
        torch.testing.assert_close(one, two, rtol=tolerance, atol=tolerance)
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=tolerance, atol=tolerance, msg=name)


def test_accumulated_and_recomputed_passes_count_once(tmp_path: Path) -> None:
    whole, pieces = build(), build()
    train(tmp_path, whole, per_device_train_batch_size=4)
    train(
        tmp_path,
        pieces,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=4,
        gradient_checkpointing=True,
    )
    same(pieces, whole)
    assert any((age == 0).any() for age in ages(whole))


def test_under_autocast_the_means_stay_float32(tmp_path: Path) -> None:
    model = build()
    train(tmp_path, model, bf16=True)
    for vector in vectors(model):
        assert vector.dtype == torch.float32
        assert vector.any()


def test_a_resumed_run_is_the_run(tmp_path: Path) -> None:
    whole, first, second = build(), build(), build()
    train(tmp_path / "whole", whole, max_steps=4, lr_scheduler_type="constant")
    keep: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2, "lr_scheduler_type": "constant"}
    train(tmp_path / "cut", first, max_steps=2, callbacks=[KeepRouters()], **keep)
    train(tmp_path / "cut", second, max_steps=4, resume=True, callbacks=[KeepRouters()], **keep)
    same(second, whole)


def test_the_best_model_comes_with_its_own_state(tmp_path: Path) -> None:
    model = build()
    keep: dict[str, Any] = {"save_strategy": "steps", "save_steps": 1, "eval_strategy": "steps", "eval_steps": 1}
    trainer = train(
        tmp_path, model, callbacks=[KeepRouters()], load_best_model_at_end=True, greater_is_better=True,
        metric_for_best_model="loss", **keep,
    )  # fmt: skip
    best = Path(trainer.state.best_model_checkpoint)
    assert best.name != "checkpoint-3"
    fresh = TINY["olmoe"].build()
    restore(fresh, best)
    for one, two in zip(vectors(model), vectors(fresh), strict=True):
        assert torch.equal(one, two)
    stock = type(model).from_pretrained(best)
    assert torch.equal(model.eval()(input_ids=ROWS).logits, stock.eval()(input_ids=ROWS).logits)


def test_what_cannot_be_kept_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="has not been densified"):
        train(tmp_path, TINY["olmoe"].build(), callbacks=[KeepRouters()])
    keep: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2}
    train(tmp_path / "bare", build(), max_steps=2, **keep)
    with pytest.raises(ReachlabError, match=r"no routers\.state"):
        train(tmp_path / "bare", build(), max_steps=4, resume=True, callbacks=[KeepRouters()], **keep)


def test_lora_on_attention(tmp_path: Path) -> None:
    model = build()
    before = [v.clone() for v in vectors(model)]
    wrapped = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"]))
    train(tmp_path, wrapped, callbacks=[KeepRouters()], save_strategy="steps", save_steps=3)
    assert (tmp_path / "checkpoint-3" / "routers.state").is_file()
    assert not any(torch.equal(a, b) for a, b in zip(before, vectors(model), strict=True))


def test_sft_trainer(tmp_path: Path) -> None:
    model = build()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    how = SFTConfig(
        str(tmp_path), max_steps=2, use_cpu=True, bf16=False, report_to=[], learning_rate=1e-2, save_steps=2,
        gradient_accumulation_steps=2, per_device_train_batch_size=2, max_length=16,
    )  # fmt: skip
    data = Dataset.from_dict({"input_ids": ROWS.tolist()})
    SFTTrainer(model, how, train_dataset=data, processing_class=tiny_tokenizer(), callbacks=[KeepRouters()]).train()
    assert all(v.any() and v.isfinite().all() for v in vectors(model))
    moved = [n for n, p in model.named_parameters() if n.endswith("gate.weight") and not torch.equal(p, before[n])]
    assert len(moved) == 2
    restore(TINY["olmoe"].build(), tmp_path / "checkpoint-2")
