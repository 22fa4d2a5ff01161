"""Several processes have the averages that one would have: replicas, shards, experts apart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.moe.apart import apart
from tests.moe.brute import loss, vectors
from tests.moe.tiny import TINY
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.distributed import DistributedConfig

from reachlab.errors import ReachlabError
from reachlab.moe import densify

UPDATES = pytest.mark.parametrize("update", ["before_use", "per_step"])
STEPS = 3


def batch(seed: int) -> Tensor:
    return torch.randint(3, 64, (5, 9), generator=torch.Generator().manual_seed(seed))


def build(**options: Any) -> PreTrainedModel:
    model = TINY["olmoe"].build().train()
    densify(model, "default", beta=0.5, **options)
    return model


def train(
    model: PreTrainedModel, run: Any, share: slice, forward: Callable[[Any, Tensor], Tensor], lr: float
) -> list[list[float]]:
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for seed in range(STEPS):
        optimizer.zero_grad()
        forward(run, batch(seed)[share]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return [v.tolist() for v in vectors(model)]


def close(found: list[Any], expected: list[Any], tolerance: float = 1e-4) -> None:
    for one, other in zip(found, expected, strict=True):
        assert torch.tensor(other).any()
        torch.testing.assert_close(torch.tensor(one), torch.tensor(other), rtol=tolerance, atol=tolerance / 100)


def sum_of(run: Any, ids_BT: Tensor) -> Tensor:
    """A sum over tokens: pieces of a batch add up."""
    found: Tensor = run(input_ids=ids_BT).logits.tanh().sum() / 1e3
    return found


def mean_over_processes(run: Any, ids_BT: Tensor) -> Tensor:
    """What replicas average the gradients of, so that it is the whole batch's sum."""
    return 2 * sum_of(run, ids_BT)


@UPDATES
def test_an_uneven_split_is_the_batch(tmp_path: Path, update: str) -> None:
    model = build(update=update)
    expected = train(model, model, slice(None), sum_of, 0.0)

    def work(rank: int) -> Any:
        share = (slice(0, 1), slice(1, 5))[rank]
        model = build(update=update)
        return train(model, model, share, sum_of, 0.0)

    for found in apart(tmp_path, 2, work):
        close(found, expected)


@UPDATES
@pytest.mark.parametrize("wrapper", ["ddp", "fsdp"])
def test_replicas_and_shards_train_as_one(tmp_path: Path, wrapper: str, update: str) -> None:
    model = build(update=update)
    averages = train(model, model, slice(None), sum_of, 0.1)
    expected = {name: p.tolist() for name, p in model.named_parameters()}

    def work(rank: int) -> Any:
        share = (slice(0, 1), slice(1, 5))[rank]
        model = build(update=update)
        run: Any = model
        if wrapper == "ddp":
            run = DistributedDataParallel(model)
        else:
            for layer in model.model.layers:
                fully_shard(layer)
            fully_shard(model)
        found = train(model, run, share, mean_over_processes, 0.1)
        whole = {n: p.full_tensor() if hasattr(p, "full_tensor") else p for n, p in model.named_parameters()}
        return found, {name: p.tolist() for name, p in whole.items()}

    for found, parameters in apart(tmp_path, 2, work):
        close(found, averages, 1e-3)
        for name, value in expected.items():
            torch.testing.assert_close(torch.tensor(parameters[name]), torch.tensor(value), rtol=1e-3, atol=1e-5)


def test_a_process_without_a_pass_has_its_part_in_a_step(tmp_path: Path) -> None:
    def work(rank: int) -> Any:
        model = build(update="per_step")
        if rank == 0:
            loss(model, input_ids=batch(0)).backward()  # type: ignore[no-untyped-call]
        torch.optim.SGD(model.parameters(), lr=0.0).step()
        return [v.tolist() for v in vectors(model)]

    one, other = apart(tmp_path, 2, work)
    close(other, one)


def test_a_damaged_batch_of_one_process_stops_all(tmp_path: Path) -> None:
    def work(rank: int) -> list[str]:
        model = build(update="per_step")
        embedded_BTD = model.get_input_embeddings()(batch(rank)).detach()
        if rank == 1:
            embedded_BTD[0, 0] = torch.nan
        model(inputs_embeds=embedded_BTD).logits.sum().backward()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        with pytest.raises(ReachlabError, match="not finite") as caught:
            optimizer.step()
        assert all(v.isfinite().all() and v.any() for v in vectors(model))
        optimizer.step()  # told once
        return [str(caught.value)]

    (one,), (other,) = apart(tmp_path, 2, work)
    assert one.startswith("another process")
    assert other.startswith("model.layers.0.mlp")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moe")
    TINY["mixtral"].build().save_pretrained(folder)
    return folder


def apart_by_experts(folder: Path, ep_implementation: str, implementation: str) -> Any:
    config = DistributedConfig(tp_size=2, ep_size=2, ep_implementation=ep_implementation)
    model = AutoModelForCausalLM.from_pretrained(folder, distributed_config=config).train()
    model.set_experts_implementation(implementation)
    return model


@UPDATES
@pytest.mark.parametrize("implementation", ["grouped_mm", "batched_mm", "eager"])
def test_experts_apart(tmp_path: Path, checkpoint: Path, implementation: str, update: str) -> None:
    """Each process holds half of the experts and sees the whole batch."""
    alone = AutoModelForCausalLM.from_pretrained(checkpoint).train()
    densify(alone, "default", update=update, beta=0.5)

    def averages(model: Any) -> Any:
        still = torch.optim.SGD([nn.Parameter(torch.zeros(1)), *model.parameters()], lr=0.0)
        for seed in range(2):
            model.zero_grad()
            loss(model, input_ids=batch(seed)).backward()  # type: ignore[no-untyped-call]
            routers = [p.grad.tolist() for name, p in model.named_parameters() if name.endswith("gate.weight")]
            still.step()
        return [v.tolist() for v in vectors(model)], routers

    expected, gradients = averages(alone)

    def work(rank: int) -> Any:
        model = apart_by_experts(checkpoint, "all_reduce", implementation)
        experts = model.model.layers[0].mlp.experts
        assert experts.num_experts == 3
        densify(model, "default", update=update, beta=0.5)
        return averages(model)

    for found, routers in apart(tmp_path, 2, work):
        close(found, expected)
        close(routers, gradients, 1e-3)


@pytest.mark.parametrize("ep_implementation", ["all_to_all", "auto"])
def test_experts_to_whom_tokens_are_sent_are_refused(tmp_path: Path, checkpoint: Path, ep_implementation: str) -> None:
    def work(rank: int) -> list[str]:
        model = apart_by_experts(checkpoint, ep_implementation, "grouped_mm")
        with pytest.raises(ReachlabError) as caught:
            densify(model)
        return [str(caught.value)]

    for (said,) in apart(tmp_path, 2, work):
        assert 'DistributedConfig(..., ep_implementation="all_reduce")' in said
