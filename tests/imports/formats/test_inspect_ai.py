import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.imports.formats.reading import document, labels, lines, read, texts

from reachlab.errors import ReachlabError


def sample(number: int = 1, epoch: int = 1, text: str | None = "ANSWER: 4", **other: Any) -> dict[str, Any]:
    choices = [] if text is None else [{"message": {"role": "assistant", "content": text}, "stop_reason": "stop"}]
    return {
        "id": number,
        "epoch": epoch,
        "input": f"What is {number} + 3?",
        "target": str(number + 3),
        "messages": [],
        "output": {"model": "m", "choices": choices},
        "scores": {"match": {"value": "C", "answer": "4"}},
    } | other


def log(*samples: Any, model: str = "m") -> dict[str, Any]:
    return {"version": 2, "status": "success", "eval": {"task": "t", "model": model}, "samples": list(samples)}


def test_an_epoch_is_a_sample(tmp_path: Path) -> None:
    wrong = {"match": {"value": "I"}}
    file = document(tmp_path / "x.json", log(sample(), sample(epoch=2, text="It is 5", scores=wrong), sample(2)))
    name, taken, found = read(file)
    assert (name, taken) == ("inspect", "answers from output, labels from score match")
    assert [(r.id, r.index, r.question, r.gold, r.run) for r in found] == [
        ("1", 0, "What is 1 + 3?", "4", ""),
        ("1", 1, "What is 1 + 3?", "4", ""),
        ("2", 0, "What is 2 + 3?", "5", ""),
    ]
    assert texts(found) == [["ANSWER: 4"], ["It is 5"], ["ANSWER: 4"]]
    assert labels(found) == [["C"], ["I"], ["C"]]


def test_samples_alone(tmp_path: Path) -> None:
    assert texts(read(lines(tmp_path / "x.jsonl", sample(), sample(2)))[2]) == [["ANSWER: 4"]] * 2


def test_an_error_is_no_answer_and_a_cut_one_is(tmp_path: Path) -> None:
    cut = {
        "choices": [
            {
                "message": {"content": [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "4"}]},
                "stop_reason": "max_tokens",
            }
        ]
    }
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "half"}]
    failed = sample(text=None, error={"message": "Timeout"}, messages=chat, scores={})
    _, _, found = read(document(tmp_path / "x.json", log(failed, sample(2, output=cut))))
    assert texts(found) == [[None], ["4"]]
    assert [r.answers[0].finish for r in found] == ["stop", "length"]


def test_the_first_score_that_says_right_or_wrong_is_the_label(tmp_path: Path) -> None:
    scores: dict[str, Any] = {
        "words": {"value": 250},
        "grade": {"value": {"style": 1, "correct": 0}},
        "match": {"value": "C"},
    }
    _, taken, found = read(document(tmp_path / "x.json", log(sample(scores=scores), sample(2, scores=scores))))
    assert taken.endswith("labels from score grade.correct")
    assert labels(found) == [[0], [0]]
    partial = {"match": {"value": "P"}}
    assert labels(read(document(tmp_path / "y.json", log(sample(scores=partial), sample(2))))[2]) == [["P"], ["C"]]


def test_several_targets_are_no_gold_answer(tmp_path: Path) -> None:
    rows = [sample(target=["4", "four"]), sample(2, target=["5"]), sample(3, target="", scores={})]
    assert [r.gold for r in read(document(tmp_path / "x.json", log(*rows)))[2]] == [None, "5", None]


def test_multiple_choice(tmp_path: Path) -> None:
    rows = [
        sample(input="The sky?", choices=["red", "blue"], target="B"),
        sample(2, choices=["1", "2", "3"], target=["A", "C"]),
    ]
    one, several = read(document(tmp_path / "x.json", log(*rows)))[2]
    assert one.choice is not None
    assert (one.choice.letter, one.choice.question) == ("B", "The sky?\n\nA. red\nB. blue")
    assert (several.choice, several.gold) == (None, None)


def test_texts_that_stand_apart(tmp_path: Path) -> None:
    row = sample(
        input="attachment://q", text="attachment://a", attachments={"q": "A long question?", "a": "A long answer"}
    )
    (record,) = read(document(tmp_path / "x.json", log(row)))[2]
    assert (record.question, record.answers[0].text) == ("A long question?", "A long answer")


def test_logs_of_several_models_are_several_runs(tmp_path: Path) -> None:
    a, b = (document(tmp_path / f"{m}.json", log(sample(), model=f"org/{m}")) for m in "ab")
    assert [r.run for r in read(a, b)[2]] == ["org/a", "org/b"]


def test_a_log_without_samples(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match=r"x\.json: an inspect_ai log without samples \(status success\)"):
        read(document(tmp_path / "x.json", log()))


def archive(path: Path, members: dict[str, Any], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, value in members.items():
            file.writestr(name, json.dumps(value))
    return path


def packed_by_zstd(path: Path, members: dict[str, Any]) -> Path:
    """A zip whose members are zstd frames, byte by byte as the zip format says."""
    body, directory = b"", b""
    for name, value in members.items():
        plain = json.dumps(value).encode()
        packed = bytes(pa.Codec("zstd").compress(plain))
        sizes = struct.pack("<IIIHH", zlib.crc32(plain), len(packed), len(plain), len(name), 0)
        directory += b"PK\1\2" + struct.pack("<HHHHHH", 63, 63, 0, 93, 0, 33) + sizes
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name.encode()
        body += b"PK\3\4" + struct.pack("<HHHHH", 63, 0, 93, 0, 33) + sizes + name.encode() + packed
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\5\6" + end)
    return path


MEMBERS = {
    "samples/2_epoch_1.json": sample(2),
    "samples/1_epoch_2.json": sample(epoch=2),
    "samples/1_epoch_1.json": sample(),
    "header.json": {"eval": {"model": "org/m"}},
}


@pytest.mark.parametrize("write", [archive, packed_by_zstd])
def test_an_eval_file(tmp_path: Path, write: Any) -> None:
    name, _, found = read(write(tmp_path / "x.eval", MEMBERS))
    assert name == "inspect"
    assert [(r.id, r.index) for r in found] == [("1", 0), ("2", 0), ("1", 1)]


def test_damaged_and_other_archives(tmp_path: Path) -> None:
    file = packed_by_zstd(tmp_path / "x.eval", MEMBERS)
    damaged = bytearray(file.read_bytes())
    damaged[60] ^= 0xFF
    file.write_bytes(damaged)
    with pytest.raises(ReachlabError, match=r"x\.eval: a damaged \.eval"):
        read(file)
    with pytest.raises(ReachlabError, match="a zip without samples"):
        read(archive(tmp_path / "y.eval", {"a.json": 1}))
