"""Mean token entropy of a model on its own answers, and the temperature at which it equals another model's.

    H(T) = Σ_y Σ_t H(p_T(· | x, y_<t)) / Σ_y |y|,        y ~ p_T(· | x),    p_T = softmax(logits / T)        in nats
    T*   : H_trained(T*) = H_base(T0)

RL lowers a model's entropy, so at one temperature it varies its answers less than its base. Whether that alone explains
what it no longer solves is seen where both have the same entropy (arXiv 2504.13837 matches the base at T0 = 0.6).

Every sample has the same seed at every temperature and under both models (common random numbers): H is then one
function of T, with small jumps where a drawn token changes. T* is bracketed outwards from T0, so that the crossing next
to T0 is found, and then located by Brent's method. Intervals are over problems: H is a ratio of two sums over problems,
linearised, and H_trained − H_base is paired; that of T* is the latter's over the slope of H.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.stats import norm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.engines.config import Decoding
from reachlab.engines.kernels import lacking
from reachlab.engines.rng import sample_seed
from reachlab.engines.transformers import TransformersDecoder
from reachlab.errors import ReachlabError
from reachlab.measures.config import EntropyConfig
from reachlab.models.checkpoint import load_model, load_tokenizer
from reachlab.models.checkpoint_files import hash_model
from reachlab.models.devices import choose_device
from reachlab.models.pack import Pack
from reachlab.models.packing import Packer
from reachlab.models.pinning import Located, locate
from reachlab.models.positions import positions
from reachlab.models.tokenizer import encode_prompts, prompt_ids
from reachlab.origins import Maker
from reachlab.plugins import facts_of, identity_of
from reachlab.progress import track
from reachlab.prompting.prompted_task import PromptedTask, prompted_task
from reachlab.prompting.prompts import check_prompts, fit_answers
from reachlab.runs import RunFolder
from reachlab.store.samples import hash_problems
from reachlab.tasks.base import empty_split, split_meant
from reachlab.tasks.identity import as_begun
from reachlab.tasks.registry import maker_of
from reachlab.threads import side_by_side
from reachlab.types import Problem

LEVEL = 0.95
Z = float(norm.ppf((1 + LEVEL) / 2))
WIDER = 1.25
"""Factor between two temperatures of the search for a bracket."""
LOGITS = 1 << 28
"""Logits of one pass, in numbers: a GiB."""
PASS_TOKENS = 8192


@dataclass(frozen=True, eq=False)
class Entropy:
    """What was measured at one temperature: the summed entropies and the tokens of each problem's answers."""

    temperature: float
    nats_P: np.ndarray
    tokens_P: np.ndarray

    @property
    def nats(self) -> float:
        """Mean entropy of a token."""
        return float(self.nats_P.sum() / self.tokens_P.sum())

    @property
    def tokens(self) -> int:
        """Tokens of all answers."""
        return int(self.tokens_P.sum())

    @property
    def pull_P(self) -> np.ndarray:  # noqa: N802
        """How each problem pulls the ratio of sums: its linearised contribution, zero in the mean."""
        found: np.ndarray = (self.nats_P - self.nats * self.tokens_P) / self.tokens_P.mean()
        return found

    @property
    def interval(self) -> tuple[float, float]:
        """Of `nats`, over problems; not a number for a single problem."""
        half = Z * _standard_error(self.pull_P)
        return max(self.nats - half, 0.0), self.nats + half

    def to_dict(self) -> dict[str, float]:
        """What a table shows."""
        low, high = self.interval
        return {"temperature": self.temperature, "nats": self.nats, "low": low, "high": high, "tokens": self.tokens}


@dataclass(frozen=True, eq=False)
class Match:
    """The temperature at which a model has another's entropy."""

    temperature: float
    low: float
    high: float
    """The ends of its interval, over problems."""
    found: Entropy
    target: Entropy

    def to_dict(self) -> dict[str, Any]:
        """What a table shows."""
        ends = {"temperature": self.temperature, "low": self.low, "high": self.high}
        return {**ends, "found": self.found.to_dict(), "target": self.target.to_dict()}


class EntropyMeter:
    """Measures one model at any temperature, always on the same problems with the same seeds."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        problems: Sequence[Problem],
        samples: int,
        max_tokens: int,
        seed: int = 0,
        stop: tuple[str, ...] = (),
    ):
        self.model, self.max_tokens, self.stop = model, max_tokens, stop
        self.prompts = encode_prompts(tokenizer, [p.asked for p in problems])
        self.seeds = [[sample_seed(seed, p.id, i) for i in range(samples)] for p in problems]
        self.packer, self.engine = Packer(model), TransformersDecoder(model, tokenizer)
        self.threads = torch.get_num_threads() if model.device.type == "cpu" else 1

    def measure(self, temperature: float) -> Entropy:
        """Draw the answers at this temperature, and average the entropies of their tokens."""
        decoding = Decoding(temperature=temperature, max_tokens=self.max_tokens, stop=self.stop)
        with track(f"entropy at {temperature:.3g}", sum(map(len, self.seeds))) as advance:
            drawn = self.engine.generate(self.prompts, self.seeds, decoding, lambda samples, _: advance(samples))
        answers = [[answer.tokens.tolist() for answer in row] for row in drawn]
        owner_N = np.repeat(np.arange(len(answers)), [len(row) for row in answers])
        vocabulary = int(self.model.config.get_text_config().vocab_size)
        size = min(PASS_TOKENS, max(1, LOGITS // vocabulary))
        packs = self.packer.pack(self.prompts, answers, size, self.threads)

        def sums(pack: Pack) -> np.ndarray:
            with torch.no_grad():
                _, entropy_BT = self.packer.logprobs(self.model, pack.to(self.model.device), temperature, entropy=True)
            assert entropy_BT is not None
            found: np.ndarray = entropy_BT.double().sum(1).cpu().numpy()
            return found

        nats_P = np.zeros(len(answers))
        for pack, nats_B in zip(packs, side_by_side(sums, packs, min(self.threads, len(packs))), strict=True):
            np.add.at(nats_P, owner_N[pack.index_B.numpy()], nats_B)
        return Entropy(temperature, nats_P, np.array([sum(map(len, row)) for row in answers]))


def match_temperature(
    measure: Callable[[float], Entropy], target: Entropy, low: float, high: float, tolerance: float
) -> Match:
    """The temperature at which `measure` gives the target's entropy: the one next to the target's own.

    Args:
        measure: of the model that is matched, on the target's problems with its seeds. It is asked more than once
            for a temperature, and should remember.
        target: the entropy to reach, measured at a temperature within `low` to `high`.
        low: the lowest temperature to try. high: the highest.
        tolerance: the entropy crosses the target's within this distance of what is returned.

    Raises:
        ReachlabError: the entropy stays on one side of the target's up to the end of the range.
    """

    def excess(temperature: float) -> float:
        return measure(temperature).nats - target.nats

    start = target.temperature
    upwards = excess(start) <= 0
    end = high if upwards else low
    before = start
    while True:
        if before == end:
            raise ReachlabError(
                f"no temperature from {start:g} to {end:g} gives an entropy of {target.nats:.3f} nats a token: it is "
                f"{measure(start).nats:.3f} at {start:g} and {measure(end).nats:.3f} at {end:g}; "
                f"give --{'high' if upwards else 'low'} more room"
            )
        after = min(before * WIDER, end) if upwards else max(before / WIDER, end)
        if (excess(after) > 0) == upwards:
            break
        before = after
    cold, hot = sorted((before, after))
    temperature = float(brentq(excess, cold, hot, xtol=tolerance, rtol=1e-12))
    found = measure(temperature)
    slope = (excess(hot) - excess(cold)) / (hot - cold)
    half = Z * _standard_error(found.pull_P - target.pull_P) / slope
    return Match(temperature, max(temperature - half, 0.0), temperature + half, found, target)


def _standard_error(pull_P: np.ndarray) -> float:
    return float(pull_P.std(ddof=1) / np.sqrt(len(pull_P))) if len(pull_P) > 1 else float("nan")


@dataclass(frozen=True, eq=False)
class EntropyResult:
    """What `reachlab entropy` found."""

    model: str
    readings: list[Entropy]
    """At the temperatures asked for."""
    matched: str = ""
    """The model that is matched."""
    match: Match | None = None

    def lines(self) -> list[str]:
        """In words."""
        found = [f"{self.model}: {_words(reading)}" for reading in self.readings]
        if self.match is not None:
            m = self.match
            found.append(f"{self.matched}: {_words(m.target)}")
            found.append(
                f"{self.model} has the entropy of {self.matched} at {m.target.temperature:g} at temperature "
                f"{m.temperature:.3f} ({m.low:.3f} to {m.high:.3f}): {m.found.nats:.4f} nats a token"
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """For JSON; a number that does not exist is null."""
        match = None if self.match is None else {"model": self.matched, **self.match.to_dict()}
        readings = [reading.to_dict() for reading in self.readings]
        found: dict[str, Any] = _without_nan({"model": self.model, "readings": readings, "match": match})
        return found


def _words(reading: Entropy) -> str:
    low, high = reading.interval
    interval = f"{low:.4f} to {high:.4f}; " if low == low else ""  # one problem has none
    problems = len(reading.nats_P)
    return (
        f"{reading.nats:.4f} nats a token at temperature {reading.temperature:g} ({interval}"
        f"{problems:,} problem{'s' * (problems != 1)}, {reading.tokens:,} tokens)"
    )


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and value != value else value


class _Notes:
    """What has been measured so far, kept in a folder where there is one."""

    def __init__(self, folder: RunFolder | None):
        self.folder = folder
        kept = folder is not None and folder.exists("entropy.json")
        self.document: dict[str, Any] = folder.read_json("entropy.json") if folder is not None and kept else {}
        self.measured: dict[str, dict[str, Any]] = self.document.setdefault("measured", {})

    def recall(self, role: str, temperature: float) -> Entropy | None:
        """What was measured before, by this command or an earlier one."""
        row = self.measured.get(role, {}).get(repr(temperature))
        return None if row is None else Entropy(temperature, np.array(row["nats"]), np.array(row["tokens"]))

    def keep(self, role: str, entropy: Entropy) -> None:
        """Keep one more measurement."""
        row = {"nats": entropy.nats_P.tolist(), "tokens": entropy.tokens_P.tolist()}
        self.measured.setdefault(role, {})[repr(entropy.temperature)] = row
        self._write()

    def conclude(self, result: EntropyResult) -> None:
        """Put the result beside the measurements."""
        self.document = {**result.to_dict(), "measured": self.measured}
        self._write()

    def _write(self) -> None:
        if self.folder is not None:
            self.folder.write("entropy.json", json.dumps(self.document) + "\n")


@dataclass
class _Measured:
    """One of the models. It is loaded when something is to be measured that is not known yet, and only then."""

    path: str
    role: Literal["model", "match"]
    config: EntropyConfig
    asked: PromptedTask
    problems: Sequence[Problem]
    notes: _Notes
    tell: Callable[[str], None]
    meter: EntropyMeter | None = None

    def measure(self, temperature: float) -> Entropy:
        found = self.notes.recall(self.role, temperature)
        if found is None:
            self.meter = self.meter or self._load()
            found = self.meter.measure(temperature)
            self.notes.keep(self.role, found)
        return found

    def _load(self) -> EntropyMeter:
        config = self.config
        model, tokenizer = load_model(self.path, config.dtype)
        prompts = prompt_ids(tokenizer, [p.asked for p in self.problems])
        if self.asked.remark:
            self.tell(f"{self.path}: {self.asked.remark}")
        for remark in check_prompts(config.task, self.problems, prompts, tokenizer.unk_token_id):
            self.tell(remark)
        device = choose_device(config.device)
        model.to(device)
        if slow := lacking(device):
            self.tell(slow)
        stop = tuple(self.asked.task.decoding.get("stop", ()))
        return EntropyMeter(model, tokenizer, self.problems, config.samples, config.max_tokens, config.seed, stop)


def measure_entropy(config: EntropyConfig, tell: Callable[[str], None] = lambda _: None) -> EntropyResult:
    """Measure a model's entropy, and match it to another's where asked to. `tell` hears remarks.

    Raises:
        ReachlabError: a model or task that cannot be used, a folder with another measurement, no matching temperature.
    """
    folder = RunFolder(config.out) if config.out else None
    if folder is not None:
        folder.check_free()
    runs = [] if folder is None else [folder]
    model = locate(config.model, runs, tell)
    match = locate(config.match, runs, tell, fact="match") if config.match else None
    roles = {"model": model, **({"match": match} if match else {})}
    # Each as it was trained to be asked, unless the user says how.
    asked = {role: prompted_task(config.task, config.ask, found.folder) for role, found in roles.items()}
    task = asked["model"].task
    split = split_meant(task, config.split)
    # A file has as many problems as it has.
    wanted = None if task.finite else config.problems
    posed = {
        role: found.task.problems(split, wanted, config.problem_seed)[: config.problems]
        for role, found in asked.items()
    }
    problems = posed["model"]
    if not problems:
        raise ReachlabError(f"{empty_split(task, split)}; --split all takes all of them")
    tokenizers = [load_tokenizer(found.folder) for found in roles.values()]
    if match and tokenizers[0].get_vocab() != tokenizers[1].get_vocab():
        tell(f"{config.model} and {config.match} have different tokens: their entropies a token do not compare well")
    config = _fit(config, [(found, posed[role]) for role, found in roles.items()], tell)
    names = config.model, config.match
    config = replace(config, model=model.folder, match=match.folder if match else "")
    if folder is not None:
        facts = {**model.facts, **(match.facts if match else {"match": ""}), **facts_of(_makers(config))}
        folder.claim("entropy", as_begun(folder, _identity(config, split, problems, asked)), facts)
    notes = _Notes(folder)
    target = None
    if config.match:
        # Alone: it is gone when the other model is loaded.
        target = _Measured(config.match, "match", config, asked["match"], posed["match"], notes, tell).measure(
            config.at
        )
    measured = _Measured(config.model, "model", config, asked["model"], problems, notes, tell)
    readings = [measured.measure(temperature) for temperature in config.temperature]
    matched = None
    if target is not None:
        matched = match_temperature(measured.measure, target, config.low, config.high, config.tolerance)
    result = EntropyResult(names[0], readings, names[1], matched)
    notes.conclude(result)
    return result


def _fit(
    config: EntropyConfig, models: Sequence[tuple[Located, Sequence[Problem]]], tell: Callable[[str], None]
) -> EntropyConfig:
    """The configuration with a longest answer that all the models have room for, each behind its own prompts.

    Raises:
        ReachlabError: as `fit_answers`.
    """
    most, said = config.max_tokens or Decoding().max_tokens, bool(config.max_tokens)
    for model, problems in models:
        longest = max(map(len, prompt_ids(load_tokenizer(model.folder), [p.asked for p in problems])))
        most, remarks = fit_answers(model.name, positions(model.folder), longest, most, given=said)
        for remark in remarks:
            tell(remark)
    return replace(config, max_tokens=most)


def _identity(
    config: EntropyConfig, split: str, problems: Sequence[Problem], asked: Mapping[str, PromptedTask]
) -> dict[str, Any]:
    """What the result depends on."""
    fields = ("task", "temperature", "at", "low", "high", "tolerance", "samples", "max_tokens", "seed", "dtype")
    return {
        **{name: getattr(config, name) for name in fields},
        "model": hash_model(config.model, rehash=config.rehash),
        "match": hash_model(config.match, rehash=config.rehash) if config.match else None,
        "ask": {role: found.identity for role, found in asked.items()},
        "split": split,
        "problems": len(problems),
        "task_hash": hash_problems(problems),
        **identity_of(_makers(config)),
    }


def _makers(config: EntropyConfig) -> dict[str, Maker]:
    """Who made the task, where that is not ours."""
    by = maker_of(config.task)
    return {} if by is None else {"task": by}
