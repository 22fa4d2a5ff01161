"""`reachlab score`: how likely a run's answers are under a model, kept beside them.

    logprob:NAME = Σ_t log P_judge(y_t | x, y_<t)      the answer's text in the judge's own tokens, at temperature 1

and then its end-of-text token, where the answer stopped. Not where the run was drawn with stop strings: nobody knows
what ended an answer there. Prompts are put to the judge as it is asked them: text as it stands, messages through its
chat template. Equal answers to a problem are scored once.

A part is rewritten whole when it is done, and every `SAVE_EVERY_S` seconds with what there is of it. A row that has
`tokens:NAME` is not asked again: so a killed run goes on, and `--samples` can be raised later.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from reachlab.errors import ReachlabError
from reachlab.hub import parse
from reachlab.measures.agreement import ScoreAgreement, agreement
from reachlab.measures.config import ScoreConfig
from reachlab.measures.scorer import Scorer
from reachlab.measures.surprise import LOGPROB, RETOKENISED, TOKENS, Identity, writer_of
from reachlab.models.chat import is_chat
from reachlab.models.checkpoint import load_model
from reachlab.models.checkpoint_files import find_checkpoint, hash_model
from reachlab.models.devices import choose_device
from reachlab.models.pack import Pack
from reachlab.models.pinning import locate
from reachlab.models.positions import positions
from reachlab.models.tokenizer import encode_prompts, prompt_ids
from reachlab.progress import track
from reachlab.runs import RunFolder
from reachlab.store.columns import TOKENS_HASH
from reachlab.store.samples import SampleStore
from reachlab.text_hashes import hash_tokens
from reachlab.threads import ahead

PIECE_PACKS = 8
"""Packs a thread that are made at a time: enough for packs of answers of like length."""
ENCODE_TEXTS = 512
SAVE_EVERY_S = 60.0


@dataclass(frozen=True, kw_only=True)
class ScoredRun:
    """One run after scoring. It holds ``samples``; ``now`` were asked by this command, ``scored`` have a score in all.

    ``empty`` answers have no token and ``unfit`` ones cannot be put to this judge: both were asked and have no score.
    ``retokenised`` ones of those scored are other tokens for the judge than were drawn.
    ``agreement`` is there where the judge is the writer.
    """

    folder: str
    judge: str
    samples: int
    now: int
    scored: int
    empty: int
    unfit: int
    retokenised: int
    agreement: ScoreAgreement | None

    def words(self) -> str:
        """In a sentence."""
        said = f"{self.folder}: {self.scored:,} of {self.samples:,} samples scored by {self.judge}, {self.now:,} now"
        said += f"; no score for {self.empty:,} that have no token" if self.empty else ""
        said += f"; no score for {self.unfit:,} that its tokens or positions cannot hold" if self.unfit else ""
        return said + (f"; {self.retokenised:,} are other tokens for it than were drawn" if self.retokenised else "")


def score(config: ScoreConfig, tell: Callable[[str], None] = lambda remark: None) -> list[ScoredRun]:
    """Score what the runs lack of their scores by this judge. `tell` hears remarks for the user.

    Raises:
        ReachlabError: a model or run that cannot be used, or scores by another model under this judge's name; what is
            stored stays.
    """
    said = config.model
    config = replace(config, model=locate(said, notify=tell).folder)
    judge = _Judge(
        config.name or judge_name(said),
        {"model": hash_model(config.model, rehash=config.rehash), "dtype": config.dtype},
        positions(config.model),
    )
    runs = [_Run(SampleStore(RunFolder(run)), judge, config.samples, tell) for run in config.runs]
    device = choose_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    if any(run.pending for run in runs):
        model, tokenizer = load_model(config.model, config.dtype)
        model.to(device)
        scorer = Scorer(model, tokenizer, config.tokens)
        for run in runs:
            run.score(scorer)
    return [run.summary() for run in runs]


def judge_name(model: str | Path) -> str:
    """What a judge is called unless somebody says otherwise: its folder, the run whose model it is, its name on the
    hub."""
    if not Path(model).exists() and (name := parse(str(model))):
        return name.repo.rpartition("/")[2]
    folder = find_checkpoint(model).resolve()
    return folder.parent.name if folder.name == "model" else folder.name


@dataclass(frozen=True)
class _Judge:
    name: str
    identity: Identity
    positions: int | None

    @property
    def logprob(self) -> str:
        return f"{LOGPROB}{self.name}"

    @property
    def tokens(self) -> str:
        return f"{TOKENS}{self.name}"

    @property
    def retokenised(self) -> str:
        return f"{RETOKENISED}{self.name}"


@dataclass(frozen=True, eq=False)
class _Piece:
    """Some answers to problems of one part, ready to be passed. Answer i stands for `rows[i]` of the part."""

    part: str
    rows: list[list[int]]
    tokens: list[int]
    hashes: list[int]
    """Of the answers' tokens."""
    packs: list[Pack]
    unfit: dict[int, int]
    """Rows that cannot be scored, and their tokens."""


class _Run:
    """One run on its way to its scores."""

    def __init__(self, store: SampleStore, judge: _Judge, samples: int, tell: Callable[[str], None]):
        """See what is left to do.

        Raises:
            ReachlabError: not a run of samples, or another model's scores under the judge's name.
        """
        self.store, self.judge, self.tell = store, judge, tell
        store.folder.sweep()
        self.problems = {p.id: p for p in store.problems()}
        document = store.folder.read_json("run.json") if store.folder.exists("run.json") else {}
        decoding: Mapping[str, Any] = _object(document.get("config", {}).get("decoding"))
        self.open_ended = bool(decoding.get("stop"))
        self.pending: dict[str, list[int]] = {}
        self.asked = 0
        for part in store.parts():
            self._check(part)
            table = store.read_part(part, ["sample", judge.tokens])
            asked_N = table["sample"].to_numpy() < (samples or np.inf)
            self.asked += int(asked_N.sum())
            if judge.tokens in table.column_names:
                asked_N &= pc.is_null(table[judge.tokens]).to_numpy()
            if asked_N.any():
                self.pending[part] = np.flatnonzero(asked_N).tolist()
        self.now = sum(map(len, self.pending.values()))

    def score(self, scorer: Scorer) -> None:
        """Score the rows that are left, and store them part by part."""
        columns: _Columns | None = None
        with track(f"score {self.store.folder.name}", self.asked, self.asked - self.now) as advance:
            for piece in ahead(self._pieces(scorer)):
                if columns is not None and columns.part != piece.part:
                    columns.save()
                    columns = None
                columns = columns or _Columns(self.store, piece.part, self.judge, self.open_ended)
                stands_for = np.array([len(rows) for rows in piece.rows])

                def done(pack: Pack, stands_for: np.ndarray = stands_for) -> None:
                    advance(int(stands_for[pack.index_B.numpy()].sum()))

                if piece.packs:
                    columns.fill(piece, scorer.logprobs(piece.packs, done))
                columns.mark(piece.unfit)
                advance(len(piece.unfit))
                if time.monotonic() - columns.saved > SAVE_EVERY_S:
                    columns.save()
            if columns is not None:
                columns.save()

    def summary(self) -> ScoredRun:
        """What the run holds now."""
        judge = self.judge
        table = self.store.read_encoded([judge.logprob, judge.tokens, judge.retokenised])
        scored = empty = unfit = retokenised = 0
        if judge.retokenised in table.column_names:
            retokenised = pc.sum(table[judge.retokenised]).as_py() or 0
        if judge.tokens in table.column_names:
            without = table.filter(pc.and_(pc.is_valid(table[judge.tokens]), pc.is_null(table[judge.logprob])))
            empty = pc.sum(pc.equal(without[judge.tokens], 0)).as_py() or 0
            unfit = len(without) - empty
            scored = len(table) - table[judge.logprob].null_count
        own = writer_of(self.store) == judge.identity["model"]
        return ScoredRun(
            folder=self.store.folder.url,
            judge=judge.name,
            samples=len(table),
            now=self.now,
            scored=scored,
            empty=empty,
            unfit=unfit,
            retokenised=retokenised,
            agreement=agreement(self.store, judge.name, self.open_ended) if own else None,
        )

    # -- pieces -----------------------------------------------------------------------------------------------------

    def _pieces(self, scorer: Scorer) -> Iterator[_Piece]:
        """The rows that are left in pieces of some packs, part after part."""
        if not self.pending:
            return
        prompts, lacking = self._prompts(scorer), Counter[str]()
        most = PIECE_PACKS * scorer.threads * scorer.tokens
        for part, rows in self.pending.items():
            waiting: dict[str, list[tuple[list[int], list[int]]]] = {}
            unfit: dict[int, int] = {}
            size = 0
            for problem, same, answer in self._answers(scorer, part, rows):
                prompt = prompts[problem]
                if what := self._misfit(scorer, prompt, answer):
                    unfit.update(dict.fromkeys(same, len(answer)))
                    lacking[what] += len(same)
                    continue
                waiting.setdefault(problem, []).append((same, answer))
                size += len(answer)
                if size >= most:
                    yield self._piece(scorer, part, prompts, waiting, unfit)
                    waiting, unfit, size = {}, {}, 0
            if waiting or unfit:
                yield self._piece(scorer, part, prompts, waiting, unfit)
        for what, count in lacking.items():
            self.tell(f"{self.store.folder.url}: {count:,} samples have no score: {what}")

    def _answers(self, scorer: Scorer, part: str, rows: Sequence[int]) -> Iterator[tuple[str, list[int], list[int]]]:
        """The different answers of some rows, problem by problem: the problem, the rows, the tokens."""
        table = self.store.read_part(part, ["problem_id", "text", "finish"]).take(rows)
        columns = (table[name].to_pylist() for name in ("problem_id", "text", "finish"))
        found: dict[str, dict[tuple[str, bool], list[int]]] = {}
        for row, problem, text, finish in zip(rows, *columns, strict=True):
            if problem not in self.problems:
                raise ReachlabError(f"{part}: problem {problem!r} is not in the run's problems.jsonl")
            ended = finish == "stop" and not self.open_ended
            found.setdefault(problem, {}).setdefault((text, ended), []).append(row)
        flat = [(problem, *key, same) for problem, texts in found.items() for key, same in texts.items()]
        for start in range(0, len(flat), ENCODE_TEXTS):
            batch = flat[start : start + ENCODE_TEXTS]
            texts, ended = [text for _, text, _, _ in batch], [end for _, _, end, _ in batch]
            answers = scorer.encode(texts, ended, [is_chat(self.problems[p].asked) for p, _, _, _ in batch])
            for (problem, _, _, same), answer in zip(batch, answers, strict=True):
                yield problem, same, answer

    def _misfit(self, scorer: Scorer, prompt: Sequence[int], answer: Sequence[int]) -> str:
        """Why an answer cannot be scored, or nothing."""
        judge = self.judge
        if not answer:
            return "they have no token"
        if scorer.tokenizer.unk_token_id is not None and scorer.tokenizer.unk_token_id in answer:
            if writer_of(self.store) == judge.identity["model"]:
                return (
                    "the judge wrote them, but their texts do not lead back to what it drew: a piece of them, such as "
                    "a drawn <unk>, is no token of its own"
                )
            return "the judge's tokenizer has no token for a piece of their text"
        # The last token is predicted and not read.
        if judge.positions is not None and len(prompt) + len(answer) - 1 > judge.positions:
            return f"with their prompts they are longer than the judge's {judge.positions} positions"
        return ""

    def _piece(
        self,
        scorer: Scorer,
        part: str,
        prompts: Mapping[str, list[int]],
        waiting: Mapping[str, list[tuple[list[int], list[int]]]],
        unfit: dict[int, int],
    ) -> _Piece:
        answers = [[answer for _, answer in row] for row in waiting.values()]
        return _Piece(
            part=part,
            rows=[same for row in waiting.values() for same, _ in row],
            tokens=[len(answer) for row in answers for answer in row],
            hashes=[hash_tokens(answer) for row in answers for answer in row],
            packs=scorer.pack(self._given(scorer, list(waiting), prompts), answers),
            unfit=unfit,
        )

    def _given(self, scorer: Scorer, asked: Sequence[str], prompts: Mapping[str, list[int]]) -> list[list[int]]:
        """The prompts of some problems as a model is given them: with their pixels, which are not held for all."""
        if any(self.problems[problem].images for problem in asked):
            return encode_prompts(scorer.tokenizer, [self.problems[problem].asked for problem in asked])
        return [prompts[problem] for problem in asked]

    def _prompts(self, scorer: Scorer) -> dict[str, list[int]]:
        """Every problem's prompt in the judge's tokens."""
        where, unknown = self.store.folder.url, scorer.tokenizer.unk_token_id
        found = prompt_ids(scorer.tokenizer, [p.asked for p in self.problems.values()])
        for problem, prompt in zip(self.problems, found, strict=True):
            if not prompt:
                raise ReachlabError(
                    f"{where}: the judge's tokenizer makes no token of the prompt of problem {problem!r}"
                )
        strange = sum(unknown in prompt for prompt in found) if unknown is not None else 0
        if strange:
            self.tell(
                f"{where}: {strange} of {len(found)} prompts hold characters that the judge's tokenizer lacks; "
                "they become <unk>"
            )
        return dict(zip(self.problems, found, strict=True))

    def _check(self, part: str) -> None:
        """Let no two models' scores stand under one name."""
        schema, wanted = self.store.schema(part), self.judge.identity
        for column in {self.judge.logprob, self.judge.tokens} & {*schema.names}:
            kept = {k.decode(): v.decode() for k, v in (schema.field(column).metadata or {}).items()}
            for key in wanted:
                if kept.get(key) != wanted[key]:
                    raise ReachlabError(
                        f"{self.store.folder.url}: its scores by {self.judge.name!r} are of {key} {kept.get(key)}, not "
                        f"of {wanted[key]}; give this judge another --name"
                    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


class _Columns:
    """The columns of one part while they are filled."""

    def __init__(self, store: SampleStore, part: str, judge: _Judge, open_ended: bool):
        self.store, self.part, self.judge = store, part, judge
        self.saved = time.monotonic()
        table = store.read_part(part, ["sample", judge.logprob, judge.tokens, judge.retokenised, "finish", TOKENS_HASH])
        self.logprob_N = np.full(len(table), np.nan)
        self.tokens_N = np.full(len(table), -1)
        if judge.tokens in table.column_names:
            self.logprob_N[:] = table[judge.logprob].fill_null(np.nan).to_numpy()
            self.tokens_N[:] = table[judge.tokens].fill_null(-1).to_numpy()
        self.other: list[bool | None] = []
        self.drawn: list[int | None] = []
        """Nothing where the run does not say which tokens it drew."""
        if TOKENS_HASH in table.column_names:
            self.drawn = table[TOKENS_HASH].to_pylist()
            if open_ended:  # the tokens of a stop string are not in the text
                ends = table["finish"].to_pylist()
                self.drawn = [None if end == "stop" else drawn for end, drawn in zip(ends, self.drawn, strict=True)]
            kept = table[judge.retokenised].to_pylist() if judge.retokenised in table.column_names else None
            self.other = kept or [None] * len(table)

    def fill(self, piece: _Piece, logprobs: np.ndarray) -> None:
        """Answer i of a piece stands in `rows[i]`."""
        for same, logprob, count, hashed in zip(piece.rows, logprobs.tolist(), piece.tokens, piece.hashes, strict=True):
            self.logprob_N[same], self.tokens_N[same] = logprob, count
            for row in same if self.drawn else ():
                self.other[row] = None if self.drawn[row] is None else self.drawn[row] != hashed

    def mark(self, unfit: Mapping[int, int]) -> None:
        """These rows have been asked, and have no score."""
        for row, count in unfit.items():
            self.tokens_N[row] = count

    def save(self) -> None:
        """Rewrite the part with what there is."""
        logprobs = pa.array(self.logprob_N.astype(np.float32), mask=np.isnan(self.logprob_N))
        tokens = pa.array(self.tokens_N.astype(np.int32), mask=self.tokens_N < 0)
        columns = {self.judge.logprob: logprobs, self.judge.tokens: tokens}
        if self.drawn:
            columns[self.judge.retokenised] = pa.array(self.other, pa.bool_())
        self.store.add_columns(self.part, columns, self.judge.identity, fill=True)
        self.saved = time.monotonic()
