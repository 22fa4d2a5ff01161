import json
from pathlib import Path

import pytest

from reachlab.studies import times as times_module
from reachlab.studies.times import FILE, StageTimes


def test_a_stage_of_several_sittings_has_the_time_of_all(tmp_path: Path) -> None:
    first = StageTimes(tmp_path)
    first.begin("grpo")
    first.end("grpo", 717.0, worked=True)
    second = StageTimes(tmp_path)
    second.begin("grpo")
    second.end("grpo", 31.2, worked=True)
    assert second.total("grpo") == pytest.approx(748.2)
    assert second.words("grpo") == "748 s in 2 sittings"
    assert json.loads((tmp_path / FILE).read_text()) == {"grpo": [717.0, 31.2]}


def test_a_stage_that_was_done_has_no_further_sitting(tmp_path: Path) -> None:
    times = StageTimes(tmp_path)
    for seconds, worked in ((40.0, True), (2.0, False)):
        times.begin("base")
        times.end("base", seconds, worked)
    assert times.words("base") == "40 s"
    times.begin("old")
    times.end("old", 2.0, worked=False)
    assert (times.words("old"), times.total("old")) == ("done before times were kept", 0)


def test_a_killed_study_has_lost_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times_module, "LOG_EVERY_S", 0.0)
    killed = StageTimes(tmp_path)
    killed.begin("base")
    killed.tick("base", 12.0)  # and no more is heard of it
    after = StageTimes(tmp_path)
    after.begin("base")
    after.end("base", 3.0, worked=True)
    assert after.words("base") == "15 s in 2 sittings"


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"base": 3}', "\x00"])
def test_a_file_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    times = StageTimes(tmp_path)
    times.begin("base")
    times.end("base", 1.0, worked=True)
    assert times.words("base") == "1 s"
