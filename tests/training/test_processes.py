"""What several processes compute is what one would have: real ones, forked, over gloo."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import torch.distributed as dist
from tests.forked import forked, whole_results
from tests.tiny import ENVIRONMENT, tiny_model, tiny_tokenizer
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from reachlab.engines.config import Decoding
from reachlab.engines.transformers import TransformersDecoder
from reachlab.errors import ReachlabError
from reachlab.training import sharded_tensors as module
from reachlab.training.config import OptimizerConfig
from reachlab.training.optimizer import build_optimizers, clip
from reachlab.training.processes import Processes

CPU = torch.device("cpu")
FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
ALONE = Processes(CPU)
Work = Callable[[Processes], Any]
Apart = Callable[..., list[Any]]


@pytest.fixture
def apart(tmp_path: Path) -> Apart:
    """apart(world, work, **environment): what `work` returned in each of `world` processes, or their tracebacks."""

    def run(world: int, work: Work, timeout: float = 30, **environment: str) -> list[Any]:
        def child(rank: int, port: int) -> object:
            # What a launcher would put into the environment of each.
            os.environ.update(
                WORLD_SIZE=str(world), LOCAL_WORLD_SIZE=str(world), RANK=str(rank), LOCAL_RANK=str(rank),
                MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
                # As under torchrun the store is the launcher's: no port is guessed, so tests may run side by side.
                TORCHELASTIC_USE_AGENT_STORE="True", **environment,
            )  # fmt: skip
            processes = Processes.start(CPU, timedelta(seconds=timeout))
            found = work(processes)
            processes.close()
            return found

        return forked(tmp_path, world, child)

    return run


class Pair(nn.Module):
    """A policy and a critic, as PPO has them; the critic has a weight that nothing uses."""

    def __init__(self, family: Literal["qwen3", "olmoe"] = "qwen3") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.policy = tiny_model(family)
        self.critic = nn.Sequential(nn.Embedding(64, 5), nn.Linear(5, 1))
        self.unused = nn.Linear(2, 3)
        if family == "qwen3":  # experts are multiplied in groups, for which torch has no float64
            self.double()


def batch(rows: int) -> Tensor:
    return torch.randint(0, 16, (rows, 6), generator=torch.Generator().manual_seed(1))


def piece(pair: Pair, ids_BT: Tensor, total: float) -> tuple[Tensor, dict[str, Tensor]]:
    """A part of the mean over all rows."""
    logits_BTV = pair.policy(input_ids=ids_BT).logits
    loss = (logits_BTV.logsumexp(-1).square().sum() + pair.critic(ids_BT).square().sum()) / total
    return loss, {"rows": torch.tensor(float(len(ids_BT)))}


def prepared(processes: Processes, family: Literal["qwen3", "olmoe"] = "qwen3") -> Pair:
    pair = Pair(family)
    processes.prepare(pair.policy)
    processes.prepare(pair.critic)
    return pair


def differentiate(processes: Processes, pair: Pair, ids_BT: Tensor) -> dict[str, float]:
    """The gradient of all rows; each process computes its own, a row a piece, so their numbers differ."""
    own = [row[None] for row in ids_BT[list(processes.share(len(ids_BT)))]]
    total = float(processes.sum(torch.tensor(len(own))))
    pieces = [partial(piece, pair, row, total) for row in own]
    if processes.sharded:
        pieces += [partial(piece, pair, ids_BT[:1], float("inf"))] * (processes.most(len(own)) - len(own))
    sums = processes.add_gradients(pair, pieces, 1)
    processes.sum_gradients(pair)
    return processes.sums({name: value for name, value in sums.items() if name == "loss"})


def full(tensor: Tensor) -> Tensor:
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach()


def gradients(model: nn.Module) -> dict[str, np.ndarray | None]:
    return {n: None if p.grad is None else full(p.grad).numpy() for n, p in model.named_parameters()}


def gradient_of(processes: Processes, family: Literal["qwen3", "olmoe"], limit: float) -> Any:
    pair = prepared(processes, family)
    sums = differentiate(processes, pair, batch(5))
    norm = clip(pair.policy, limit)
    return sums["loss"], norm, gradients(pair), sum(isinstance(p, DTensor) for p in pair.parameters())


@pytest.mark.parametrize("family", ["qwen3", "olmoe"])
@pytest.mark.parametrize(
    ("world", "environment"),
    [(2, {}), (3, {}), (2, FSDP), (3, FSDP)],
    ids=["2 replicated", "3 replicated", "2 sharded", "3 sharded"],
)
def test_the_gradient_is_that_of_one_process(
    apart: Apart, world: int, environment: dict[str, str], family: Literal["qwen3", "olmoe"]
) -> None:
    loss, norm, wanted, _ = gradient_of(ALONE, family, 0.5)
    found = whole_results(apart(world, lambda p: gradient_of(p, family, 0.5), **environment))
    near = 1e-10 if family == "qwen3" else 1e-5
    for own_loss, own_norm, own, sharded in found:
        assert own_loss == pytest.approx(loss, rel=near)
        assert own_norm == pytest.approx(norm, rel=near)
        assert sharded == (len(wanted) - 2 if environment else 0)
        for name, g in wanted.items():
            assert (own[name] is None) == (g is None), name
            assert g is None or np.abs(own[name] - g).max() <= near * np.abs(g).max(), name
    assert any(g is None for g in wanted.values())


def frozen(processes: Processes) -> Any:
    """As with adapters: whole layers without anything to learn, and parts of others."""
    model = tiny_model().double()
    for name, p in model.named_parameters():
        p.requires_grad_("layers.1" in name and "q_proj" in name)
    processes.prepare(model)
    ids_BT = batch(4)[list(processes.share(4))]
    processes.add_gradients(model, [lambda: (model(input_ids=ids_BT).logits.square().sum(), {})], 1)
    processes.sum_gradients(model)
    return gradients(model)


def test_weights_that_are_frozen(apart: Apart) -> None:
    wanted = {n: g for n, g in frozen(ALONE).items() if g is not None}
    assert len(wanted) == 1
    for found in whole_results(apart(2, frozen, **FSDP)):
        for name, g in found.items():
            assert (g is not None) == (name in wanted)
            assert g is None or np.abs(g - wanted[name]).max() <= 1e-10 * np.abs(g).max()


def test_a_parameter_that_one_process_alone_used(apart: Apart) -> None:
    def work(processes: Processes) -> Any:
        weights = processes.prepare(nn.ParameterList(torch.ones(2) for _ in range(3)))
        x, used = torch.tensor([1.0, processes.rank]), weights[0] if processes.main else weights[1]
        processes.add_gradients(weights, [lambda: ((used * x).sum(), {})], 1)
        processes.sum_gradients(weights)
        return [None if w.grad is None else w.grad.tolist() for w in weights]

    for found in whole_results(apart(3, work)):
        assert found == [[1.0, 0.0], [2.0, 3.0], None]


def test_buckets_keep_order_and_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUCKET", 6)
    sizes = [(3, torch.float32), (3, torch.float32), (1, torch.float32), (9, torch.float32), (2, torch.bfloat16)]
    parameters = [nn.Parameter(torch.zeros(n, dtype=dtype)) for n, dtype in sizes]
    assert [[p.numel() for p in bucket] for bucket in module.buckets(parameters)] == [[3, 3], [1], [9], [2]]
    assert list(module.buckets([])) == []


# -- words ------------------------------------------------------------------------------------------------------------


def words(processes: Processes) -> Any:
    rank = processes.rank
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.fill_(rank + 1.0)
    processes.prepare(layer)
    mine = torch.tensor([1.0, rank])
    summed = processes.sum(mine)
    processes.together()
    return {
        "mine": [list(processes.share(n)) for n in (3, 7)],
        "gather": processes.gather(("rank", rank)),
        "same": processes.same({"seed": rank + 40}),
        "sum": summed.tolist(),
        "left": mine.tolist(),
        "sums": processes.sums({"loss": 0.1 * rank} if rank else {}),
        "most": processes.most(10 * rank),
        "weight": layer.weight[0, 0].item(),
        "main": processes.main,
        "refused": refusal(processes, 2),
    }


def refusal(processes: Processes, n: int) -> str:
    try:
        processes.share(n)
    except ReachlabError as error:
        return str(error)
    return ""


def test_what_processes_say_to_each_other(apart: Apart) -> None:
    found = whole_results(apart(3, words))
    assert [f["mine"] for f in found] == [[[0], [0, 1]], [[1], [2, 3]], [[2], [4, 5, 6]]]
    for rank, f in enumerate(found):
        assert f["gather"] == [("rank", 0), ("rank", 1), ("rank", 2)]
        assert f["same"] == {"seed": 40}
        assert (f["sum"], f["left"]) == ([3.0, 3.0], [1.0, rank])
        assert f["sums"] == {"loss": pytest.approx(0.3)}
        assert (f["most"], f["weight"], f["main"]) == (20, 1.0, rank == 0)
        assert "2 prompts cannot be shared by 3 processes" in f["refused"]


def test_alone_everything_is_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    processes = Processes.start(CPU)
    found = words(processes)
    assert (found["gather"], found["same"], found["most"]) == ([("rank", 0)], {"seed": 40}, 0)
    assert found["mine"] == [[0, 1, 2], list(range(7))]
    tensor, model = torch.ones(2), nn.Linear(1, 1)
    assert processes.sum(tensor) is tensor
    assert processes.prepare(model) is model
    with processes.whole(model) as sampled:
        assert sampled is model
    processes.failing(None)
    with pytest.raises(KeyError):
        processes.failing(KeyError("mine"))
    processes.close()
    assert not dist.is_initialized()


@pytest.mark.parametrize("n", range(1, 14))
@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_every_prompt_has_one_process(n: int, world: int) -> None:
    if n < world:
        with pytest.raises(ReachlabError, match=f"at most {n} processes"):
            Processes(CPU, 0, world).share(n)
        return
    shares = [Processes(CPU, rank, world).share(n) for rank in range(world)]
    assert [i for share in shares for i in share] == list(range(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


# -- failure ----------------------------------------------------------------------------------------------------------


def test_when_one_fails_all_do(apart: Apart) -> None:
    def work(processes: Processes) -> str:
        error = ValueError("no such\nproblem") if processes.rank == 1 else None
        try:
            processes.failing(error)
        except (ValueError, ReachlabError) as raised:
            processes.together()  # none is lost
            return f"{type(raised).__name__}: {raised}".splitlines()[0]
        return "nothing"

    said = "ReachlabError: process 1 of 3 failed (ValueError: no such); mend that and start again"
    assert apart(3, work) == [said, "ValueError: no such", said]


def test_one_that_is_killed_does_not_hold_the_others(apart: Apart) -> None:
    def work(processes: Processes) -> str:
        processes.together()
        if processes.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        began = time.monotonic()
        with pytest.raises(RuntimeError):
            processes.together()
        return "late" if time.monotonic() - began > 15 else "soon"

    assert apart(2, work) == ["soon", None]


def test_one_that_is_late_counts_as_lost(apart: Apart) -> None:
    def work(processes: Processes) -> str:
        processes.together()
        if processes.rank == 1:
            time.sleep(2.5)
            return "slept"
        with pytest.raises(RuntimeError):
            processes.together()
        return "gave up"

    assert apart(2, work, timeout=1) == ["gave up", "slept"]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, "--fsdp_version 2"),
        ({**FSDP, "FSDP_OFFLOAD_PARAMS": "true"}, "--fsdp_offload_params false"),
        ({**FSDP, "FSDP_ACTIVATION_CHECKPOINTING": "true"}, "--fsdp_activation_checkpointing false"),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed"),
        ({"ACCELERATE_MIXED_PRECISION": "bf16"}, "--mixed_precision no"),
    ],
    ids=["version", "offload", "checkpointing", "deepspeed", "precision"],
)
def test_what_is_not_supported_is_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    for name, value in {"WORLD_SIZE": "2", **environment}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ReachlabError, match=said):
        Processes.start(CPU)


def test_a_device_of_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ReachlabError, match="cuda:1 cannot serve 2 processes: say cuda"):
        Processes.start(torch.device("cuda:1"))


# -- going on ---------------------------------------------------------------------------------------------------------


def steps(processes: Processes, state: dict[str, Any] | None, first: int, last: int) -> dict[str, Any]:
    """Train from a state (or the beginning) and return the state, whole."""
    pair = prepared(processes)
    optimizers = [
        *build_optimizers(pair.policy, OptimizerConfig(method="adamw", lr=1e-2, weight_decay=0.1)),
        torch.optim.AdamW(pair.critic.parameters(), lr=3e-3),
    ]
    if state is not None:
        processes.load_state(pair, optimizers, state)
    for t in range(first, last):
        differentiate(processes, pair, batch(10)[t : t + 5])
        clip(pair.policy, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return deepcopy(processes.state(pair, optimizers))


def flat(nested: Any, name: str = "") -> dict[str, Any]:
    """A state's leaves by their path."""
    if isinstance(nested, dict | list):
        items = nested.items() if isinstance(nested, dict) else enumerate(nested)
        return {k: v for key, value in items for k, v in flat(value, f"{name}.{key}").items()}
    return {name: nested}


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Any]:
    return steps(ALONE, None, 0, 4)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((2, {}), (1, {})),
        ((2, FSDP), (1, {})),
        ((1, {}), (2, FSDP)),
        ((3, FSDP), (2, {})),
    ],
    ids=["2 to 1", "2 sharded to 1", "1 to 2 sharded", "3 sharded to 2"],
)
def test_a_run_goes_on_with_other_processes(
    apart: Apart,
    tmp_path: Path,
    undisturbed: dict[str, Any],
    before: tuple[int, dict[str, str]],
    after: tuple[int, dict[str, str]],
) -> None:
    def part(world: int, environment: dict[str, str], first: int, last: int) -> dict[str, Any]:
        state = torch.load(tmp_path / "state.pt", weights_only=True) if first else None
        if world == 1:
            return steps(ALONE, state, first, last)
        found = whole_results(apart(world, lambda p: steps(p, state, first, last), **environment))
        assert found[1:] == [{}] * (world - 1)
        assert isinstance(found[0], dict)
        return found[0]

    torch.save(part(*before, 0, 2), tmp_path / "state.pt")
    found, wanted = flat(part(*after, 2, 4)), flat(undisturbed)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if isinstance(value, Tensor):
            # AdamW divides by the root of a mean square: where a gradient is nearly 0, its last bits are seen.
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-9, msg=name)
        else:
            assert found[name] == value, name


# -- sampling ---------------------------------------------------------------------------------------------------------


def answers(processes: Processes, model: PreTrainedModel, engine: TransformersDecoder | None = None) -> Any:
    """Samples of this process's share of five prompts: 16 of the first, 1 of the others, so shares differ."""
    prompts = [[3, 4, 5], [6], [7, 8], [9, 2], [4]]
    seeds = [list(range(16)), [1], [2], [3], [4]]
    own = list(processes.share(5))
    engine = engine or TransformersDecoder(model, tiny_tokenizer())
    found = engine.generate([prompts[i] for i in own], [seeds[i] for i in own], Decoding(max_tokens=12))
    return [[(c.text, round(c.logprob, 3)) for c in row] for row in found], engine


def sample_and_train(processes: Processes, family: Literal["qwen3", "olmoe"]) -> Any:
    model = processes.prepare(tiny_model(family))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with processes.whole(model) as whole:
        first, engine = answers(processes, whole)
        same = torch.equal(whole.lm_head.weight, whole.model.embed_tokens.weight)
    ids_BT = batch(4)[list(processes.share(4))]
    processes.add_gradients(model, [lambda: (model(input_ids=ids_BT).logits.square().sum() / 1e3, {})], 1)
    processes.sum_gradients(model)
    optimizer.step()
    with processes.whole(model) as whole:
        second, _ = answers(processes, whole, engine)
    held = sum(p.numel() for p in engine.model.parameters()) if processes.sharded else 0
    return first, second, engine.fused_cpu, same, held


@pytest.mark.parametrize("family", ["qwen3", "olmoe"])
@pytest.mark.parametrize("environment", [{}, FSDP], ids=["replicated", "sharded"])
def test_samples_are_those_of_one_process(
    apart: Apart, environment: dict[str, str], family: Literal["qwen3", "olmoe"]
) -> None:
    first, second, *_ = sample_and_train(ALONE, family)
    assert first != second
    found = whole_results(apart(2, lambda p: sample_and_train(p, family), **environment))
    assert [row for f in found for row in f[0]] == first
    assert [row for f in found for row in f[1]] == second
    assert [f[2:] for f in found] == [(True, True, 0)] * 2


# -- a launcher -------------------------------------------------------------------------------------------------------

SCRIPT = """
import torch
from reachlab.training.processes import Processes
processes = Processes.start(torch.device("cpu"))
layer = processes.prepare(torch.nn.Linear(3, 4))
layer(torch.ones(3)).sum().backward()
processes.sum_gradients(layer)
total = processes.same(float(processes.sum(torch.ones(()))))
grad = layer.bias.grad.full_tensor()
if processes.main:
    print("seen", processes.world, processes.sharded, total, grad.tolist())
processes.close()
"""


@pytest.mark.slow
def test_under_accelerate_launch(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--use_fsdp", "--fsdp_version", "2"]
    done = subprocess.run(
        # Port 0: any that is free.
        [*launcher, "--num_processes", "2", "--main_process_port", "0", script],
        capture_output=True, text=True, timeout=120, env=ENVIRONMENT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "seen 2 True 2.0 [2.0, 2.0, 2.0, 2.0]" in done.stdout
