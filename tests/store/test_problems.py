"""A line a problem: what goes in comes out, and a flipped bit does not."""

import json

import pytest

from reachlab.errors import ReachlabError
from reachlab.store.problems import hash_problems, read_problem, write_problem
from reachlab.types import Chat, Problem

PROBLEM = Problem(
    id="größer 1", prompt=Chat(({"role": "user", "content": "1+1?"},), {"think": True}), answer=[2], metadata={"a": {}}
)


def test_a_problem_comes_back() -> None:
    assert read_problem(write_problem(PROBLEM), "f:1") == PROBLEM


def test_every_flipped_bit_is_found() -> None:
    data = write_problem(PROBLEM).encode()
    for at in range(len(data)):
        line = (data[:at] + bytes([data[at] ^ 1 << at % 7]) + data[at + 1 :]).decode("utf-8", "replace")
        with pytest.raises(ReachlabError, match=r"^f:1: not "):
            read_problem(line, "f:1")


def test_a_line_of_an_earlier_day_or_written_by_hand() -> None:
    row = json.loads(write_problem(PROBLEM))
    row["answer"] = [3]
    with pytest.raises(ReachlabError, match=r'its checksum does not fit; .* take its "sum" out'):
        read_problem(json.dumps(row), "f:1")
    del row["sum"]
    assert read_problem(json.dumps(row), "f:1").answer == [3]


def test_halves_of_surrogate_pairs() -> None:
    odd = Problem(id="\ud83d", prompt="\udfff?", answer={"\ud800": "\ud801"}, metadata={"a": ["\udbff"]})
    escaped = Problem(id="\\ud83d", prompt="\\udfff?", answer={"\\ud800": "\\ud801"}, metadata={"a": ["\\udbff"]})
    assert read_problem(write_problem(odd), "f:1") == escaped
    assert hash_problems([odd]) == hash_problems([escaped])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"metadata": 5}, "metadata is no object"),
        ({"metadata": None}, "metadata is no object"),
        ({"id": 5}, "id is no text"),
        ({"images": "ab"}, "images are no list of texts"),
        ({"images": [5]}, "images are no list of texts"),
        ({"prompt": [5]}, "a prompt is text or a list of messages"),
        ({"prompt": {"messages": "ab", "options": {}}}, "a prompt is text or a list of messages"),
    ],
)
def test_what_is_no_problem(change: dict[str, object], says: str) -> None:
    row = json.loads(write_problem(PROBLEM)) | change
    del row["sum"]
    with pytest.raises(ReachlabError, match=f"f:1: not a problem .{says}"):
        read_problem(json.dumps(row), "f:1")
