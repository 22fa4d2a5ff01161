from pathlib import Path

import pytest

from reachlab.errors import ReachlabError
from reachlab.pictures.drawn_scenes import scene
from reachlab.pictures.keep import keep
from reachlab.pictures.reference import open_picture, png

CHART = scene("chart", {"r": 3, "g": 9}, 1, 64)


def test_a_kept_picture_is_a_file_named_by_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REACHLAB_CACHE", str(tmp_path / "cache"))
    data = png(CHART)
    path = keep(data)
    assert path.endswith(".png")
    assert keep(data) == path
    assert open_picture(path).tobytes() == open_picture(CHART).tobytes()
    Path(path).write_bytes(b"half")
    assert Path(keep(data)).read_bytes() == data
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REACHLAB_CACHE", str(tmp_path / "file"))
    with pytest.raises(ReachlabError, match="REACHLAB_CACHE names another"):
        keep(data)
