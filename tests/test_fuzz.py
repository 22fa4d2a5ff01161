"""Bad lines, files, folders and options for every command: one line, exit code 2, and nothing stored is touched.

Or exit code 0, where the damage is none: then a command that reads says what it says of the whole run. Cases are
derived and not listed where they can be; there are thousands. Imports are in `test_fuzz_import.py`.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from random import Random
from typing import Any, get_args, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.conftest import Command

from reachlab.cli.samples import TasksConfig
from reachlab.comparing.config import CompareConfig, PowerConfig
from reachlab.errors import ReachlabError
from reachlab.measures.config import ChanceConfig, EntropyConfig, MeasuresConfig, PerplexityConfig, ScoreConfig
from reachlab.runs import RunFolder
from reachlab.sampling.config import ReferenceConfig, SampleConfig, VerifyConfig
from reachlab.store.samples import SampleStore
from reachlab.studies.config import (
    AlgorithmsConfig,
    CheckpointsConfig,
    DemoConfig,
    InspectConfig,
    KLConfig,
    RegimeConfig,
    RolloutsConfig,
    TemperatureConfig,
    VisualConfig,
)
from reachlab.studies.own.config import OwnConfig
from reachlab.tasks.registry import load_task
from reachlab.training.config import DistillConfig, PretrainConfig
from reachlab.training.rl_config import RLConfig
from reachlab.types import Sample, Verdict

TASK = "countdown,numbers=3"
DEEP = "[" * 200_000
JUNK = bytes(Random(0).randrange(256) for _ in range(3000))
FAST = ("--resamples", "40")
Damage = Callable[[bytes], bytes | None]
"""From a file's bytes to others; None puts a folder in its place."""


def make_run(folder: Path, name: str, rng: Random) -> Path:
    """A run of three problems and four samples each, in two parts, scored by a judge, with a seed a sample."""
    run = RunFolder(folder / name)
    problems = load_task(TASK).problems("test", 3)
    config = {"task": TASK, "model": "m", "samples": 4, "problems": 3, "decoding": {"max_tokens": 9, "stop": []}}
    run.claim("sample", config, {"model_path": "nowhere"})
    store = SampleStore(run)
    store.write_problems(problems)
    for half in range(2):
        samples = [
            Sample(
                problem_id=p.id,
                index=index,
                text=f"{p.answer} 1+1={rng.randrange(9)} größer",
                tokens=5,
                finish="stop",
                logprob=-rng.random(),
                seed=index,
                engine="transformers",
                verdict=Verdict.correct() if rng.random() < 0.5 else Verdict.wrong("no"),
                final_answer=str(rng.randrange(3)),
            )
            for p in problems
            for index in (2 * half, 2 * half + 1)
        ]
        part = f"{run.path}/{store.write_part(samples)}"
        scores = {"logprob:j": pa.array([-1.0] * 6, pa.float32()), "tokens:j": pa.array([3] * 6, pa.int32())}
        store.add_columns(part, scores, {"model": "m", "dtype": "float32"})
    return folder / name


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two whole runs, files of a task, somebody's folder and file; leave it as it is."""
    folder, rng = tmp_path_factory.mktemp("world"), Random(1)
    make_run(folder, "base", rng)
    make_run(folder, "other", rng)
    (folder / "notes").mkdir()
    (folder / "notes" / "thesis.tex").write_text("ten years of work")
    (folder / "file.txt").write_text("text")
    (folder / "math.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n')
    return folder


def state(folder: Path) -> dict[str, str]:
    """Every file below a folder, by a hash of what it holds."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else ""
        for p in sorted(folder.rglob("*"))
    }


def refused(command: Command, words: Sequence[str | Path], says: str = "") -> str:
    """Run a command that must refuse, and say something; what is wrong with how it does, or nothing."""
    said = " ".join(map(repr, map(str, words)))[:200]
    try:
        code, out, err = command(*words)
    except Exception as error:  # as a user would see it: a traceback
        return f"{said}: raises {type(error).__name__}: {str(error)[:200]}"
    lines = [line for line in err.splitlines() if not line.startswith("note: ")]
    if code != 2 or len(lines) != 1 or not lines[0].startswith("error: ") or says not in err:
        return f"{said}: exit code {code}, {out[:100]!r}, {err[:400]!r}"
    return ""


def harmless(command: Command, words: Sequence[str | Path], wanted: str) -> str:
    """Run a command that must refuse, or say what it says of the undamaged run; what is wrong, or nothing."""
    said = " ".join(map(repr, map(str, words)))[:200]
    try:
        code, out, err = command(*words)
    except Exception as error:
        return f"{said}: raises {type(error).__name__}: {str(error)[:200]}"
    lines = [line for line in err.splitlines() if not line.startswith("note: ")]
    if code == 0 and out == wanted:
        return ""
    if code != 2 or len(lines) != 1 or not lines[0].startswith("error: "):
        return f"{said}: exit code {code}, {err[:400]!r}, {'other output' if code == 0 else ''}"
    return ""


# -- options -----------------------------------------------------------------------------------------------------------

WORDS: dict[str, tuple[Any, Callable[[Path], tuple[str | Path, ...]]]] = {
    "tasks": (TasksConfig, lambda w: (TASK,)),
    "sample": (SampleConfig, lambda w: ("--model", w / "none", "--task", TASK, "--out", w / "new")),
    "entropy": (EntropyConfig, lambda w: (w / "none", "--task", TASK)),
    "verify": (VerifyConfig, lambda w: (w / "base",)),
    "chance": (ChanceConfig, lambda w: (w / "base",)),
    "measures": (MeasuresConfig, lambda w: (w / "base",)),
    "reference": (ReferenceConfig, lambda w: ("--task", TASK, "--out", w / "new")),
    "score": (ScoreConfig, lambda w: (w / "base", "--model", w / "none")),
    "perplexity": (PerplexityConfig, lambda w: (w / "base",)),
    "compare": (CompareConfig, lambda w: (w / "base", w / "other")),
    "report": (CompareConfig, lambda w: (w / "base", w / "other", "--out", w / "new.html")),
    "power": (PowerConfig, lambda w: (w / "base", w / "other")),
    "pretrain": (PretrainConfig, lambda w: ("--data", "nothing", "--out", w / "new")),
    "distill": (
        DistillConfig,
        lambda w: ("--model", w / "none", "--teacher", "solver", "--task", TASK, "--out", w / "new"),
    ),
    "rl": (RLConfig, lambda w: ("--model", w / "none", "--task", TASK, "--out", w / "new")),
    "moe inspect": (InspectConfig, lambda w: (w / "none",)),
    "study demo": (DemoConfig, lambda w: ("--out", w / "notes")),
    "study visual": (VisualConfig, lambda w: ("--out", w / "notes")),
    "study algorithms": (AlgorithmsConfig, lambda w: ("--out", w / "notes")),
    "study rollouts": (RolloutsConfig, lambda w: ("--out", w / "notes")),
    "study kl": (KLConfig, lambda w: ("--out", w / "notes")),
    "study checkpoints": (CheckpointsConfig, lambda w: ("--run", w / "none", "--out", w / "notes")),
    "study temperature": (
        TemperatureConfig,
        lambda w: ("--base", w / "none", "--model", w / "nothing", "--task", TASK, "--out", w / "notes"),
    ),
    "study regime": (RegimeConfig, lambda w: ("--out", w / "notes")),
    "study own": (OwnConfig, lambda w: ("--model", w / "none", "--task", TASK, "--out", w / "notes")),
}
"""Every command but import: what it takes, and words with which nothing is wrong but that its model is not there."""

WHOLE, REAL = (10**12, -(10**12), 2**70, 10**4000), (float("nan"),)
PAIRS = ("band", "reward_range")


def numbers(config: type) -> Iterator[tuple[type, str, type]]:
    """The fields of a command's configuration that are numbers: whose, its name, and which kind."""
    hints = get_type_hints(config)
    for field in fields(config):
        if is_dataclass(field.default) and not isinstance(field.default, type):
            yield from numbers(type(field.default))
            continue
        kinds = {hints[field.name], *get_args(hints[field.name])}
        if int in kinds or float in kinds:
            yield config, field.name, int if int in kinds else float


def numbered() -> Iterator[tuple[str, type, str, float]]:
    """Every number of every command, with every value that it cannot have."""
    for name, (config, _) in WORDS.items():
        for owner, field, kind in numbers(config):
            for value in WHOLE if kind is int else REAL:
                if not (field.endswith("seed") and value == 10**12):
                    yield name, owner, field, value


@pytest.mark.parametrize("name", WORDS)
def test_numbers_that_no_option_takes(name: str, command: Command, world: Path) -> None:
    before, rest = state(world), WORDS[name][1](world)
    cases = [case[1:] for case in numbered() if case[0] == name]
    for owner, field, value in cases:
        hints = get_type_hints(owner)
        given: dict[str, Any] = {
            f.name: () if "tuple" in str(hints[f.name]) else "x" for f in fields(owner) if f.default is MISSING
        }
        whole = getattr(owner, field, None)
        given[field] = (value,) * max(1, len(whole)) if isinstance(whole, tuple) else value
        with pytest.raises(ReachlabError, match=rf"^{field}=.* (must be|is no number)") as error:
            owner(**given)
        assert "\n" not in str(error.value)
    # As words of a command line, some of them: reading one takes a while.
    for _, field, value in Random(name).sample(cases, min(2, len(cases))):
        words = [f"--{field.replace('_', '-')}={value}"]
        assert not refused(command, (*name.split(), *rest, *words * (2 if field in PAIRS else 1)), f"{field}=")
    assert state(world) == before


def test_there_are_as_many_cases_as_are_said() -> None:
    assert len(list(numbered())) > 300


@pytest.mark.parametrize(
    "words",
    [
        *(("verify", "{w}/base", f"--timeout={t}") for t in ("-1", "0", "nan", "inf", "-inf")),
        *(("verify", "{w}/base", f"--workers={n}") for n in ("0", "-1")),
        *(("chance", "{w}/base", f"--timeout={t}") for t in ("-1", "0", "nan", "inf")),
        *(("chance", "{w}/base", f"--workers={n}") for n in ("0", "-1")),
        *(("reference", "--task", TASK, "--out", "{w}/new", f"--verify-timeout={t}") for t in ("-1", "nan", "inf")),
        *(("reference", "--task", TASK, "--out", "{w}/new", f"--problems={n}") for n in ("0", "1000000000000")),
        *(("tasks", TASK, f"--seed={n}") for n in ("-1", str(2**64))),
        *(("compare", "{w}/base", f"--level={v}") for v in ("0", "1", "2", "-1", "nan")),
        *(("measures", "{w}/base", f"--level={v}") for v in ("0", "1", "2", "-1")),
        *(("perplexity", "{w}/base", f"--level={v}") for v in ("0", "1", "2", "-1")),
        *(("power", "{w}/base", "{w}/other", f"--level={v}") for v in ("0", "1", "2")),
        *(("power", "{w}/base", "{w}/other", f"--power={v}") for v in ("0", "1", "2", "inf")),
        *(("power", "{w}/base", "{w}/other", f"--points={v}") for v in ("0", "-1", "inf", "1e9")),
        *(("compare", "{w}/base", f"--k={v}") for v in ("0", "-1", "99")),
        ("tasks", "math:{w}/math.jsonl", "--split", "test", "--problems", "5"),
        ("tasks", "countdown,numbers=" + "9" * 5000),
        ("tasks", "countdown,numbers=" + DEEP),
        ("tasks", "countdown,numbers=\udcff"),
        ("tasks", "math:{w}"),
        ("tasks", "math:"),
        ("tasks", "code:foo://x"),
        ("tasks", "gym:chain_sum,min_terms=" + "9" * 50),
        ("tasks", TASK, "--template", "{w}/notes"),
        ("tasks", TASK, "--template", "foo://x"),
        ("tasks", TASK, "--shots-file", "foo://x"),
        ("tasks", TASK, "--shots-file", "{w}"),
        ("tasks", TASK, "--shots", "2147483647"),
        ("tasks", TASK, "--chat-template-kwargs", DEEP),
        ("tasks", TASK, "--chat-template-kwargs", '{"a": ' + "1" * 5000 + "}"),
        ("tasks", TASK, "--model", "foo://x"),
        ("tasks", "scenes", "--pictures", "{w}/file.txt"),
        ("tasks", "scenes", "--pictures", "{w}/file.txt/x"),
        ("study", "regime", "--out", "{w}/new", "--measured", "{w}"),
        ("study", "regime", "--out", "{w}/new", "--measured", "foo://x"),
        ("study", "regime", "--out", "{w}/new", "--measured", "{w}/file.txt"),
        ("pretrain", "--data", "text:foo://x", "--out", "{w}/new"),
        ("pretrain", "--data", "text:{w}/none", "--out", "{w}/new"),
        ("pretrain", "--data", "math:foo://x", "--out", "{w}/new"),
        ("sample", "--model", "{w}/file.txt", "--task", TASK, "--out", "{w}/new"),
        ("sample", "--model", "foo://x", "--task", TASK, "--out", "{w}/new"),
        ("sample", "--model", "{w}/none", "--task", TASK, "--out", "{w}/new", "--vllm-args", DEEP, "--engine", "vllm"),
        ("moe", "inspect", "foo://x"),
        ("moe", "inspect", "{w}/none", "--out", "{w}/file.txt"),
    ],
    ids=lambda words: " ".join(words)[:60].replace("{w}", "W"),
)  # fmt: skip
def test_options_that_cannot_be(words: tuple[str, ...], command: Command, world: Path) -> None:
    before = state(world)
    assert not refused(command, [word.replace("{w}", str(world)) for word in words])
    assert state(world) == before


WRITERS = ["sample", "entropy", "reference", "pretrain", "distill", "rl", *(n for n in WORDS if n.startswith("study"))]


@pytest.mark.parametrize("name", WRITERS)
def test_folders_that_are_not_a_runs(name: str, command: Command, world: Path) -> None:
    before, rest = state(world), WORDS[name][1](world)
    outs: list[str | Path] = ["/", world / "notes", world / "file.txt", "foo://x"]
    if not name.startswith("study"):  # whose command lines take a while to read
        outs += [world, world / "file.txt" / "x", "s3://bucket/x", *([""] if name != "entropy" else [])]
    rest = tuple(w for at, w in enumerate(rest) if w != "--out" and (at == 0 or rest[at - 1] != "--out"))
    wrong = [refused(command, (*name.split(), *rest, "--out", out)) for out in outs]
    assert not [w for w in wrong if w]
    assert state(world) == before


@pytest.mark.parametrize(
    "out", ["", "{w}", "{w}/file.txt", "{w}/base/run.json", "foo://x", "s3://b/x.html", "{w}/file.txt/x"]
)
def test_places_where_no_page_goes(out: str, command: Command, world: Path) -> None:
    before = state(world)
    assert not refused(command, ("report", world / "base", *FAST, "--out", out.replace("{w}", str(world))))
    assert state(world) == before


# -- files of a run ----------------------------------------------------------------------------------------------------


def flips(every: int, start: int) -> Iterator[tuple[str, Damage]]:
    """One bit of every so many bytes, whichever it is."""

    def flip(at: int) -> Damage:
        def damage(data: bytes) -> bytes:
            place = at % len(data)
            return data[:place] + bytes([data[place] ^ 1 << at % 8]) + data[place + 1 :]

        return damage

    for at in range(start, 6000, every):
        yield f"flip {at}", flip(at)


ANY_FILE: dict[str, Damage] = {
    "empty": lambda _: b"",
    "half": lambda data: data[: len(data) // 2],
    "without its end": lambda data: data[:-3],
    "junk": lambda _: JUNK,
    "junk behind": lambda data: data + JUNK,
    "a folder": lambda _: None,
    "twice": lambda data: data + data,
    "utf-16": lambda data: data.decode("latin-1").encode("utf-16"),
}
ANY_JSON: dict[str, Damage] = {
    "deep": lambda _: DEEP.encode(),
    "deep and closed": lambda _: b"[" * 9_000 + b"]" * 9_000,
    "many digits": lambda _: b'{"config": ' + b"1" * 5000 + b"}",
    "null": lambda _: b"null\n",
    "text": lambda _: b'"text"\n',
    "number": lambda _: b"5\n",
    "list": lambda _: b"[]\n",
    "object": lambda _: b"{}\n",
    "no utf-8": lambda data: data.replace(b'": "', b'": "\xff', 1),
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "crlf": lambda data: data.replace(b"\n", b"\r\n"),
    "nul": lambda data: data.replace(b"a", b"\0", 1),
}
BAD: dict[str, Any] = {
    "null": None, "true": True, "number": 7, "nan": float("nan"), "huge": 10**400, "text": "x", "half": "\ud800",
    "nul": "\0", "list": [1, [2]], "object": {"a": {"b": 1}},
}  # fmt: skip


def with_value(path: Sequence[str], value: Any) -> Damage:
    """The first JSON object of a file with another value somewhere; without checksums."""

    def damage(data: bytes) -> bytes:
        text = data.decode()
        first, rest = (text, "") if text.startswith("{\n") else text.split("\n", 1)
        row = json.loads(first)
        inner = row
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
        row.pop("sum", None)
        return f"{json.dumps(row)}\n{rest}".encode()

    return damage


def without(name: str) -> Damage:
    def damage(data: bytes) -> bytes:
        first, _, rest = data.decode().partition("\n")
        row = json.loads(first)
        del row[name]
        return f"{json.dumps(row)}\n{rest}".encode()

    return damage


def typed(paths: Sequence[Sequence[str]]) -> dict[str, Damage]:
    return {f"{'.'.join(path)} {name}": with_value(path, value) for path in paths for name, value in BAD.items()}


def as_table(change: Callable[[pa.Table], pa.Table]) -> Damage:
    """A part as another program would have rewritten it."""

    def damage(data: bytes) -> bytes:
        sink = pa.BufferOutputStream()
        pq.write_table(change(pq.read_table(pa.BufferReader(data))), sink)
        return bytes(sink.getvalue())

    return damage


def column(name: str, values: pa.Array) -> Damage:
    return as_table(lambda t: t.set_column(t.column_names.index(name), name, values))


IN_RUN = [
    *(("kind",), ("config",), ("facts",), ("provenance",), ("facts", "model_path")),
    *(("config", name) for name in ("task", "model", "decoding", "adaptive")),
    *(("config", "decoding", name) for name in ("max_tokens", "stop")),
]
IN_PROBLEM = [("id",), ("prompt",), ("answer",), ("images",), ("metadata",), ("color",)]
PART: dict[str, Damage] = {
    "no verdict": as_table(lambda t: t.drop_columns(["verdict"])),
    "no text": as_table(lambda t: t.drop_columns(["text"])),
    "no rows": as_table(lambda t: t.slice(0, 0)),
    "verdicts are numbers": column("verdict", pa.array([1] * 6)),
    "an unknown verdict": column("verdict", pa.array(["perhaps"] * 6)),
    "no verdict known": column("verdict", pa.array([None] * 6, pa.string())),
    "no text known": column("text", pa.array([None] * 6, pa.string())),
    "no problem": column("problem_id", pa.array([None] * 6, pa.string())),
    "a stranger": column("problem_id", pa.array(["stranger"] * 6)),
    "samples below 0": column("sample", pa.array([-5] * 6, pa.int32())),
    "no sample": column("sample", pa.array([None] * 6, pa.int32())),
    "samples of 64 bits": column("sample", pa.array([2**40] * 6, pa.int64())),
    "far samples": column("sample", pa.array([2**31 - 1 - i for i in range(6)], pa.int32())),
    "nested texts": column("text", pa.array([["x"]] * 6)),
    "another finish": column("finish", pa.array(["boredom"] * 6)),
    "scores that are none": column("score", pa.array([float("nan")] * 6, pa.float32())),
    "steps below 0": column("steps", pa.array([-7] * 6, pa.int32())),
    "scored by a word": column("logprob:j", pa.array(["much"] * 6)),
    "somebody else's": as_table(lambda _: pa.table({"a": [1]})),
}
DAMAGES: dict[str, dict[str, Damage]] = {
    "run.json": {**ANY_FILE, **ANY_JSON, **typed(IN_RUN)},
    "problems.jsonl": {
        **ANY_FILE,
        **ANY_JSON,
        **typed(IN_PROBLEM),
        **{f"without {name}": without(name) for name in ("id", "prompt", "answer", "images")},
        **dict(flips(53, 7)),
    },
    "samples/part-*.parquet": {**ANY_FILE, **PART, **dict(flips(61, 0))},
    "guess.json": {**ANY_FILE, **ANY_JSON, **typed([("depends",), ("spaces",), ("partner",), ("right",)])},
}
READERS: dict[str, tuple[str, ...]] = {
    "compare": ("compare", "{r}", "{w}/other", "--json", *FAST),
    "measures": ("measures", "{r}", "--json", *FAST),
    "perplexity": ("perplexity", "{r}", "--json", *FAST),
    "power": ("power", "{r}", "{w}/other", "--json"),
    "verify": ("verify", "{r}"),
    "chance": ("chance", "{r}", "--json", "--shuffles", "1"),
}


EACH = 25
"""Damages of a file that a command meets, others for every command: a command takes a while."""


@pytest.fixture(scope="module")
def guessed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run with a `guess.json`."""
    from reachlab.measures.chance_rate import measure_chance

    folder = tmp_path_factory.mktemp("guessed")
    shutil.copytree(world / "base", folder / "run")
    measure_chance(ChanceConfig(run=str(folder / "run"), shuffles=1))
    return folder / "run"


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("file", DAMAGES)
def test_damaged_files_of_a_run(
    file: str, name: str, command: Command, world: Path, guessed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = [word.replace("{r}", str(run)).replace("{w}", str(world)) for word in READERS[name]]
    shutil.copytree(guessed, run)
    code, wanted, err = command(*words)
    assert code == 0, err
    wrong = {}
    cases = sorted(DAMAGES[file].items())
    for what, damage in Random(f"{file} {name}").sample(cases, min(EACH, len(cases))):
        shutil.rmtree(run)
        shutil.copytree(guessed, run)
        found = sorted(run.glob(file))[0]
        data = damage(found.read_bytes())
        if data is None:
            found.unlink()
            found.mkdir()
        else:
            found.write_bytes(data)
        before = state(run)
        harmful = _harm(file, what, name)
        failing = (runs_or_refuses if harmful else harmless)(command, words, wanted)
        if failing:
            wrong[what] = failing
        elif name != "verify" and name != "chance" and state(run) != before:
            wrong[what] = "touched what was stored"
    assert not wrong, "\n".join(f"{what}: {failing}" for what, failing in wrong.items())


def _harm(file: str, what: str, name: str) -> bool:
    """Whether the damage is another run that is as whole as the first, so that a command may say something else."""
    return (
        name == "verify"
        or what in PART
        or what.partition(" ")[0] in {".".join(path) for path in (*IN_RUN, *IN_PROBLEM)}
        or (file == "guess.json" and not what.startswith("flip"))
        or (file == "run.json" and what == "object")
    )


def runs_or_refuses(command: Command, words: Sequence[str | Path], _: str) -> str:
    """Run a command on what may be a whole run, if another one; what is wrong, or nothing."""
    try:
        code, _, err = command(*words)
    except Exception as error:
        return f"raises {type(error).__name__}: {str(error)[:200]}"
    lines = [line for line in err.splitlines() if not line.startswith("note: ")]
    one = len(lines) == 1 and lines[0].startswith("error: ")
    return "" if code == 0 or (code == 2 and one) else f"exit code {code}, {err[:400]!r}"


# -- files of a task ---------------------------------------------------------------------------------------------------

ROWS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "math": ("math", {"question": "1+1?", "answer": "2", "id": "a", "solution": "so \\boxed{2}"}),
    "choice": ("math", {"question": "1+1?", "choices": ["1", "2"], "answer": 1, "id": "a"}),
    "visual": ("visual", {"question": "1+1?", "answer": "2", "image": "none.png", "pid": "a"}),
    "humaneval": (
        "code",
        {
            "task_id": "a",
            "prompt": "def f(x):\n",
            "entry_point": "f",
            "test": "def check(f):\n    assert f(1) == 1\n",
            "canonical_solution": "    return x\n",
        },
    ),
    "mbpp": ("code", {"task_id": 1, "text": "Say 1.", "code": "def f(): return 1", "test_list": ["assert f() == 1"]}),
    "lcb": (
        "code",
        {
            "question_id": "a",
            "question_content": "Say 1.",
            "public_test_cases": '[{"input": "", "output": "1", "testtype": "stdin"}]',
            "starter_code": "",
            "metadata": "{}",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ROWS)
def test_rows_of_a_task_with_other_values(kind: str, command: Command, tmp_path: Path) -> None:
    family, row = ROWS[kind]
    file, wrong = tmp_path / "rows.jsonl", {}
    for name in row:
        for what, value in BAD.items():
            file.write_text(json.dumps({**row, name: value}) + "\n")
            wrong[f"{name} {what}"] = runs_or_refuses(command, ("tasks", f"{family}:{file}", "--split", "all"), "")
    assert not {what: failing for what, failing in wrong.items() if failing}


def put(file: Path, data: bytes | None) -> None:
    """What a damage makes of a file: other bytes, or a folder."""
    if file.is_dir():
        file.rmdir()
    file.unlink(missing_ok=True)
    if data is None:
        file.mkdir()
    else:
        file.write_bytes(data)


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet", "jsonl.gz"])
def test_damaged_files_of_a_task(ending: str, command: Command, tmp_path: Path) -> None:
    file, wrong = tmp_path / f"rows.{ending}", {}
    whole = b'{"question": "1+1?", "answer": "2"}\n{"question": "2+2?", "answer": "4"}\n'
    for what, damage in {**ANY_FILE, **ANY_JSON}.items():
        put(file, damage(whole))
        wrong[what] = runs_or_refuses(command, ("tasks", f"math:{file}", "--split", "all"), "")
    assert not {what: failing for what, failing in wrong.items() if failing}


@pytest.mark.parametrize("option", ["--shots-file", "--template"])
def test_damaged_files_of_asking(option: str, command: Command, tmp_path: Path) -> None:
    file, wrong = tmp_path / "file.jsonl", {}
    whole = b'{"question": "1+1?", "answer": "2"}\n'
    for what, damage in {**ANY_FILE, **ANY_JSON, **typed([("question",), ("answer",)])}.items():
        put(file, damage(whole))
        wrong[what] = runs_or_refuses(command, ("tasks", TASK, option, str(file)), "")
    assert not {what: failing for what, failing in wrong.items() if failing}
