import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.tasks.base import Task
from reachlab.tasks.registry import FAMILIES, load_task, parse_spec


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
