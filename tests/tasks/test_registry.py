import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.tasks.base import Task
from reachlab.tasks.registry import FAMILIES, bare_task, judging_task, load_task, parse_spec
from reachlab.types import Problem


@pytest.mark.parametrize(
    ("spec", "parsed"),
    [
        ("countdown", ("countdown", None, {})),
        ("countdown,numbers=3,division=0.5", ("countdown", None, {"numbers": 3, "division": 0.5})),
        ("math:a/b:c.jsonl,template=boxed", ("math", "a/b:c.jsonl", {"template": "boxed"})),
        ("gym:x,flag=true,name=a=b", ("gym", "x", {"flag": True, "name": "a=b"})),
        ('gym:x,ops=["+","-"],n=2', ("gym", "x", {"ops": ["+", "-"], "n": 2})),
        ('gym:x,probs={"a": [1, 2]}', ("gym", "x", {"probs": {"a": [1, 2]}})),
    ],
)
def test_specs(spec: str, parsed: tuple[str, str | None, dict[str, object]]) -> None:
    assert parse_spec(spec) == parsed


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="ascii", exclude_characters="=")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), values))
def test_any_json_value_comes_through(settings: dict[str, object]) -> None:
    spec = ",".join(["family:arg", *(f"{k}={json.dumps(v)}" for k, v in settings.items())])
    assert parse_spec(spec) == ("family", "arg", settings)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "unknown task family ''"),
        ("countdwn", f"unknown task family 'countdwn'; there are: {', '.join(FAMILIES)}"),
        ("countdown:7", "countdown has no argument after ':'"),
        ("countdown,colour=red", "no setting 'colour'; its settings: .*numbers"),
        ("countdown,numbers", "'numbers' is not key=value"),
        ("countdown,=3", "'=3' is not key=value"),
        ("countdown,numbers=1", "numbers"),
        ("countdown,numbers=three", "numbers"),
        ("gym", "needs an argument"),
        ("gym:gcd,min_number=1", "no setting 'min_number'; near it: .*min_numbers"),
    ],
)
def test_bad_specs(spec: str, says: str) -> None:
    with pytest.raises(ReachlabError, match=says) as caught:
        load_task(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "spec", ["countdown", "countdown,numbers=3", "chain,length=2", "gym:gcd,max_numbers=2", "math"]
)
def test_a_task_remembers_the_spec_that_rebuilds_it(spec: str) -> None:
    task = load_task(spec)
    assert task.spec == spec
    if not task.finite:
        assert load_task(task.spec).problems("test", 5) == task.problems("test", 5)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"visual"}))  # which is nothing without a file
def test_every_family_is_there(family: str) -> None:
    argument = {"gym": ":gcd"}.get(family, "") + (",UNSANDBOXED=true" if family == "code" else "")
    assert isinstance(load_task(family + argument), Task)


SPECS = ["countdown", "chain,length=2", "programs", "scenes", "gym:gcd", "code:FILE", "visual:FILE", "math:FILE"]


@pytest.mark.parametrize("spec", SPECS)
def test_a_bare_task_knows_gold_answers_without_reading_anything(spec: str) -> None:
    """`gold` looks at its problem alone, in every family."""
    bare = bare_task(spec)
    if "FILE" in spec:
        tests = {"code": "assert True", "names": []} if spec.startswith("code") else "\\frac{1}{2}"
        problem = Problem(id="a", prompt="?", answer=tests, metadata={"question": "?"})
        assert bare.gold(problem) == (None if spec.startswith("code") else "1/2")
        return
    task = load_task(spec)
    for problem in task.problems("test", 3):
        assert bare.gold(problem) == task.gold(problem)
    assert bare.answer_decides == task.answer_decides == (spec not in ("programs", "scenes"))


def test_every_family_is_known_bare() -> None:
    assert {parse_spec(spec)[0] for spec in SPECS} | {"logged"} == set(FAMILIES)
    assert type(bare_task("math500")) is type(bare_task("math:FILE"))
    with pytest.raises(ReachlabError, match="unknown task family 'nonsense'"):
        bare_task("nonsense")


@pytest.mark.parametrize("spec", ["countdown", "chain,length=2", "gym:gcd", "gym:spell_backward"])
def test_gold_is_in_the_form_of_a_final_answer(spec: str) -> None:
    task = load_task(spec)
    for problem in task.problems("test", 5):
        solution = task.solve(problem, Random(0))
        assert solution is not None
        assert task.final_answer(problem, solution) == task.gold(problem)


def test_a_task_that_only_judges_keeps_what_decides_verdicts() -> None:
    for spec in (
        "code,tolerance=0.5,seconds=60,UNSANDBOXED=true",
        "humaneval,tolerance=0.5,seconds=60,UNSANDBOXED=true",
    ):
        judge: Any = judging_task(spec).task  # type: ignore[attr-defined]
        assert (judge.tolerance, judge.test_s, judge.walls, judge.all_problems) == (0.5, 60, False, [])
    marked: Any = judging_task("gsm8k,reasoning_end=</end>").task  # type: ignore[attr-defined]
    assert marked.marks[-1] == ("", "</end>")
    released: Any = judging_task("livecodebench,release=v5,UNSANDBOXED=true").task  # type: ignore[attr-defined]
    assert released.all_problems == []
    for spec, message in (
        ("math,nonsense=3", "no setting 'nonsense'"),
        ("gsm8k,nonsense=3", "no setting 'nonsense'"),
        ("livecodebench,release=v99", "no release 'v99'"),
        ("gsm8k,release=v1", "it has no releases"),
    ):
        with pytest.raises(ReachlabError, match=message):
            judging_task(spec)
