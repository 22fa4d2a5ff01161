from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reachlab.reporting.setting_tables import ABSENT, flatten, of_run, settings_of, side_by_side


def test_flatten_names_leaves_by_their_path() -> None:
    found = dict(flatten({"a": {"b": 1, "c": {"d": "x"}}, "e": [1, 2], "f": None, "g": {}, "h": True}))
    assert found == {"a.b": "1", "a.c.d": "x", "e": "1, 2", "f": ABSENT, "g": "none", "h": "yes"}


def test_what_differs_stands_side_by_side_and_the_rest_is_said_once() -> None:
    differ, same = side_by_side("Runs", {"one": {"lr": 1, "seed": 0}, "two": {"lr": 2, "seed": 0, "kl": 0.1}})
    assert differ.columns == ("one", "two")
    assert differ.rows == (("lr", ("1", "2")), ("kl", (ABSENT, "0.1")))
    assert same.columns == ()
    assert same.rows == (("seed", ("0",)),)


def test_one_run_is_one_table() -> None:
    (table,) = side_by_side("Runs", {"one": {"lr": 1}})
    assert (table.caption, table.rows) == ("Runs", (("lr", ("1",)),))


def test_nothing_is_no_table() -> None:
    assert side_by_side("Runs", {"one": {}, "two": {}}) == []


def test_empty_beside_full_is_a_difference() -> None:
    (table,) = side_by_side("Runs", {"one": {}, "two": {"a": 1}})
    assert table.rows == (("a", (ABSENT, "1")),)


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
objects = st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.sampled_from("xy"), leaves, min_size=1))


@given(objects, objects)
def test_every_setting_is_in_exactly_one_table(one: dict[str, Any], two: dict[str, Any]) -> None:
    names = [name for table in side_by_side("Runs", {"one": one, "two": two}) for name, _ in table.rows]
    leaves_of_both = {key for document in (one, two) if document for key, _ in flatten(document)}
    assert sorted(names) == sorted(leaves_of_both)


def test_a_run_is_its_kind_configuration_and_facts() -> None:
    document = {"kind": "sample", "config": {"n": 1}, "facts": {"hash": "ab"}, "provenance": {"python": "3"}}
    assert of_run(document) == {"kind": "sample", "n": 1, "hash": "ab"}
    assert of_run({"kind": "import", "config": None}) == {"kind": "import"}


def sampled(**changes: Any) -> dict[str, Any]:
    config = {"model": "0" * 32, "task": "countdown", "seed": 0, "verify_timeout": 5.0, "task_hash": "1" * 32}
    decoding = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_tokens": 256, "stop": []}
    facts = {"model_path": "runs/a", "problem_seed": 0}
    return {"kind": "sample", "config": config | {"decoding": decoding} | changes, "facts": facts}


def test_what_is_usual_is_folded_and_what_differs_comes_first() -> None:
    one, two = sampled(), sampled(seed=3, task="chain")
    two["facts"] = {"model_path": "runs/a", "problem_seed": 9}
    found = settings_of("Sampling", {"one": one, "two": two}, {"one": "engine 1", "two": "engine 1"})
    differ, same = found.unusual
    assert differ.caption == "Sampling: what differs between the runs"
    assert dict(differ.rows) == {"task": ("countdown", "chain"), "seed": ("0", "3"), "problem_seed": ("0", "9")}
    assert same.caption == "Sampling: not the default, the same for all"
    assert dict(same.rows) == {"model_path": ("runs/a",)}
    everything = {name for table in found.every for name, _ in table.rows}
    assert {"decoding.temperature", "model", "task_hash", "verify_timeout", "drawn by", "kind"} <= everything


def test_one_run_has_its_unusual_settings_alone() -> None:
    (table,) = settings_of("Sampling", {"one": sampled(samples=8)}, {}).unusual
    assert table.caption == "Sampling: not the default"
    assert dict(table.rows) == {"task": ("countdown",), "samples": ("8",), "model_path": ("runs/a",)}


def test_a_run_that_no_command_here_makes_shows_all() -> None:
    (table,) = settings_of("Sampling", {"one": {"kind": "dream", "config": {"a": 1, "b": {"c": 2}}}}, {}).unusual
    assert dict(table.rows) == {"a": ("1",), "b.c": ("2",)}
