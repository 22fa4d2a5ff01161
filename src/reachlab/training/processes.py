"""One training run in several processes, as `accelerate launch` or `torchrun` starts them.

Every process takes whole prompts: a group never straddles two of them, so selection and advantages need no
communication. What is summed over a step is summed over processes, and losses are divided by totals of the whole step.
So the gradient is the one that a single process would have computed,

    ∇L = Σ_processes Σ_pieces ∇L_piece        (a sum: nothing is averaged, however uneven the shares are)

Two ways to hold the weights. Replicated (DDP, arXiv 2006.15704): every process has them all, and gradients are summed
in flat buckets once they are complete. We sum after the backward pass and not during it, because a pass here is
`torch.autograd.grad` in several threads. Sharded (FSDP2, arXiv 2304.11277; `accelerate launch --use_fsdp
--fsdp_version 2`): every process has a slice of each weight, its gradient and its optimizer state; torch gathers a
layer when a pass comes to it. Two departures: gradients are summed, where torch takes the mean; and answers are drawn
from a whole copy of the weights, because processes decode different numbers of tokens and must not wait for each other
at every one of them.

accelerate reads the launcher's environment and opens the group. Its `Accelerator.prepare` is not used: it wraps model
and optimizer for a loop of its own, with averaged gradients. On a machine without a GPU, `accelerate launch` starts
several processes only when told `--multi_gpu` (or `--use_fsdp`); they talk over gloo.

Every method that communicates is to be called by all processes in the same order. A process alone communicates nothing:
there every method is the identity, and torch.distributed is never initialised.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
import torch.distributed as dist
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from reachlab.errors import ReachlabError
from reachlab.moe import densified
from reachlab.training.gradient import Piece, backward, learning
from reachlab.training.launcher import refuse_unsupported, world_size
from reachlab.training.sharded_tensors import buckets, frozen_names, hollow_copy, sharded_like, whole_tensor

Module = TypeVar("Module", bound=nn.Module)
T = TypeVar("T")

TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others before it gives up."""


@dataclass(frozen=True, eq=False)
class Processes:
    """The processes of a run, seen from one of them. Made by `start`; the fields' defaults are a process alone."""

    device: torch.device
    rank: int = 0
    world: int = 1
    mesh: DeviceMesh | None = None
    """What weights are sharded over; None: every process holds them whole."""
    _twins: WeakKeyDictionary[nn.Module, nn.Module] = field(default_factory=WeakKeyDictionary, repr=False)

    @classmethod
    def start(cls, device: torch.device, timeout: timedelta = TIMEOUT) -> "Processes":
        """Join the processes that the launcher started, or be alone.

        Args:
            device: what to compute on; of several GPUs each process takes the one of its number.
            timeout: how long to wait for a process that is late, before it counts as lost.

        Raises:
            ReachlabError: a launcher's option that is not supported, or a device that all processes would share.
        """
        world = world_size()
        if world < 2:
            return cls(device)
        refuse_unsupported()
        if device.type != "cpu" and device.index is not None:
            raise ReachlabError(
                f"device {device} cannot serve {world} processes: say {device.type}, and each takes its own"
            )
        # Tensors on the CPU go through gloo on every machine, so that bookkeeping never waits for a GPU's queue.
        backend = {"backend": "cpu:gloo,cuda:nccl"} if device.type == "cuda" else {}
        state = PartialState(cpu=device.type == "cpu", timeout=timeout, **backend)
        sharded = parse_flag_from_env("ACCELERATE_USE_FSDP")
        mesh = init_device_mesh(device.type, (state.num_processes,)) if sharded else None
        own = device if device.type == "cpu" else state.device
        return cls(own, state.process_index, state.num_processes, mesh)

    @classmethod
    def alone(cls, device: torch.device) -> "Processes":
        """One process, for work that is not shared out.

        Raises:
            ReachlabError: a launcher started several.
        """
        world = world_size()
        if world > 1:
            raise ReachlabError(f"this command runs in one process, and {world} were launched; start it by itself")
        return cls(device)

    def close(self) -> None:
        """Leave the group; the processes are on their own again."""
        if self.world > 1:
            PartialState().destroy_process_group()
            PartialState._reset_state()

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    @property
    def sharded(self) -> bool:
        """Whether weights are sharded (FSDP2)."""
        return self.mesh is not None

    # -- work and words ---------------------------------------------------------------------------------------------

    def share(self, n: int) -> range:
        """Which of `n` prompts are this process's: neighbours, in numbers that differ by at most 1.

        Raises:
            ReachlabError: fewer prompts than processes.
        """
        if n < self.world:
            raise ReachlabError(
                f"{n} prompts cannot be shared by {self.world} processes: a prompt's rollouts stay together, so use "
                f"{self.world} prompts or more, or start at most {n} processes"
            )
        return range(n * self.rank // self.world, n * (self.rank + 1) // self.world)

    def gather(self, value: T) -> list[T]:
        """Everyone's `value` (anything that pickles), by rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def same(self, value: T) -> T:
        """The main process's `value` (anything that pickles)."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def sum(self, values: Tensor) -> Tensor:
        """A tensor of one shape everywhere, summed over processes; a new tensor unless this process is alone."""
        if self.world == 1:
            return values
        total = values.detach().clone()
        dist.all_reduce(total)
        return total

    def sums(self, values: Mapping[str, float]) -> dict[str, float]:
        """Named numbers summed over processes, by rank; a name that a process lacks counts as 0 there."""
        of_each = self.gather(dict(values))
        names = dict.fromkeys(name for row in of_each for name in row)
        return {name: math.fsum(row.get(name, 0.0) for row in of_each) for name in names}

    def most(self, value: int) -> int:
        """The largest `value` of any process."""
        return max(self.gather(value))

    def together(self) -> None:
        """Wait until every process is here."""
        self.gather(None)

    def failing(self, error: BaseException | None) -> None:
        """End a phase of work without communication: if any process failed in it, all of them raise.

        The one that failed raises its own error, the others say which one it was and what. Without this they would wait
        for it where they next communicate, until the timeout. A process that is killed needs no such call: its
        connections break, and the others' next communication raises.

        Args:
            error: what this process's work raised, or None.

        Raises:
            ReachlabError: another process failed.
        """
        failures = self.gather(None if error is None else f"{type(error).__name__}: {error}".splitlines()[0])
        if error is not None:
            raise error
        for rank, failure in enumerate(failures):
            if failure is not None:
                raise ReachlabError(f"process {rank} of {self.world} failed ({failure}); mend that and start again")

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """A phase without communication: where one process fails, all stop (`failing`)."""
        error: Exception | None = None
        try:
            yield
        except Exception as caught:
            error = caught
        self.failing(error)

    def by_main(self, work: Callable[[], T]) -> T:
        """What the main process finds, in all of them (it pickles); its error is everybody's.

        What touches the disk is done by one process.
        """
        result: T | None = None
        with self.agreed():
            if self.main:
                result = work()
        return cast(T, self.same(result))

    # -- gradients --------------------------------------------------------------------------------------------------

    def prepare(self, model: Module) -> Module:
        """Give every process the main one's weights, and shard them in place where the launcher asked for it.

        Call it once a model (a critic too), on the device, before the optimizers are built on its parameters.
        """
        if self.world == 1:
            return model
        with torch.no_grad():
            for tensor in [*model.parameters(), *model.buffers()]:
                dist.broadcast(tensor.data, src=0)
        if self.mesh is not None:
            self._twins[model] = hollow_copy(model)
            self._shard(model)
        return model

    def _shard(self, model: nn.Module) -> None:
        # None frees a layer's gathered weights after its forward pass; False keeps them until the backward pass.
        free = None if parse_flag_from_env("FSDP_RESHARD_AFTER_FORWARD", default=True) else False
        names = {name for m in model.modules() for name in getattr(m, "_no_split_modules", None) or ()}
        for module in [*(m for m in model.modules() if type(m).__name__ in names), model]:
            part = fully_shard(module, mesh=self.mesh, reshard_after_forward=free)
            part.set_gradient_divide_factor(1.0)
            # A factor of 1 alone would be a multiplying reduction, which only NCCL has.
            part.set_force_sum_reduction_for_comms(True)

    def add_gradients(self, model: nn.Module, pieces: Sequence[Piece], threads: int) -> dict[str, float]:
        """Add the gradient of this process's pieces to the parameters' `grad`; returns this process's sums.

        Sharded, all processes must come with the same number of pieces, for every pass communicates: those with fewer
        add some with a weight of 0. The passes then run one after the other, and must enter the model through its own
        `forward`, where torch's hooks are. Follow with `sum_gradients`.

        Args:
            model: as `prepare` returned it.
            pieces: each returns its part of the loss, a scalar, and other scalars to sum.
            threads: pieces that are computed side by side, unless weights are sharded.
        """
        if not self.sharded:
            return backward(model, pieces, threads)
        sums: dict[str, float] = {}
        with learning(model):
            for piece in pieces:
                loss, others = piece()
                loss.backward()  # type: ignore[no-untyped-call]
                for name, value in {"loss": loss, **others}.items():
                    sums[name] = sums.get(name, 0.0) + value.item()
        return sums

    def sum_gradients(self, model: nn.Module) -> None:
        """Sum the gradients over processes; those of sharded weights were summed by their backward pass.

        A parameter without a gradient on some processes counts as 0 there; one without any anywhere keeps None.
        """
        if self.world == 1:
            return
        held = [p for p in model.parameters() if p.requires_grad and not isinstance(p, DTensor)]
        present = self.gather([p.grad is not None for p in held])
        used = [p for p, *marks in zip(held, *present, strict=True) if any(marks)]
        for bucket in buckets(used):
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
            flat = torch.cat([g.flatten() for g in gradients])
            dist.all_reduce(flat)
            for p, summed in zip(bucket, torch.split(flat, [p.numel() for p in bucket]), strict=True):
                p.grad = summed.view_as(p)

    # -- whole weights ----------------------------------------------------------------------------------------------

    @contextmanager
    def whole(self, model: nn.Module) -> Iterator[Any]:
        """A model with whole weights to draw answers from, which does not communicate.

        It is the model itself where every process holds it whole, and otherwise a twin: the same object each time, with
        the weights of the moment inside the context, and none outside.
        """
        if not self.sharded:
            yield model
            return
        twin = self._twins[model]
        twin.train(model.training)
        for own, p in zip(twin.parameters(), model.parameters(), strict=True):
            own.data = whole_tensor(p)
        for held, b in zip(twin.buffers(), model.buffers(), strict=True):
            held.copy_(b)
        if (routers := densified(model)) is not None and (copies := densified(twin)) is not None:
            copies.load(routers.state())
        try:
            yield twin
        finally:
            for own in twin.parameters():
                own.data = own.new_empty(0)

    # -- state ------------------------------------------------------------------------------------------------------

    def state(self, model: nn.Module, optimizers: Iterable[torch.optim.Optimizer]) -> dict[str, Any]:
        """All it takes to go on, whole and on the CPU, whatever the number of processes; main's alone is filled.

        Like torch's own `state_dict` it may share memory with what it describes: write it before the next step.
        `model` may be an `nn.ModuleDict` of several.

        Frozen parameters (the base under adapters) are left out: they are what the run loads when it goes on.

        Args:
            model: as `prepare` returned it, or an `nn.ModuleDict` of several.
            optimizers: on its parameters.

        Returns:
            {"model": name → tensor, "optimizers": [their `state_dict`]}, or {} on the other processes.
        """
        frozen = frozen_names(model)
        moving = {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}
        weights = self._collect(moving)
        moments = [self._collect(optimizer.state_dict()) for optimizer in optimizers]
        return {"model": weights, "optimizers": moments} if self.main else {}

    def load_state(
        self, model: nn.Module, optimizers: Iterable[torch.optim.Optimizer], state: Mapping[str, Any]
    ) -> None:
        """Take up a state from `state`, of any number of processes; every process brings the whole of it.

        Args:
            model: as `prepare` returned it.
            optimizers: on its parameters, as many as the state has.
            state: what `state` returned, the whole of it on every process.

        Raises:
            RuntimeError, ValueError: the state of another model, or of other optimizers.
        """
        own, frozen = model.state_dict(), frozen_names(model)
        extra = sorted(set(state["model"]) & frozen)
        if extra:
            raise ValueError(f"it holds {extra[0]}, which this run does not train: the state of an older version")
        kept = {name: own[name] for name in frozen}
        model.load_state_dict({**kept, **{name: sharded_like(t, own.get(name)) for name, t in state["model"].items()}})
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            # An optimizer numbers its parameters in the order of its groups; torch does not look at shapes.
            for at, row in saved["state"].items():
                if any(isinstance(v, Tensor) and v.ndim and v.shape != parameters[at].shape for v in row.values()):
                    raise ValueError("its optimizer moves weights of other shapes")
            values = {
                at: {name: sharded_like(value, parameters[at]) for name, value in row.items()}
                for at, row in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": values})

    def _collect(self, nested: Any) -> Any:
        """Tensors within dicts and lists made whole and put on the CPU; every process walks in the same order."""
        if isinstance(nested, Mapping):
            return {key: self._collect(value) for key, value in nested.items()}
        if isinstance(nested, list):
            return [self._collect(value) for value in nested]
        if not isinstance(nested, Tensor):
            return nested
        whole = whole_tensor(nested)
        return whole.cpu() if self.main else None
