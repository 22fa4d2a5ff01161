import json
from pathlib import Path

import pytest
from PIL import Image

from reachlab.errors import ReachlabError
from reachlab.pictures.reference import NOISE
from reachlab.tasks.registry import load_task


def test_a_file_behind_noise_is_the_same_task(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    (tmp_path / "x.jsonl").write_text(json.dumps({"id": 1, "question": "a?", "answer": "1", "image": "x.png"}) + "\n")
    seeing, blind = (load_task(f"visual:{tmp_path}/x.jsonl{how}") for how in ("", ",blind=true"))
    (a,), (b,) = seeing.problems("all"), blind.problems("all")
    assert b.images == tuple(NOISE + reference for reference in a.images)
    assert (a.id, a.prompt, blind.key(b), blind.split_of(b)) == (b.id, b.prompt, seeing.key(a), seeing.split_of(a))
    assert (blind.isolated, blind.finite, blind.decoding) == (seeing.isolated, seeing.finite, seeing.decoding)
    assert (blind.final_answer(b, "1"), blind.gold(b), blind.verify(b, "#### 1").status) == ("1", "1", "correct")


def test_a_generated_task_behind_noise_asks_the_same() -> None:
    seeing, blind = load_task("scenes"), load_task("scenes,blind=true")
    problems, unseen = seeing.problems("test", 5), blind.problems("test", 5)
    assert [p.id for p in problems] == [p.id for p in unseen]
    assert all(p.images[0].startswith(f"{NOISE}scene:") for p in unseen)
    assert next(blind.stream("train", 0)).images[0] == NOISE + next(seeing.stream("train", 0)).images[0]
    assert blind.alphabet() == seeing.alphabet()


def test_blind_is_yes_or_no() -> None:
    assert load_task("scenes,blind=false").problems("test", 1) == load_task("scenes").problems("test", 1)
    with pytest.raises(ReachlabError, match="neither true nor false"):
        load_task("scenes,blind=3")
