from pathlib import Path
from typing import Any

from tests.imports.formats.reading import document, labels, lines, read, texts

CHAT = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "It is 4."}]


def test_messages(tmp_path: Path) -> None:
    parts: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "2+2?"}]}, CHAT[1]]
    rows = [
        {"messages": CHAT, "answer": "4", "correct": True, "id": 3},
        {"messages": parts, "answer": "4", "correct": False},
    ]
    name, _, found = read(lines(tmp_path / "x.jsonl", *rows))
    assert name == "chat"
    assert [(r.id, r.question, r.gold) for r in found] == [("3", "2+2?", "4"), (None, "2+2?", "4")]
    assert (texts(found), labels(found)) == ([["It is 4."]] * 2, [[True], [False]])


def test_sharegpt_and_a_question_without_an_answer(tmp_path: Path) -> None:
    asked = {"from": "human", "value": "2+2?"}
    rows = [{"conversations": [asked, {"from": "gpt", "value": "4"}]}, {"conversations": [asked]}]
    found = read(lines(tmp_path / "x.jsonl", *rows))[2]
    assert [(r.question, *texts([r])) for r in found] == [("2+2?", ["4"]), ("2+2?", [None])]


def test_convos_of_simple_evals(tmp_path: Path) -> None:
    whole = {"score": 0.5, "htmls": ["<p>"], "convos": [CHAT, CHAT], "metadata": None}
    name, _, found = read(document(tmp_path / "x.json", whole))
    assert (name, texts(found)) == ("chat", [["It is 4."]] * 2)


def test_models_are_runs(tmp_path: Path) -> None:
    found = read(lines(tmp_path / "x.jsonl", *({"messages": CHAT, "model": m} for m in "ab")))[2]
    assert [r.run for r in found] == ["a", "b"]
