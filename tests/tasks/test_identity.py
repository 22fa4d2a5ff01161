import json
import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.docs.blocks import ROOT

from reachlab.runs import RunFolder
from reachlab.tasks.benchmarks import BENCHMARKS
from reachlab.tasks.identity import as_begun, canonical, same_task, unusual, usual_settings
from reachlab.tasks.registry import FAMILIES, class_of, load_task, own_template, parse_spec

DATA = ROOT / "examples" / "data"
FILES = {"gym": "chain_sum", "code": str(DATA / "humaneval.jsonl"), "visual": "none.jsonl"}
FILES |= {"math": str(DATA / "gsm8k.jsonl"), "logged": str(DATA / "gsm8k.jsonl")}


def heads() -> list[str]:
    """A spec of every family, and of every benchmark, with nothing said."""
    return [*(f"{f}:{FILES[f]}" if f in FILES else f for f in FAMILIES), *BENCHMARKS]


def spelled(value: object, rng: Random) -> str:
    """A value in one of the ways to write it."""
    ways = [json.dumps(value)]
    if isinstance(value, float) and not isinstance(value, bool):
        ways += [f"{value:.6f}", f"{value:.8e}", f"+{value}", f"{value}".removeprefix("0") if value < 1 else f"{value}"]
    if isinstance(value, str):
        ways = [value]
    return " " * rng.randrange(2) + rng.choice(ways) + " " * rng.randrange(2)


@pytest.mark.parametrize("head", heads())
@given(seed=st.integers(0, 2**32))
def test_spelling_out_every_default_names_the_same_task(head: str, seed: int) -> None:
    rng = Random(seed)
    family, argument, _ = parse_spec(head)
    known = BENCHMARKS[family].family if family in BENCHMARKS else family
    usual = {**usual_settings(class_of(known), argument), "blind": False, "template": own_template(head).name}
    usual = {name: value for name, value in usual.items() if not isinstance(value, str) or value}
    names = rng.sample(sorted(usual), rng.randint(0, len(usual)))
    spec = ",".join([head, *(f"{' ' * rng.randrange(2)}{name}={spelled(usual[name], rng)}" for name in names)])
    assert canonical(spec) == canonical(head), spec
    assert same_task(spec, head, template=True)
    assert unusual(spec) == {}


@pytest.mark.parametrize(
    ("spec", "one"),
    [
        ("countdown,division=0.2", "countdown"),
        ("countdown, division = .2", "countdown"),
        ("countdown,division=2e-1,numbers=3", "countdown,numbers=3"),
        ("countdown,max_value=50,numbers=3", "countdown,max_value=50,numbers=3"),
        ("countdown,division=0.0", "countdown,division=0"),
        ("countdown,prefix=.6", "countdown,prefix=0.6"),
        ("countdown,template=chat", "countdown"),
        ("scenes,blind=1", "scenes,blind=true"),
        ("gym:chain_sum,min_terms=2", "gym:chain_sum"),
        ("livecodebench,release=v6", "livecodebench"),
        ("chess,a=1", "chess,a=1"),
        ("countdown,numbers", "countdown,numbers"),
    ],
)
def test_the_one_spelling(spec: str, one: str) -> None:
    assert canonical(spec) == one
    assert canonical(one) == one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("countdown", "countdown,division=0.3"),
        ("countdown", "chain"),
        ("scenes", "scenes,blind=true"),
        ("countdown,prefix=0.6", "countdown"),
        ("gym:chain_sum", "gym:chain_sum,min_terms=3"),
        ("livecodebench,release=v5", "livecodebench"),
        (f"math:{DATA / 'gsm8k.jsonl'}", f"math:{DATA / 'math500.jsonl'}"),
        ("math:nowhere.jsonl", "math:./nowhere.jsonl"),
    ],
)
def test_other_tasks_are_others(one: str, other: str) -> None:
    assert not same_task(one, other)


def test_a_template_is_told_apart_where_it_is_asked_for() -> None:
    assert same_task("countdown,template=chat", "countdown")
    assert not same_task("countdown,template=chat", "countdown", template=True)
    assert same_task("countdown,template=plain", "countdown", template=True)


def test_a_file_is_the_same_by_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n')
    monkeypatch.chdir(tmp_path)
    ways = ["rows.jsonl", "./rows.jsonl", str(tmp_path / "rows.jsonl"), f"../{tmp_path.name}/rows.jsonl"]
    assert len({canonical(f"math:{way}") for way in ways}) == 1
    assert not same_task("math:rows.jsonl", "math:other.jsonl")
    assert same_task(f"math:rows.jsonl,reasoning_end={os.sep}", f"math:./rows.jsonl,reasoning_end={os.sep}")


def test_numbers_and_spaces_are_read_as_they_are_meant() -> None:
    assert parse_spec(" countdown , division = .2,numbers=3 ") == ("countdown", None, {"division": 0.2, "numbers": 3})
    assert parse_spec('code:f,packages=["a", "b"]')[2] == {"packages": ["a", "b"]}
    assert load_task("countdown, division = .5").problems("test", 1) == load_task("countdown,division=0.5").problems(
        "test", 1
    )


def test_a_run_keeps_the_spelling_it_was_begun_with(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    asked = {"task": "countdown", "ask": {"template": "chat"}}
    assert as_begun(folder, asked) == asked
    folder.claim("sample", {"task": "countdown,division=0.2", "ask": {"template": "chat"}})
    assert as_begun(folder, asked)["task"] == "countdown,division=0.2"
    assert as_begun(folder, {**asked, "task": "countdown,division=0.3"})["task"] == "countdown,division=0.3"
    folder.claim("sample", as_begun(folder, asked))
    pretraining = RunFolder(tmp_path / "base")
    pretraining.claim("pretrain", {"data": "countdown"})
    assert as_begun(pretraining, {"data": "countdown,numbers=4"}) == {"data": "countdown"}
    assert as_begun(pretraining, {"data": "countdown,template=chat"}) == {"data": "countdown,template=chat"}
