"""The policy on a server: its weights are pushed before every draw, and seen there when it begins and when it ends.

A push is a folder: the weights (adapters merged) are saved, the server loads them in place and forgets its prefix cache
(`engines/token_server.py`). Then the server and the policy here both say the log-probabilities ℓ of one fixed sequence
x_0 … x_n, and their gap

    gap = 1/n Σ_i |ℓ_server(x_i | x_<i) − ℓ_policy(x_i | x_<i)|      (nats)

has to be within a tolerance, else the run stops. It is measured again when all is drawn: a server that was restarted
meanwhile, or that another run pushed to, has given rollouts of other weights.

A step of training moves ℓ by less than a server in bfloat16 rounds, and weights that a server never loads are right at
first. So a process's first push is of a model whose matrices all have their rows moved by one, and the server has to
say what that model does; the true weights follow.

The gap is the mismatch of sampler and trainer (Yao et al., *Your Efficient RL Framework Secretly Brings You Off-Policy
RL Training*, 2025), watched and bounded here, and not corrected by importance weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.engines.config import Decoding, Servers
from reachlab.engines.decoder import Completion
from reachlab.engines.engine import Progress
from reachlab.engines.token_server import TokenServer
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import save_model
from reachlab.models.devices import autocast
from reachlab.training.lora import merged
from reachlab.training.processes import Processes
from reachlab.training.rl_config import PushConfig

LENGTH, STRIDE = 16, 7919
"""Tokens of the probe, and how far apart their ids are (a prime, so that small vocabularies give different ones)."""
PUSHED = "reachlab-pushed-policy"
"""The folder below `--push-folder` that every push replaces; nothing else of the user's is."""


NOT_TAKEN = "it did not load all that was just pushed, serves another model, or computes too coarsely"
LOST = (
    "it was restarted while it drew, or something else pushed weights to it, and rollouts of this step may be of other "
    "weights; they are left out: run the same command again, which goes on at the last saved step"
)


class ServedPolicy:
    """Samples from the policy as it is at each `ready`, through a server.

    Args:
        model: the policy, in training.
        servers: where the server is.
        push: where weights go, and how close the server has to be.

    Raises:
        ReachlabError: sharded weights, or an address that cannot be asked.
    """

    name = TokenServer.name

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        processes: Processes,
        dtype: torch.dtype,
        servers: Servers,
        push: PushConfig,
    ):
        if processes.sharded:
            raise ReachlabError("--base-url: sharded weights are not pushed to a server; launch without --use_fsdp")
        self.model, self.tokenizer, self.processes, self.dtype = model, tokenizer, processes, dtype
        self.server, self.push = TokenServer(servers), push
        self.takes_weights = False
        self._metrics: Mapping[str, float] = {}

    @property
    def metrics(self) -> Mapping[str, float]:
        """Of the last draw: the seconds of its push, and the server's larger gap to the policy (nats a token)."""
        return self._metrics

    @contextmanager
    def ready(self) -> Iterator[None]:
        """The server with the weights of the moment. All processes enter; the main one pushes, and each looks again
        when it has drawn.

        Raises:
            ReachlabError: the server does not take the weights, or does not compute what we do with them, then or at
                the end.
        """
        self._metrics = self.processes.by_main(self._update)
        yield
        with merged(self.model):
            gap = self._check(*self._probe(), LOST)
        self._metrics = {**self._metrics, "server_gap": max(gap, self._metrics["server_gap"])}

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None = None,
    ) -> list[list[Completion]]:
        """See `Decoder.generate`. Within `ready` only."""
        return self.server.generate(prompts, seeds, decoding, progress)

    def _update(self) -> Mapping[str, float]:
        began = perf_counter()
        with merged(self.model):
            ids, expected = self._probe()
            if not self.takes_weights:
                with _spoilt(self.model):
                    self._send()
                    _, spoilt = self._probe()
                if not float((spoilt - expected).abs().mean()) > 2 * self.push.tolerance:
                    raise ReachlabError(
                        f"{self.server.shown}: weights and other weights differ too little in what they say to tell "
                        "whether a push arrives; lower --push-tolerance"
                    )
                self._check(ids, spoilt, NOT_TAKEN)
            self._send()
        gap = self._check(ids, expected, NOT_TAKEN)
        self.takes_weights = True
        return {"server_gap": gap, "seconds_push": perf_counter() - began}

    def _send(self) -> None:
        folder = Path(self.push.folder).absolute() / PUSHED
        save_model(folder, self.model, self.tokenizer)
        self.server.load(folder)

    def _check(self, ids: list[int], expected: Tensor, why: str) -> float:
        """The server's gap to what is expected of the weights that were pushed; `why` it may be too large."""
        served = torch.tensor(self.server.prompt_logprobs(ids), dtype=torch.float64)
        gap = float((served - expected).abs().mean())
        if not gap <= self.push.tolerance:  # NaN too
            raise ReachlabError(
                f"{self.server.shown}: its log-probabilities are {gap:.3g} nats a token from the policy's, more than "
                f"--push-tolerance {self.push.tolerance:g}: {why} (docs/rl.md, Rollouts from a server)"
            )
        return gap

    def _probe(self) -> tuple[list[int], Tensor]:
        """The fixed sequence, and the policy's log-probabilities of all its tokens but the first."""
        # Ids that both the tokenizer and the model have.
        vocabulary = min(len(self.tokenizer), self.model.get_input_embeddings().weight.shape[0])
        ids = [(STRIDE * (i + 1)) % vocabulary for i in range(LENGTH)]
        device, training = self.model.device, self.model.training
        self.model.eval()
        try:
            with torch.no_grad(), autocast(self.dtype if device.type != "cpu" else torch.float32, device):
                logits_1TV = self.model(torch.tensor([ids], device=device)).logits
        finally:
            self.model.train(training)
        logprobs_TV = logits_1TV[0, :-1].double().log_softmax(-1).cpu()
        return ids, logprobs_TV.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


@contextmanager
def _spoilt(model: PreTrainedModel) -> Iterator[None]:
    """The model with the rows of all its matrices moved by one; bit for bit as it was afterwards."""
    _roll(model, 1)
    try:
        yield
    finally:
        _roll(model, -1)


def _roll(model: PreTrainedModel, rows: int) -> None:
    """Moves the rows of every matrix, one after another: a large model has no room for a second copy."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.roll(rows, 0))
