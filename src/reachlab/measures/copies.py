"""Which samples of a run are equal: distinct solutions, and copies that independent draws do not explain.

A broken seed shows in three ways, each of which is counted and, where it is no chance, said in words:

- two samples with the same `seed`: each has a number of its own, 63 bits long, so there is none by chance;
- many more equal pairs than the model's own log-probabilities explain (`boundary/duplicates.py`), among all samples or
  among long ones; known where the run was drawn at temperature 1 with nothing cut off;
- elsewhere, equal long samples (64 tokens or more; 256 characters where tokens are not known) at a temperature above 0.
  A model that is sure of itself repeats long answers too, so this one is a hint.

Texts are compared by their hashes, part by part; no text stays in memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from reachlab.boundary.duplicates import Copies, distinct_at, expected_copies
from reachlab.measures.measure import Measure, PagePart, Result
from reachlab.measures.measured_run import MeasuredRun
from reachlab.measures.table import Table
from reachlab.store.columns import verdicts
from reachlab.store.samples import SampleStore
from reachlab.text_hashes import hash_texts
from reachlab.types import FILTERED

Ints = NDArray[np.int64]

LONG_TOKENS, LONG_CHARACTERS = 64, 256
SEEDLESS = ("import", "reference")
"""Engines that draw nothing: their samples have no seed."""
SHOWN = 200
"""Characters of an example's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualPair:
    """Two samples of one problem that are equal, and how their text begins."""

    problem_id: str
    samples: tuple[int, int]
    text: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Duplicates:
    """Equal samples of a run.

    ``distinct_P`` counts the different texts of each problem, ``distinct_correct_P`` those that are right; the tables
    have how many of either m samples hold on average, (P, M); a problem without samples has zeros.
    ``copies`` are samples equal to an earlier one of their problem, ``long_copies`` the long ones among these.
    ``same_seed`` are samples with the seed of an earlier one; None where no sample has a seed. ``chance`` holds equal
    pairs against the expected, ``long_chance`` pairs of long samples; None where that is not known.
    """

    samples: int
    distinct_P: Ints
    distinct_correct_P: Ints
    ms: tuple[int, ...]
    distinct_PM: NDArray[np.float64]
    distinct_correct_PM: NDArray[np.float64]
    copies: int
    long_copies: int
    same_seed: int | None
    chance: Copies | None
    long_chance: Copies | None
    example: EqualPair | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers; the tables have means over problems elsewhere."""
        return {
            "samples": self.samples,
            "distinct": self.distinct_P.tolist(),
            "distinct_correct": self.distinct_correct_P.tolist(),
            "copies": self.copies,
            "long_copies": self.long_copies,
            "same_seed": self.same_seed,
            "chance": None if self.chance is None else asdict(self.chance),
            "long_chance": None if self.long_chance is None else asdict(self.long_chance),
            "example": None if self.example is None else asdict(self.example),
            "warnings": list(self.warnings),
        }


def find_duplicates(
    store: SampleStore, decoding: Mapping[str, Any] | None, ms: Sequence[int] = (), below: int | None = None
) -> Duplicates:
    """Count equal samples.

    Args:
        store: the run.
        decoding: how it was drawn, as `run.json` has it; None where that is not known.
        ms: numbers of samples at which to count distinct texts, none beyond a problem's samples.
        below: only samples with an index below this.
    """
    problems = store.problems()
    table, row_N = store.numbered(["text", "verdict", "tokens", "logprob", "seed", "engine", "finish"], _hashed)
    table = table.append_column("row", pa.array(row_N)).append_column("right", pa.array(verdicts(table)[0]))
    # What a filter left of an answer is no text of the model's.
    table = table.filter(pc.not_equal(table["finish"].cast(pa.string()), FILTERED))
    row_N = table["row"].to_numpy()
    if below is not None:
        table = table.filter(pc.less(table["sample"], below))
        row_N = table["row"].to_numpy()
    groups = (
        table.group_by(["row", "hash"])
        .aggregate([("sample", "count"), ("right", "any"), ("long", "any"), ("sample", "min")])
        .sort_by([("row", "ascending"), ("sample_min", "ascending")])
    )
    row_C, count_C = groups["row"].to_numpy(), groups["sample_count"].to_numpy()
    right_C, long_C = groups["right_any"].to_numpy(), groups["long_any"].to_numpy()
    n_P = np.bincount(row_N, minlength=len(problems))
    imported = pc.is_in(table["engine"].cast(pa.string()), pa.array(SEEDLESS))
    seeds = table.filter(pc.and_(pc.invert(imported), pc.is_valid(table["seed"])))
    found = Duplicates(
        samples=len(table),
        distinct_P=np.bincount(row_C, minlength=len(problems)),
        distinct_correct_P=np.bincount(row_C[right_C], minlength=len(problems)),
        ms=tuple(ms),
        distinct_PM=distinct_at(n_P, row_C, count_C, ms) if ms else np.zeros((len(n_P), 0)),
        distinct_correct_PM=distinct_at(n_P, row_C[right_C], count_C[right_C], ms) if ms else np.zeros((len(n_P), 0)),
        copies=int((count_C - 1).sum()),
        long_copies=int((count_C - 1)[long_C].sum()),
        same_seed=len(seeds) - pc.count_distinct(seeds["seed"]).as_py() if len(seeds) else None,
        chance=None,
        long_chance=None,
        example=None,
        warnings=(),
    )
    if _comparable(table, decoding):
        logprob_N = table["logprob"].to_numpy().astype(np.float64)
        pairs_C, long_N = count_C * (count_C - 1) // 2, table["long"].to_numpy()
        every_P, long_P = (
            np.bincount(row_C, weights=pairs_C * chosen_C, minlength=len(n_P)).astype(np.int64)
            for chosen_C in (np.ones(len(long_C), bool), long_C)
        )
        found = replace(
            found,
            chance=expected_copies(n_P, every_P, row_N, logprob_N),
            long_chance=expected_copies(n_P, long_P, row_N[long_N], logprob_N[long_N]),
        )
    example = _example(store, [p.id for p in problems], table, row_C, count_C, long_C, groups["hash"].to_numpy())
    found = replace(found, example=example)
    return replace(found, warnings=tuple(_warnings(found, _seed_twice(seeds), decoding)))


def copies_of(run: MeasuredRun) -> Duplicates:
    """Equal samples of a run before its first look, unscored ones included."""
    folder = run.store.folder
    known = folder.read_json("run.json").get("config", {}).get("decoding") if folder.exists("run.json") else None
    return find_duplicates(run.store, known if isinstance(known, dict) else None, run.ks(run.fewest), run.below)


def _measured(run: MeasuredRun) -> Result:
    found = run.once(copies_of)
    seeds = "–" if found.same_seed is None else f"{found.same_seed:,}"
    counts = (f"{found.samples:,}", f"{found.copies / max(1, found.samples):.1%}", f"{found.long_copies:,}", seeds)
    row = (run.name, (*counts, " ".join(found.warnings) or "nothing unusual"))
    head = ("samples", "equal to an earlier one", "long ones among these", "with an earlier one's seed", "remark")
    line = f"copies: {found.copies:,} of {found.samples:,} samples are equal to another of their problem"
    line += f", {found.long_copies:,} of them long" if found.long_copies else ""
    if (chance := found.chance) is not None:
        line += f"; {chance.pairs:,} equal pairs, {chance.expected:,.1f} ± {chance.deviation:,.1f} expected"
    return Result(
        tables=(Table("Copies", head, (row,)),),
        document=found.to_dict(),
        remarks=(line, *(f"warning: {warning}" for warning in found.warnings)),
    )


COPIES = Measure(
    name="duplicates",
    title="Copies",
    caption="How many samples are exact copies of another of their problem, and whether chance explains them; equal "
    "seeds and long equal texts are no chance.",
    source="Hoeffding 1948; ours",
    compute=_measured,
    unit="count",
    part=PagePart(
        id="copies",
        heading="Equal samples",
        lead="Samples have to be independent draws, or every interval is too narrow. Short answers repeat by chance; "
        "long ones, or equal seeds, do not.",
    ),
)


def _hashed(part: pa.Table) -> pa.Table:
    """A part with the hash of each text, and whether it is long, in place of the text."""
    text, tokens = part["text"], part["tokens"]
    unknown = pc.equal(tokens, 0)
    long = pc.if_else(
        unknown, pc.greater_equal(pc.utf8_length(text), LONG_CHARACTERS), pc.greater_equal(tokens, LONG_TOKENS)
    )
    kept = part.drop_columns(["text", "tokens"])
    return kept.append_column("hash", pa.array(hash_texts(text))).append_column("long", long.combine_chunks())


def _comparable(table: pa.Table, decoding: Mapping[str, Any] | None) -> bool:
    """Whether the samples were drawn from the distribution whose log-probabilities are stored."""
    if not decoding or table["logprob"].null_count:
        return False
    plain = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}
    return all(decoding.get(name) == value for name, value in plain.items())


def _example(
    store: SampleStore,
    ids: Sequence[str],
    table: pa.Table,
    row_C: Ints,
    count_C: Ints,
    long_C: NDArray[np.bool_],
    hash_C: NDArray[np.uint64],
) -> EqualPair | None:
    """The first long text that comes twice, or the commonest text of all if none does."""
    if not (count_C > 1).any():
        return None
    long_twice_C = long_C & (count_C > 1)
    at = int(long_twice_C.argmax()) if long_twice_C.any() else int(count_C.argmax())
    row, text_hash = pa.scalar(int(row_C[at])), pa.scalar(int(hash_C[at]), pa.uint64())
    equal = table.filter(pc.and_(pc.equal(table["row"], row), pc.equal(table["hash"], text_hash)))
    first, second = sorted(equal["sample"].to_pylist())[:2]
    problem_id = ids[int(row_C[at])]
    for path in store.parts():
        part = store.read_part(path, ["problem_id", "sample"])
        here = pc.and_(pc.equal(part["problem_id"], problem_id), pc.equal(part["sample"], first))
        if (place := pc.index(here, True).as_py()) >= 0:
            text = str(store.read_part(path, ["text"])["text"][place])
            break
    return EqualPair(problem_id=problem_id, samples=(first, second), text=text[:SHOWN])


def _seed_twice(samples: pa.Table) -> str:
    """Two samples that have one seed, in words; nothing where there are none."""
    counts = samples.group_by("seed").aggregate([("seed", "count")])
    twice = counts.filter(pc.greater(counts["seed_count"], 1)).sort_by("seed")
    if not len(twice):
        return ""
    same = samples.filter(pc.equal(samples["seed"], twice["seed"][0])).select(["problem_id", "sample"]).slice(0, 2)
    first, second = (f"{row['problem_id']!r} sample {row['sample']}" for row in same.to_pylist())
    return f"{first} and {second}"


def _warnings(found: Duplicates, twice: str, decoding: Mapping[str, Any] | None) -> Iterator[str]:
    """What is no chance, or may not be, in words."""
    if twice:
        yield f"{found.same_seed:,} samples have the seed of another, such as {twice}: they are not independent draws"
    for what, chance in (("samples", found.chance), (f"samples of {LONG_TOKENS} tokens or more", found.long_chance)):
        if chance is not None and chance.suspicious:
            yield (
                f"{chance.pairs:,} pairs of equal {what}, where the model's own log-probabilities explain "
                f"{chance.expected:,.1f} ± {chance.deviation:,.1f}: a seed that draws the same again, or samples that "
                f"were stored twice{_such_as(found.example)}"
            )
            return  # the long ones are among all, and say nothing more
    temperature = None if decoding is None else decoding.get("temperature")
    if found.long_chance is None and found.long_copies and temperature != 0:
        drawn = "in a way not known" if temperature is None else f"at temperature {temperature:g}"
        yield (
            f"{found.long_copies:,} samples of {LONG_TOKENS} tokens or more are exact copies of another of their "
            f"problem{_such_as(found.example)}; drawn {drawn}: a model that is sure of itself does this, and so does a "
            "broken seed"
        )


def _such_as(example: EqualPair | None) -> str:
    if example is None:
        return ""
    return f", such as {example.samples[0]} and {example.samples[1]} of problem {example.problem_id!r}"
