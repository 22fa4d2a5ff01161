"""A row for what differs, and none for what does not."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.pairing.matching_runs import SAMPLING, asked, stored

from reachlab.pairing.conditions import Condition, conditions, engines
from reachlab.store.judged import FILE
from reachlab.store.samples import SampleStore
from reachlab.types import Sample, Verdict


def rows(*stores: SampleStore) -> dict[str, list[str | None]]:
    found = conditions(stores, [store.folder.name for store in stores])
    return {one.what: list(one.values.values()) for one in found}


ASK = {"template": "boxed", "system": "Be brief.", "shots": 4}


@pytest.mark.parametrize(
    ("config", "facts", "what", "values"),
    [
        ({"decoding": {**SAMPLING, "temperature": 1.0}}, {}, "temperature", ["0.6", "1.0"]),
        ({"decoding": {**SAMPLING, "top_p": 1.0}}, {}, "top-p", ["0.95", "1.0"]),
        ({"decoding": {**SAMPLING, "top_k": 20}}, {}, "top-k", ["0", "20"]),
        ({"decoding": {**SAMPLING, "max_tokens": 64}}, {}, "longest answer", ["512", "64"]),
        ({"decoding": {**SAMPLING, "stop": ["\n"]}}, {}, "stop strings", ["none", '["\\n"]']),
        ({"ask": {"template": "chat"}}, {}, "template", ["boxed", "chat"]),
        ({"ask": {**ASK, "shots": 0}}, {}, "system text", ["none", "Be brief."]),
        ({"ask": {**ASK, "system": ""}}, {}, "worked examples", ["none", "4"]),
        ({"task": "math:rows.jsonl,reasoning_end=DONE"}, {}, "task settings", ["none", "reasoning_end=DONE"]),
        ({"task": "math,blind=true"}, {}, "task settings", ["none", "blind=true"]),
        ({"task": "livecodebench,release=release_v5"}, {}, "task settings", ["none", "release=v5"]),
        ({"split": "test"}, {}, "split", ["all", "test"]),
        ({}, {"problem_seed": 3}, "problem seed", ["0", "3"]),
        ({"dtype": "bfloat16"}, {}, "drawn by", ["transformers, float32", "transformers, bfloat16"]),
        (
            {"adaptive": {"looks": [2, 4], "enough": 1}}, {}, "drawn",
            ["every problem to the end", "until 1 right, looks [2, 4]"],
        ),
    ],
)  # fmt: skip
def test_one_condition(
    config: dict[str, Any], facts: dict[str, Any], what: str, values: list[str], tmp_path: Path
) -> None:
    base = stored(tmp_path / "base", asked(), config={"split": "all", "model": "a"})
    other = stored(tmp_path / "other", asked(), config={"split": "all", "model": "b", **config}, facts=facts)
    found = rows(base, other)
    assert found.pop(what) == values
    assert not set(found) - {"system text", "worked examples"}


def test_releases_of_a_benchmark_are_told_apart(tmp_path: Path) -> None:
    specs = ["livecodebench,release=v5", "livecodebench,release=v6", "livecodebench", "livecodebench,release=v4"]
    old, new, unsaid, older = (stored(tmp_path / str(n), asked(), config={"task": s}) for n, s in enumerate(specs))
    assert rows(old, new) == rows(old, unsaid) == {"task settings": ["release=v5", "none"]}
    assert rows(older, old)["task settings"] == ["release=v4", "release=v5"]
    assert rows(new, unsaid) == {}


def test_the_model_and_its_seed_are_no_conditions(tmp_path: Path) -> None:
    base = stored(tmp_path / "base", asked(), config={"model": "a", "seed": 0}, facts={"model_path": "a"})
    other = stored(tmp_path / "other", asked(), config={"model": "b", "seed": 1}, facts={"model_path": "b"})
    assert rows(base, other) == {}
    assert rows(base) == {}


def test_a_log_says_little_in_few_rows(tmp_path: Path) -> None:
    base = stored(tmp_path / "base", asked())
    log = stored(
        tmp_path / "log", asked(), kind="import",
        config={"verdicts": "file", "threshold": 0.5, "format": "lm-eval"},
        facts={"labels_of": "lm-evaluation-harness"},
    )  # fmt: skip
    assert rows(base, log) == {
        "decoding": ["temperature 0.6, top-p 0.95, top-k 0, longest answer 512", None],
        "how it was asked": ["template boxed", None],
        "drawn by": ["transformers, float32", "elsewhere, read as lm-eval"],
        "verdicts": ["ours", "the log's own (lm-evaluation-harness)"],
    }
    other = stored(tmp_path / "other", asked(), kind="import", config={"filter": "strict"}, facts={"skipped": 3})
    assert rows(log, other)["read from its log"] == ["threshold 0.5", "filter strict, rows skipped 3"]


def judged(store: SampleStore, code: str, **more: Any) -> SampleStore:
    verifier = {"code": code, "sympy": "1.14.0"}
    store.folder.write(FILE, str({"by": [{"task": "math500", "verifier": verifier, **more}]}).replace("'", '"'))
    return store


def test_verifiers_are_told_apart(tmp_path: Path) -> None:
    old, new, unknown = (stored(tmp_path / name, asked()) for name in ("old", "new", "unknown"))
    judged(old, "aa", timeout=5), judged(new, "bb", timeout=9)
    assert rows(old, new) == {
        "verifier": ["math aa, sympy 1.14.0", "math bb, sympy 1.14.0"],
        "time for a verdict": ["5 s", "9 s"],
    }
    assert rows(old, unknown) == {"verifier": ["math aa, sympy 1.14.0", None]}
    log = stored(tmp_path / "log", asked(), config={"verdicts": "file"})
    assert "verifier" not in rows(old, log)
    assert rows(old, new, log)["verifier"][2] == "none of ours"


def test_versions_of_packages(tmp_path: Path) -> None:
    base, other = stored(tmp_path / "base", asked()), stored(tmp_path / "other", asked())
    document = other.folder.read("run.json").decode()
    version = other.folder.read_json("run.json")["provenance"]["versions"]["torch"]
    other.folder.write("run.json", document.replace(f'"torch": "{version}"', '"torch": "1.0"'))
    assert rows(base, other) == {"torch": [version, "1.0"]}


def test_who_drew_is_read_off_the_parts(tmp_path: Path) -> None:
    store = stored(tmp_path / "a", asked())
    assert engines(store) == ["transformers"]
    more = [
        Sample(
            problem_id="0", index=n, text="", tokens=1, finish="stop", logprob=None, seed=0, engine=engine,
            verdict=Verdict.wrong(),
        )
        for n, engine in ((7, "vllm"), (8, "openai:vllm"))
    ]  # fmt: skip
    store.write_part(more)
    assert engines(store) == ["openai:vllm", "transformers", "vllm"]
    shutil.rmtree(tmp_path / "a" / "samples")
    assert engines(store) == []


def test_values_with_their_runs() -> None:
    one = Condition(what="temperature", values={"a": "0.6", "b": None, "c": "0.6"})
    assert one.words() == ["0.6 (a, c)", "not known (b)"]
    assert one.to_dict() == {"what": "temperature", "values": {"a": "0.6", "b": None, "c": "0.6"}}


def test_a_long_value_is_its_beginning_and_a_hash(tmp_path: Path) -> None:
    runs = [
        stored(tmp_path / name, asked(), config={"ask": {"template": "chat", "system": "Think. " * 30 + name}})
        for name in ("a", "b")
    ]
    first, second = rows(*runs)["system text"]
    assert first is not None
    assert first.startswith("Think. Think.")
    assert len(first) < 80
    assert first != second
