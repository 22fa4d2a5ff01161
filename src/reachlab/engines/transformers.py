"""The embedded engine: a decoding loop over transformers models, built for many samples a prompt.

- A prompt is prefilled once, in batches, and its pictures are encoded there; its keys are shared by its samples
  (`shared_prefix.py`).
- The batch is G blocks of R rows. A row that finishes takes the next sample of its prompt; a block whose prompt is
done takes
  the next prompt, or helps another block's prompt; when nothing waits, the last block moves into the gap and the batch
  shrinks. So the batch stays full until the work runs out.
- A prompt's first token is drawn from the prefill's logits: a sample of T tokens costs T - 1 forward passes.
- On a CPU, where a step may have any number of rows, idle rows are left out, and samples that have the same tokens so
far are computed once.

Axes. B: rows, G: blocks of rows that share a prompt, R: rows of a block, T: tokens, S: places on the shelf, V: entries
of the vocabulary.
"""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.engines.config import Decoding
from reachlab.engines.cuda_graph import CudaGraphSteps
from reachlab.engines.decoder import Completion
from reachlab.engines.decoding_rows import DecodingRows, PromptJob, first_alike, shares_of
from reachlab.engines.engine import Progress
from reachlab.engines.fused_cpu_weights import FusedCpuWeights
from reachlab.engines.probe import probe_decoding
from reachlab.engines.rng import uniforms
from reachlab.engines.shared_prefix import PrefixCache, shared_prefix_attention
from reachlab.engines.stop_strings import StopStrings
from reachlab.engines.token_sampling import sample_tokens
from reachlab.errors import ReachlabError
from reachlab.models.positions import refuse_unsteady
from reachlab.models.tokenizer import decode_answers
from reachlab.models.vision import Places, pixels
from reachlab.threads import side_by_side

if TYPE_CHECKING:
    from reachlab.engines.fused_cpu import FusedCpuDecoder

BLOCK_ROWS = 16
"""Rows that share a prompt's keys. More rows share better; fewer leave fewer of them idle when a prompt runs out."""
PREFILL_TOKENS = 8192
CACHE_BYTES = 4 << 30
MAX_ROWS, ACCELERATOR_ROWS = 512, 4096
STEP_FLOPS = 5e10
"""What a core computes in about a second."""


class TransformersDecoder:
    """Samples from a model in this process. The weights are read, never copied: train between two calls as you like."""

    name = "transformers"

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: int = 0):
        self.model, self.tokenizer, self.rows = model, tokenizer, rows
        self.fused_cpu: bool | None = None  # whether `fused_cpu.py` computes it (`probe.py`); found out once
        self.longest: int | None = None  # sequence that can be decoded here
        ends = model.generation_config.eos_token_id if model.generation_config is not None else None
        listed = ends if isinstance(ends, list) else [ends]
        self.ends = np.array(sorted({int(e) for e in [*listed, tokenizer.eos_token_id] if e is not None}))

    def choose_rows(self, decoding: Decoding, longest_prompt: int) -> int:
        """Rows of one batch: as asked, or what keeps a core busy within a second a step and a few GiB of cache; on a
        GPU, what fits into half of its free memory.

        Args:
            decoding: of which the most tokens of an answer count.
            longest_prompt: tokens.
        """
        if self.rows:
            return self.rows
        on_cpu, on_gpu = (self.model.device.type == kind for kind in ("cpu", "cuda"))
        room = torch.cuda.mem_get_info(self.model.device)[0] / 2 if on_gpu else CACHE_BYTES
        config = self.model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        # A key and a value; MLA's are of other widths, and every query head has its own.
        both = 2 * width
        if value := getattr(config, "v_head_dim", None):
            key = (getattr(config, f"qk_{part}_head_dim", None) or 0 for part in ("nope", "rope"))
            heads, both = config.num_attention_heads, (sum(key) or width) + value
        token = both * config.num_hidden_layers * heads * self.model.dtype.itemsize
        most = room / self.batches() / (token * (decoding.max_tokens + longest_prompt / BLOCK_ROWS))
        if on_cpu:
            most = min(most, STEP_FLOPS / (2 * self.model.num_parameters()))
        return int(np.clip(most, 8, ACCELERATOR_ROWS if on_gpu else MAX_ROWS))

    def batches(self) -> int:
        """Batches decoded side by side, a thread each: on a CPU as many as torch's threads, for small steps gain little
        from being split."""
        return torch.get_num_threads() if self.model.device.type == "cpu" else 1

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None = None,
    ) -> list[list[Completion]]:
        """See `Decoder.generate`.

        Raises:
            ReachlabError: an empty prompt, a model family the engine cannot decode, or sequences that are too long for
                a token to have one probability.
        """
        for number, prompt in enumerate(prompts):
            if not len(prompt):
                raise ReachlabError(f"prompt {number} has no token")
        longest = max(map(len, prompts), default=0) + decoding.max_tokens
        refuse_unsteady(self.model.config.get_text_config(), longest)
        shares = shares_of([len(s) for s in seeds], self.batches())
        completed: list[list[Completion]] = [[] for _ in prompts]
        weights = None
        if self.fused_cpu is None and shares:
            result = probe_decoding(self.model)
            self.longest, weights = result.longest, result.weights
            self.fused_cpu = weights is not None
        if self.longest and longest > self.longest:
            raise ReachlabError(
                f"{type(self.model).__name__}: sequences of up to {longest:,} tokens, and the sliding window of "
                f"{self.longest:,} in its configuration does not reach its attention here: keep prompt and answer "
                f"within {self.longest:,}, or let --engine vllm draw from it"
            )
        with shared_prefix_attention(self.model):
            # Read anew at every call, for training changes them, and once for all threads: what one of them has just
            # read from memory, another finds in the cache.
            if self.fused_cpu and shares:
                weights = weights or FusedCpuWeights(self.model)

            def decode(share: list[tuple[int, slice]]) -> list[list[Completion]]:
                chosen = [prompts[p] for p, _ in share], [seeds[p][s] for p, s in share]
                return _Batch(self, weights, *chosen, decoding, progress).run()

            for share, results in zip(shares, side_by_side(decode, shares, len(shares)), strict=True):
                for (p, _), completions in zip(share, results, strict=True):
                    completed[p].extend(completions)
        return completed


def _fused_cpu(weights: FusedCpuWeights, tokens: int, rows: int) -> "FusedCpuDecoder":
    from reachlab.engines.fused_cpu import FusedCpuDecoder  # with its kernels, which an extra brings

    return FusedCpuDecoder(weights, torch.arange(tokens), rows)


class _Batch:
    """One call of `generate`."""

    def __init__(
        self,
        engine: TransformersDecoder,
        weights: FusedCpuWeights | None,
        prompts: Sequence[Sequence[int]],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None,
    ):
        self.engine, self.decoding, self.progress = engine, decoding, progress
        self.model, self.device = engine.model, engine.model.device
        self.jobs = [
            PromptJob(p, [None] * len(s), deque(enumerate(s)), i)
            for i, (p, s) in enumerate(zip(prompts, seeds, strict=True))
        ]
        self.queue = deque(job for job in self.jobs if job.waiting)
        self.shelf: deque[PromptJob] = deque()
        self.shelf_size = 0
        longest = max(len(job.prompt) for job in self.queue)
        samples = sum(len(job.waiting) for job in self.queue)
        rows = min(engine.choose_rows(decoding, longest), samples)
        self.R = min(BLOCK_ROWS, rows, max(len(job.waiting) for job in self.queue))
        G = max(1, rows // self.R)
        B, T = G * self.R, decoding.max_tokens
        self.cache = PrefixCache(G, self.R, longest, max(T - 1, 1), self.device)
        self.blocks: list[PromptJob] = []
        self.max_blocks = G
        self.rows = DecodingRows(
            tokens_BT=np.zeros((B, T), np.int32),
            count_B=np.zeros(B, np.int64),
            seed_B=np.zeros(B, np.int64),
            logprob_B=np.zeros(B, np.float64),
            sample_B=np.full(B, -1, np.int64),
        )
        self.first_logits_GV: torch.Tensor | None = None
        self.fused_cpu = _fused_cpu(weights, longest + T, B) if weights is not None else None
        self.cuda_graph = CudaGraphSteps(self.model, self.cache) if self.device.type == "cuda" else None
        self.places = Places(self.model)
        self.stop = StopStrings(engine.tokenizer, decoding.stop) if decoding.stop else None

    @torch.no_grad()
    def run(self) -> list[list[Completion]]:
        while len(self.blocks) < self.max_blocks and self._open_block(len(self.blocks)):
            pass
        while self.blocks:
            self._step()
            self._close_blocks()
        return [[r for r in job.results if r is not None] for job in self.jobs]

    # -- blocks -----------------------------------------------------------------------------------------------------

    def _open_block(self, block: int) -> bool:
        """Give place `block` a prompt and its rows samples; False when nothing waits."""
        if self.shelf or self.queue:
            if not self.shelf:
                self._prefill()
            job = self.shelf.popleft()
            self.cache.place(self.shelf_size - len(self.shelf) - 1, block)
        else:
            source = max(range(len(self.blocks)), key=lambda g: len(self.blocks[g].waiting), default=None)
            if source is None or not self.blocks[source].waiting:
                return False
            job = self.blocks[source]
            self.cache.copy_prefix(source, block)
        if block == len(self.blocks):
            self.blocks.append(job)
        else:
            self.blocks[block] = job
        rows = np.arange(block * self.R, (block + 1) * self.R)
        self.rows.offset_B[rows] = self.places.after(job.prompt)
        self._fill(rows)
        return True

    def _prefill(self) -> None:
        """Run the next prompts through the model, left-padded, and put them on the shelf."""
        jobs = [self.queue.popleft()]
        longest = len(jobs[0].prompt)
        while self.queue and max(longest, len(self.queue[0].prompt)) * (len(jobs) + 1) <= PREFILL_TOKENS:
            jobs.append(self.queue.popleft())
            longest = max(longest, len(jobs[-1].prompt))
        ids_ST = torch.zeros(len(jobs), longest, dtype=torch.long)
        valid_ST = torch.zeros(len(jobs), longest, dtype=torch.bool)
        for slot, job in enumerate(jobs):
            ids_ST[slot, longest - len(job.prompt) :] = torch.as_tensor(job.prompt)
            valid_ST[slot, longest - len(job.prompt) :] = True
        position_ids = (valid_ST.cumsum(1) - 1).clamp_(min=0)
        prompts = [job.prompt for job in jobs]
        seen = pixels(prompts, self.device)
        if seen and self.places:
            position_ids = position_ids.expand(3, -1, -1).contiguous()
            for slot, prompt in enumerate(prompts):
                position_ids[:, slot, longest - len(prompt) :] = self.places.of(prompt)
        valid_ST = valid_ST.to(self.device)
        self.cache.begin_prefill(valid_ST)
        logits_SV = self.model(
            input_ids=ids_ST.to(self.device),
            position_ids=position_ids.to(self.device),
            **seen,
            use_cache=False,
            logits_to_keep=1,
            prefix_cache=self.cache,
        ).logits[:, -1]
        for job, logits_V in zip(jobs, logits_SV, strict=True):
            job.first_logits_V = logits_V
        self.shelf, self.shelf_size = deque(jobs), len(jobs)

    def _close_blocks(self) -> None:
        """Reopen blocks whose rows are all idle, or let the last block take their place."""
        busy_G = (self.rows.sample_B[: len(self.blocks) * self.R].reshape(-1, self.R) >= 0).any(1)
        for block in np.flatnonzero(~busy_G)[::-1]:
            if self._open_block(int(block)):
                continue
            last = len(self.blocks) - 1
            if block != last:
                source, target = (slice(g * self.R, (g + 1) * self.R) for g in (last, int(block)))
                self.rows.move(source, target)
                self.cache.move(last, int(block), int(self.rows.count_B[target].max()))
                self.blocks[block] = self.blocks[last]
            self.blocks.pop()

    # -- rows -------------------------------------------------------------------------------------------------------

    def _fill(self, rows: np.ndarray) -> None:
        """Give idle rows the waiting samples of their prompts, and draw each one's first token."""
        while len(rows):
            taken = []
            for row in rows.tolist():
                waiting = self.blocks[row // self.R].waiting
                self.rows.count_B[row] = 0
                self.rows.sample_B[row] = -1
                if waiting:
                    self.rows.sample_B[row], self.rows.seed_B[row] = waiting.popleft()
                    self.rows.logprob_B[row] = 0.0
                    taken.append(row)
            if not taken:
                return
            logits = [self.blocks[row // self.R].first_logits_V for row in taken]
            rows = self._draw(np.array(taken), torch.stack([x for x in logits if x is not None]))

    def _step(self) -> None:
        """One forward pass for all rows; outside of `_fused_cpu_step` idle rows ride along."""
        if self.fused_cpu is not None:
            self._fused_cpu_step(self.fused_cpu)
            return
        B, R = len(self.blocks) * self.R, self.rows
        fed_B = np.maximum(R.count_B[:B] - 1, 0)
        positions_B = torch.from_numpy(fed_B).to(self.device)
        ids_B = torch.from_numpy(R.tokens_BT[np.arange(B), fed_B].astype(np.int64)).to(self.device)
        offsets_B = torch.from_numpy(R.offset_B[:B]).to(self.device)
        longest = int(fed_B.max()) + 1
        if self.cuda_graph is not None:
            logits_BV = self.cuda_graph.logits(len(self.blocks), ids_B, positions_B, offsets_B + positions_B, longest)
            self._take(logits_BV, B)
            return
        self.cache.begin_step(len(self.blocks), positions_B, longest, max(len(job.prompt) for job in self.blocks))
        logits_BV = self.model(
            input_ids=ids_B[:, None],
            position_ids=(offsets_B + positions_B)[:, None],
            use_cache=False,
            prefix_cache=self.cache,
        ).logits[:, -1]
        self._take(logits_BV, B)

    def _fused_cpu_step(self, decoder: "FusedCpuDecoder") -> None:
        """One forward pass, in which no idle row rides along, and of samples that have the same tokens so far one, the
        leader, is computed for all. Where they part, a new leader gets a copy of the keys and values."""
        R, B = self.rows, len(self.blocks) * self.R
        busy = np.flatnonzero(R.sample_B[:B] >= 0)
        first = busy[R.count_B[busy] == 1]
        if len(first):
            # None has a key of its own yet: all samples of a prompt that begin alike may follow one of them.
            numbers = np.array([self.blocks[row // self.R].number for row in first.tolist()])
            R.leader_B[first] = first[first_alike(numbers, R.tokens_BT[first, 0])]
        leaders, of_busy = np.unique(R.leader_B[busy], return_inverse=True)
        own = R.count_B[leaders] - 1
        self.cache.begin_fused_cpu_step(len(self.blocks), max(len(job.prompt) for job in self.blocks))
        ids = torch.from_numpy(R.tokens_BT[leaders, own].astype(np.int64))
        logits_BV = decoder.logits(leaders, ids, own, R.offset_B[leaders] + own, self.cache)
        ended = self._draw(busy, logits_BV, of_busy)
        self._part(busy[R.sample_B[busy] >= 0])
        if len(ended):
            self._fill(ended)

    def _part(self, rows: np.ndarray) -> None:
        """New leaders for those of `rows` whose newest token is not their leader's, or whose leader has ended."""
        R = self.rows
        old, tokens = R.leader_B[rows], R.tokens_BT[rows, R.count_B[rows] - 1]
        # The leader comes first among its followers, and stays what it is.
        order = np.argsort(rows != old, kind="stable")
        rows, old, tokens = rows[order], old[order], tokens[order]
        R.leader_B[rows] = rows[first_alike(old, tokens)]
        new = rows[(R.leader_B[rows] == rows) & (old != rows)]
        if len(new):
            sources = old[np.isin(rows, new)]
            self.cache.fork(sources, new, int(R.count_B[new].max()) - 1)

    def _take(self, logits_BV: torch.Tensor, B: int) -> None:
        """Draw the busy rows' next tokens, and give the rows that ended their next samples."""
        rows = np.flatnonzero(self.rows.sample_B[:B] >= 0)
        if len(rows) < B:
            logits_BV = logits_BV[torch.from_numpy(rows).to(self.device)]
        ended = self._draw(rows, logits_BV)
        if len(ended):
            self._fill(ended)

    def _draw(self, rows: np.ndarray, logits_BV: torch.Tensor, places: np.ndarray | None = None) -> np.ndarray:
        """Draw one token for each of `rows`, store the samples that ended, and return their rows. A row's logits are in
        the same place as the row is, or in its one of `places`."""
        R = self.rows
        u_B = torch.from_numpy(uniforms(R.seed_B[rows], R.count_B[rows])).to(self.device)
        tokens, logprobs = (x.cpu().numpy() for x in sample_tokens(logits_BV, u_B, self.decoding, places))
        R.tokens_BT[rows, R.count_B[rows]] = tokens
        R.count_B[rows] += 1
        R.logprob_B[rows] += logprobs
        stopped = np.isin(tokens, self.engine.ends)
        texts: dict[int, str] = {}
        if self.stop is not None:
            for i in np.flatnonzero(self.stop.may_end(tokens) & ~stopped):
                row = int(rows[i])
                text = self.stop.cut(R.tokens_BT[row, : R.count_B[row]])
                if text is not None:
                    stopped[i], texts[row] = True, text
        ended = np.flatnonzero(stopped | (R.count_B[rows] >= self.decoding.max_tokens))
        if len(ended):
            self._store(rows[ended], stopped[ended], texts)
        if self.progress is not None:
            self.progress(len(ended), len(rows))
        return rows[ended]

    def _store(self, rows: np.ndarray, stopped: np.ndarray, texts: dict[int, str]) -> None:
        R = self.rows
        tokens = [R.tokens_BT[row, : R.count_B[row]].copy() for row in rows]
        decoded = decode_answers(self.engine.tokenizer, tokens)
        for row, ids, stop, text in zip(rows.tolist(), tokens, stopped.tolist(), decoded, strict=True):
            self.blocks[row // self.R].results[int(R.sample_B[row])] = Completion(
                tokens=ids,
                text=texts.get(row, text),
                finish="stop" if stop else "length",
                logprob=float(R.logprob_B[row]),
            )
            R.sample_B[row] = -1
