import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from tests.moe.tiny import ACTIVE, EXPERTS, TINY, inputs
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.moe import densified, densify
from reachlab.moe.instruments import (
    Reading,
    Recorder,
    Vectors,
    cosines,
    entropies,
    shares,
    unused_warnings,
    visits,
)

FAMILIES = ["olmoe", "mixtral", "deepseek_v3", "gpt_oss", "afmoe"]


@pytest.fixture
def olmoe_() -> PreTrainedModel:
    return TINY["olmoe"].build()


def padded(seed: int = 0) -> dict[str, Tensor]:
    """Two sequences, the second five tokens shorter."""
    given = inputs(TINY["olmoe"].build(), seed=seed)
    mask_BT = torch.ones_like(given["input_ids"])
    mask_BT[1, -5:] = 0
    return {**given, "attention_mask": mask_BT}


def routed(model: PreTrainedModel, batches: list[dict[str, Tensor]], layer: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What a layer's router really gave: logits (T, E) and indices (T, K) of all tokens that are not padding."""
    found: list[tuple[Tensor, Tensor]] = []
    router = model.model.layers[layer].mlp.gate
    handle = router.register_forward_hook(lambda _, args, output: found.append((output[0], output[2])))
    logits, indices = [], []
    for batch in batches:
        with torch.no_grad():
            model(**batch)
        keep = batch.get("attention_mask", torch.ones_like(batch["input_ids"])).bool().flatten()
        logits.append(found[-1][0].reshape(-1, EXPERTS)[keep])
        indices.append(found[-1][1].reshape(-1, ACTIVE)[keep])
    handle.remove()
    return torch.cat(logits).double().numpy(), torch.cat(indices).numpy()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_shares_and_entropies(T: int, E: int, seed: int) -> None:
    pi_TE = torch.from_numpy(np.random.default_rng(seed).exponential(size=(T, E)))
    p_TE = shares(pi_TE)
    assert torch.allclose(p_TE.sum(1), torch.ones(T, dtype=torch.float64))
    expected = [-sum(p * math.log(p) for p in row) for row in p_TE.tolist()]
    assert entropies(p_TE).tolist() == pytest.approx(expected)
    assert (entropies(p_TE) <= math.log(E) + 1e-12).all()


def test_extremes_of_entropy() -> None:
    assert entropies(shares(torch.ones(1, 8))).item() == pytest.approx(math.log(8))
    assert entropies(shares(torch.tensor([[0.0, 3.0]]))).item() == 0
    assert shares(torch.tensor([[-1.0, 2.0], [0.0, 0.0]])).tolist() == [[0, 1], [0, 0]]


def test_visits_and_cosines() -> None:
    assert visits(torch.tensor([[0, 2], [2, 1]]), 3).tolist() == [[1, 0, 1], [0, 1, 1]]
    found = cosines(torch.tensor([[3.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
    assert found.flatten().tolist() == pytest.approx([1, 0.5**0.5, 0, 0.5**0.5, 1, 0, 0, 0, 0])


def test_it_counts_what_the_router_did(olmoe_: PreTrainedModel) -> None:
    batches = [padded(0), padded(1), {"input_ids": padded(2)["input_ids"]}]
    with Recorder(olmoe_) as recorder:
        for batch in batches:
            with torch.no_grad():
                olmoe_(**batch)
        readings, scalars = recorder.read(), recorder.scalars()
        assert recorder.read() == readings  # asking changes nothing
        recorder.reset()
        assert recorder.scalars() == {}
    for at, reading in enumerate(readings):
        logits_TE, indices_TK = routed(olmoe_, batches, at)
        T = len(logits_TE)
        assert (reading.tokens, reading.experts, reading.active) == (T, EXPERTS, ACTIVE) == (19 + 19 + 24, 6, 2)
        p_TE = np.exp(logits_TE) / np.exp(logits_TE).sum(1, keepdims=True)
        assert reading.entropy == pytest.approx(-(p_TE * np.log(p_TE)).sum(1).mean(), rel=1e-5)
        assert reading.mass == pytest.approx(np.take_along_axis(p_TE, indices_TK, 1).sum(1).mean(), rel=1e-5)
        slots = [expert for row in indices_TK.tolist() for expert in row]
        load = np.array([slots.count(expert) / len(slots) for expert in range(EXPERTS)])
        assert reading.load == pytest.approx(load)
        assert reading.load_cv == pytest.approx(load.std() / load.mean())
        assert reading.load_max == pytest.approx(load.max() / load.mean())
        assert reading.unused == np.flatnonzero(load == 0).tolist()
        together = [[sum({i, j} <= set(row) for row in indices_TK.tolist()) / T for j in range(6)] for i in range(6)]
        assert np.array(reading.coactivation) == pytest.approx(np.array(together))
    assert scalars["router_entropy"] == pytest.approx(np.mean([r.entropy for r in readings]))
    assert scalars["router_mass"] == pytest.approx(np.mean([r.mass for r in readings]))
    assert scalars["load_cv"] == pytest.approx(np.mean([r.load_cv for r in readings]))
    assert scalars["load_max"] == pytest.approx(np.mean([r.load_max for r in readings]))
    assert scalars["unused_experts"] == sum(len(r.unused) for r in readings)
    assert "vector_norm" not in scalars


def hooked(model: nn.Module) -> list[int]:
    return [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", [None, "topk", "default"])
def test_listening_changes_nothing(family: str, method: str | None) -> None:
    model = TINY[family].build()
    if method:
        densify(model, method)
    batch, hooks = inputs(model), hooked(model)
    with torch.no_grad():
        before = model(**batch).logits
        with Recorder(model, outputs=True):
            during = model(**batch).logits
    assert torch.equal(before, during)
    found = densified(model)
    assert (found is None) == (method is None)
    assert hooked(model) == hooks
    assert found is None or not any(layer.listeners for layer in found.layers)


def test_it_hears_the_bias_of_a_method(olmoe_: PreTrainedModel) -> None:
    """A method that selects other experts is told with those."""
    found = densify(olmoe_, "lossfree")
    for layer in found.layers:
        layer.method.bias_E[:2] = 100.0  # type: ignore[attr-defined]
    with Recorder(olmoe_) as recorder, torch.no_grad():
        olmoe_(**inputs(olmoe_))
        for reading in recorder.read():
            assert reading.load == [0.5, 0.5, 0, 0, 0, 0]
            assert reading.unused == [2, 3, 4, 5]
            assert reading.load_cv == pytest.approx(2**0.5)


def test_a_recomputed_pass_counts_once(olmoe_: PreTrainedModel) -> None:
    olmoe_.train()
    for reentrant in (False, True):
        olmoe_.gradient_checkpointing_enable({"use_reentrant": reentrant})
        batch = inputs(olmoe_)
        with Recorder(olmoe_, outputs=True) as recorder:
            embedded = olmoe_.get_input_embeddings()(batch["input_ids"])
            olmoe_(inputs_embeds=embedded).logits.sum().backward()
            assert [r.tokens for r in recorder.read()] == [24, 24]
            assert recorder.ears[0].sums[3][1].sum() == 48


def answers(experts: nn.Module, hidden_TD: Tensor, expert: int) -> Tensor:
    """E_i(x) of an ordinary gated expert, from its parameters."""
    gate_TF, up_TF = (hidden_TD @ experts.gate_up_proj[expert].T).chunk(2, 1)  # type: ignore[index]
    found: Tensor = (experts.act_fn(gate_TF) * up_TF) @ experts.down_proj[expert].T  # type: ignore[index, operator]
    return found


@pytest.mark.parametrize("method", ["topk", "default"])
def test_norms_of_answers(olmoe_: PreTrainedModel, method: str) -> None:
    densify(olmoe_, method)
    experts, batch = olmoe_.model.layers[1].mlp.experts, padded()
    seen: list[Tensor] = []
    handle = experts.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with Recorder(olmoe_, outputs=True) as recorder, torch.no_grad():
        olmoe_(**batch)
        reading = recorder.read()[1]
    handle.remove()
    _, indices_TK = routed(olmoe_, [batch], 1)
    hidden_TD = seen[0][batch["attention_mask"].flatten().bool()]
    assert reading.outputs is not None
    for expert, norm in enumerate(reading.outputs):
        mine = (indices_TK == expert).any(1)
        if mine.any():
            with torch.no_grad():
                assert norm == pytest.approx(answers(experts, hidden_TD[mine], expert).norm(dim=1).mean().item())
        else:
            assert math.isnan(norm)


def test_default_vectors_are_told(olmoe_: PreTrainedModel) -> None:
    found = densify(olmoe_, "default")
    olmoe_.train()
    for seed in range(3):
        olmoe_(**inputs(olmoe_, seed=seed))
    with Recorder(olmoe_) as recorder, torch.no_grad():
        olmoe_.eval()(**inputs(olmoe_))
        readings, scalars = recorder.read(), recorder.scalars()
    for layer, reading in zip(found.layers, readings, strict=True):
        vectors_ED = layer.method.state()["routed.vectors"]
        assert reading.vectors is not None
        assert reading.vectors.norms == pytest.approx(vectors_ED.norm(dim=1).tolist())
        assert reading.vectors.ages == layer.method.state()["routed.age"].tolist()
        assert reading.vectors.cosines[0][1] == pytest.approx(
            torch.cosine_similarity(vectors_ED[0], vectors_ED[1], dim=0).item(), abs=1e-6
        )
        assert reading.outputs is None
    norms = [n for r in readings if r.vectors for n in r.vectors.norms]
    assert scalars["vector_norm"] == pytest.approx(np.mean(norms), rel=1e-5)
    assert scalars["vector_age"] == pytest.approx(np.mean([a for r in readings if r.vectors for a in r.vectors.ages]))


def reading(load: list[float], **more: Any) -> Reading:
    E = len(load)
    return Reading(
        layer="layers.0.mlp", experts=E, active=1, tokens=1000, entropy=math.log(E) / 2, mass=0.5, load=load,
        coactivation=np.diag(load).tolist(), **more,
    )  # fmt: skip


def test_what_a_reading_says() -> None:
    even = reading([0.25] * 4)
    assert [even.entropy_share, even.load_cv, even.load_max] == pytest.approx([0.5, 0, 1])
    assert even.unused == []
    assert unused_warnings([even]) == []
    one = reading([1.0, 0.0, 0.0, 0.0])
    assert [one.load_cv, one.load_max] == pytest.approx([3**0.5, 4])
    assert unused_warnings([even, one]) == ["layers.0.mlp: experts 1, 2, 3 of 4 got none of 1,000 tokens"]
    assert unused_warnings([reading([0.5, 0.5, 0.0])]) == ["layers.0.mlp: expert 2 of 3 got none of 1,000 tokens"]
    many = unused_warnings([reading([1.0] + [0.0] * 11)])
    assert many == ["layers.0.mlp: experts 1, 2, 3, 4, 5, 6, 7, 8 and 3 more of 12 got none of 1,000 tokens"]


def test_a_reading_is_json() -> None:
    vectors = Vectors(norms=[1.0, 2.0], ages=[0, 3], cosines=[[1.0, 0.5], [0.5, 1.0]])
    text = json.dumps(reading([1.0, 0.0], outputs=[3.0, math.nan], vectors=vectors).to_dict(), allow_nan=False)
    found = json.loads(text)
    assert found["outputs"] == [3.0, None]
    assert found["vectors"]["ages"] == [0, 3]
    assert found["unused"] == [1]


def test_a_dense_model_has_no_routers(qwen3: PreTrainedModel) -> None:
    with pytest.raises(ReachlabError, match="no mixture-of-experts"), Recorder(qwen3):
        raise AssertionError("entered")


def _in_process(rank: int, rendezvous: str, out: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    model = TINY["olmoe"].build()
    with Recorder(model, outputs=True) as recorder, torch.no_grad():
        for seed in range(1 + rank):  # they need not hear equally much
            model(**padded(seed + rank))
        scalars, readings = recorder.scalars(), recorder.read()
        assert recorder.read() == readings  # sums over processes are not summed again
    if rank == 0:
        Path(out).write_text(json.dumps([scalars, [r.to_dict() for r in readings]]))
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_are_summed(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    start: Callable[..., Any] = spawn
    start(_in_process, (str(tmp_path / "rendezvous"), str(out)), nprocs=2)
    scalars, readings = json.loads(out.read_text())
    model = TINY["olmoe"].build()
    with Recorder(model, outputs=True) as recorder, torch.no_grad():
        for seed in (0, 1, 2):
            model(**padded(seed))
        assert scalars == pytest.approx(recorder.scalars())
        for found, expected in zip(readings, recorder.read(), strict=True):
            assert found["tokens"] == expected.tokens == 57
            assert found["load"] == expected.load
            assert found["coactivation"] == expected.coactivation
            assert found["outputs"] == pytest.approx(expected.to_dict()["outputs"])
