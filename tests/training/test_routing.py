"""Routers' methods in RL runs: on where a step learns, and there alone, whatever is done to the model on the way."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.tiny import loud, timeless, tiny_model, tiny_tokenizer
from torch import Tensor
from transformers import MixtralConfig, MixtralForCausalLM, PreTrainedModel, Qwen3MoeConfig, Qwen3MoeForCausalLM

from reachlab.models.checkpoint import load_model, save_model
from reachlab.moe import densified
from reachlab.runs import RunFolder
from reachlab.tasks.registry import FAMILIES
from reachlab.training.config import LoopConfig, OptimizerConfig, RoutingConfig, WeightsConfig
from reachlab.training.loop import TrainingRun
from reachlab.training.passes import Passes
from reachlab.training.rl import learner, train_rl
from reachlab.training.rl_config import BudgetConfig, EvaluationConfig, ObjectiveConfig, RLConfig

U = 0.001
"""How far lossfree moves a bias in a step."""
LOOP = LoopConfig(steps=3, save_every=1, keep_every=1, seed=0, device="cpu", threads=1)
METHODS = {
    "topk": RoutingConfig(),
    "default": RoutingConfig(routing="default"),
    "paper": RoutingConfig(routing="default", default_forward="default", estimator="routed"),
    "densemixer": RoutingConfig(routing="densemixer"),
    "sparsemixer": RoutingConfig(routing="sparsemixer"),
    "lossfree": RoutingConfig(routing="lossfree"),
}


def other(family: str) -> PreTrainedModel:
    """A tiny model of a family that is not built here."""
    shape: dict[str, Any] = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "intermediate_size": 24, "max_position_embeddings": 64, "num_experts_per_tok": 2,
    }  # fmt: skip
    tokenizer = tiny_tokenizer()
    ids = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    if family == "mixtral":
        return loud(MixtralForCausalLM(MixtralConfig(**shape, **ids, num_local_experts=4)))
    return loud(Qwen3MoeForCausalLM(Qwen3MoeConfig(**shape, **ids, num_experts=4, moe_intermediate_size=24)))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny model."""
    folder = tmp_path_factory.mktemp("families")

    def find(family: str) -> Path:
        if not (folder / family).exists():
            model = tiny_model("olmoe") if family == "olmoe" else other(family)
            save_model(folder / family, model, tiny_tokenizer())
        return folder / family

    return find


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES.places, "letters", "tests.training.letters:Letters")


def config(model: Path, out: Path, method: str, **changes: Any) -> RLConfig:
    settings: dict[str, Any] = {
        "model": str(model), "task": "letters", "out": str(out), "loop": LOOP, "prompts": 4, "max_tokens": 3,
        "optimizer": OptimizerConfig(lr=3e-3), "budget": BudgetConfig(rollouts=8), "guard": 0.0,
        "routing": METHODS[method],
    }  # fmt: skip
    return RLConfig(**{**settings, **changes})


def state(run: Path, step: int) -> dict[str, Tensor]:
    """The routers' state after a step."""
    folder = run / "checkpoints" / f"step-{step:06}"
    return load_file((folder if folder.exists() else run / "model") / "routers.state")


SHORT = replace(LOOP, steps=2, keep_every=0)
EVALUATED = {"evaluation": EvaluationConfig(eval_every=1, eval_problems=4)}
ADAPTED = {"weights": WeightsConfig(lora_rank=2)}
CRITIC = {"objective": ObjectiveConfig(algorithm="ppo", kl=0.01)}
UPDATES = {"updates": 2, "epochs": 2}


@pytest.mark.parametrize("changes", [{}, EVALUATED, ADAPTED, CRITIC], ids=["", "evaluated", "adapted", "critic"])
@pytest.mark.parametrize("family", ["olmoe", "mixtral", "qwen3_moe"])
def test_biases_move_by_u_a_step(
    family: str, changes: dict[str, Any], checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    train_rl(config(checkpoints(family), tmp_path / "rl", "lossfree", **changes))
    before = {name: torch.zeros_like(bias) for name, bias in state(tmp_path / "rl", 1).items()}
    for step in (1, 2, 3):
        now = state(tmp_path / "rl", step)
        assert len(now) == 2
        for name, bias in now.items():
            moves = ((bias - before[name]) / U).round(decimals=3)
            assert set(moves.tolist()) <= {-1.0, 0.0, 1.0}
            assert moves.any()
        before = now


@pytest.mark.parametrize("changes", [{}, EVALUATED, ADAPTED], ids=["", "evaluated", "adapted"])
@pytest.mark.parametrize("family", ["olmoe", "mixtral", "qwen3_moe"])
def test_probes_are_drawn(
    family: str, changes: dict[str, Any], checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    train_rl(config(checkpoints(family), tmp_path / "rl", "default", **changes))
    draws = [[int(t) for name, t in state(tmp_path / "rl", step).items() if "draws" in name] for step in (1, 2, 3)]
    assert [len(row) for row in draws] == [2, 2, 2]
    assert 0 < draws[0][0] < draws[1][0] < draws[2][0]


def gradients(monkeypatch: pytest.MonkeyPatch, config: RLConfig) -> list[dict[str, Tensor]]:
    """Every step's gradient of all that is trained."""
    seen: list[dict[str, Tensor]] = []
    optimize = TrainingRun.optimize

    def watched(self: TrainingRun, t: int) -> dict[str, float]:
        seen.append({name: p.grad.clone() for name, p in self.model.named_parameters() if p.grad is not None})
        return optimize(self, t)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "optimize", watched)
        train_rl(config)
    return seen


@pytest.mark.parametrize("family", ["olmoe", "mixtral", "qwen3_moe"])
@pytest.mark.parametrize("method", ["default", "paper", "densemixer", "sparsemixer"])
def test_the_routers_gradient_is_not_top_ks(
    method: str, family: str, checkpoints: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {
        name: gradients(monkeypatch, config(checkpoints(family), tmp_path / name, name, loop=SHORT))
        for name in ("topk", method)
    }
    routers = [name for name in found["topk"][0] if name.endswith("gate.weight")]
    assert len(routers) == 2
    for name in routers:
        # The first step of "default" has no vectors yet.
        step = 1 if method in ("default", "paper") else 0
        ours, theirs = found[method][step][name], found["topk"][step][name]
        assert float((ours - theirs).norm()) > 1e-3 * float(theirs.norm())


def test_adapters_learn_through_the_dense_gradient(
    checkpoints: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Routers are frozen under adapters; what lies below them is not."""
    one, other = (
        gradients(monkeypatch, config(checkpoints("olmoe"), tmp_path / name, name, loop=SHORT, **ADAPTED))[0]
        for name in ("topk", "densemixer")
    )
    below = [name for name in one if "layers.0" in name and "lora_B" in name]
    assert below
    assert all("gate.weight" not in name for name in one)
    assert max(float((one[name] - other[name]).norm() / one[name].norm()) for name in below) > 1e-3


def test_all_weights_differ_from_top_ks_after_two_steps(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    for name in METHODS:
        train_rl(config(checkpoints("olmoe"), tmp_path / name, name, loop=SHORT))
    routers = {
        name: load_file(tmp_path / name / "model" / "model.safetensors")["model.layers.0.mlp.gate.weight"]
        for name in METHODS
    }
    assert all(not torch.equal(routers[name], routers["topk"]) for name in METHODS if name != "topk")


# -- on resume --------------------------------------------------------------------------------------------------------


LONGER = [
    pytest.param(changes, id=name, marks=pytest.mark.slow)
    for name, changes in (("critic", CRITIC), ("updates", UPDATES))
]


@pytest.mark.parametrize("changes", [pytest.param({}, id=""), pytest.param(ADAPTED, id="adapted"), *LONGER])
@pytest.mark.parametrize("method", ["lossfree", "paper", "default"])
def test_a_run_that_goes_on_is_the_undisturbed_one(
    method: str,
    changes: dict[str, Any],
    checkpoints: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, broken = (config(checkpoints("olmoe"), tmp_path / name, method, **changes) for name in ("whole", "broken"))
    train_rl(whole)

    def stop(self: TrainingRun) -> None:
        save(self)
        if self.step == 2:
            raise KeyboardInterrupt

    save = TrainingRun.save
    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            train_rl(broken)
    train_rl(broken)
    for file in ("model.safetensors", "routers.state"):
        one, other = (load_file(Path(c.out) / "model" / file) for c in (whole, broken))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    rows = [timeless(RunFolder(c.out).metrics()) for c in (whole, broken)]
    assert rows[0] == rows[1]


# -- what does not learn, and what the run began with -----------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, ADAPTED], ids=["", "adapted"])
@pytest.mark.parametrize("method", ["lossfree", "paper"])
def test_the_reference_is_the_model_that_the_run_began_with(
    method: str, changes: dict[str, Any], checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    """Its routers' state too, though adapters leave one model for both."""
    ids = {"input_ids": torch.randint(3, 20, (2, 8), generator=torch.Generator().manual_seed(0))}
    with learner(config(checkpoints("olmoe"), tmp_path / "rl", method, **changes)) as found, torch.no_grad():
        before = found.run.model(**ids).logits.clone()
        routers = densified(found.run.model)
        assert routers is not None
        for _ in range(2):
            with torch.enable_grad():
                found.step(0)
        for tensor in routers.moved().values():
            tensor.add_(torch.rand(tensor.shape, generator=torch.Generator().manual_seed(1)).to(tensor.dtype))
        held = {name: t.clone() for name, t in routers.moved().items()}
        after = found.run.model(**ids).logits.clone()
        with found.passes.original() as original:
            torch.testing.assert_close(original(**ids).logits, before)
        assert float((after - before).abs().max()) > 1e-3
        assert all(torch.equal(t, held[name]) for name, t in routers.moved().items())


def test_modes_decide_nothing_in_a_run(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    with learner(config(checkpoints("olmoe"), tmp_path / "rl", "sparsemixer")) as found:
        routers = densified(found.run.model)
        assert routers is not None
        for mode in (True, False):
            found.run.model.train(mode)
            assert not any(layer.learning or layer.drawing for layer in routers.layers)
            with routers.learning():
                assert all(layer.learning and layer.drawing for layer in routers.layers)
                with torch.no_grad():
                    assert not any(layer.learning or layer.drawing for layer in routers.layers)


def test_a_critic_has_routers_of_its_own(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    with learner(config(checkpoints("olmoe"), tmp_path / "rl", "lossfree", **CRITIC)) as found:
        policy, critic = (densified(found.run.modules[name]) for name in ("policy", "critic"))
        assert policy is not None
        assert critic is not None
        assert critic.model is found.run.modules["critic"].body
        found.step(0)
        for routers in (policy, critic):
            assert all(t.any() for t in routers.moved().values())
        first = next(iter(critic.moved()))
        assert critic.moved()[first] is not policy.moved()[first]


def test_metrics_are_of_the_passes_that_are_learned_from(
    checkpoints: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference's passes inside the update are not heard: the load is that of the policy's own."""
    common = {"objective": ObjectiveConfig(kl=0.01, kl_place="loss"), "loop": replace(LOOP, steps=1, keep_every=0)}
    train_rl(config(checkpoints("olmoe"), tmp_path / "plain", "lossfree", **common))
    logprobs = Passes._no_grad

    def twice(self: Passes, *given: Any) -> Any:
        logprobs(self, *given)
        return logprobs(self, *given)

    monkeypatch.setattr(Passes, "_no_grad", twice)
    train_rl(config(checkpoints("olmoe"), tmp_path / "twice", "lossfree", **common))
    one, other = (timeless(RunFolder(tmp_path / name).metrics()) for name in ("plain", "twice"))
    assert one == other
    layers = [value for name, value in one[0].items() if name.startswith("load_cv/model.layers.")]
    assert len(layers) == 2
    assert one[0]["load_cv"] == pytest.approx(sum(layers) / 2)


@pytest.mark.parametrize("method", ["lossfree", "paper", "sparsemixer"])
def test_what_comes_out_computes_what_the_run_did(
    method: str, checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    """A method that is a part of the function is loaded with the model."""
    ids = {"input_ids": torch.randint(3, 20, (2, 8), generator=torch.Generator().manual_seed(0))}
    with learner(config(checkpoints("mixtral"), tmp_path / "rl", method)) as found:
        found.step(0)
        routers = densified(found.run.model)
        assert routers is not None
        for tensor in routers.state().values():
            tensor.add_(1)
        save_model(tmp_path / "model", found.run.model, found.run.tokenizer)
        model, _ = load_model(tmp_path / "model")
        with torch.no_grad():
            torch.testing.assert_close(model(**ids).logits, found.run.model(**ids).logits)
