import json
import os
from pathlib import Path

import pytest

from reachlab.errors import ReachlabError
from reachlab.models import hashing
from reachlab.models.hashing import hash_files

YEAR = 365 * 86400


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own, in which any size is worth a place, and a file is old at once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hashing, "WORTH_REMEMBERING", 1)
    monkeypatch.setattr(hashing, "RACY_S", -1.0)
    return tmp_path / "cache" / "reachlab" / "hashes"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").write_bytes(b"first")
    (tmp_path / "model" / "b").write_bytes(b"second")
    return tmp_path / "model"


def hashed(folder: Path, *, rehash: bool = False) -> str:
    return hash_files(folder, sorted(folder.iterdir()), rehash=rehash)


def lie(cache: Path) -> None:
    """Change what is remembered, so that it shows where it is used."""
    for file in cache.iterdir():
        file.write_text(json.dumps({**json.loads(file.read_text()), "hash": "remembered"}))


def test_it_is_remembered_and_rehash_reads_again(cache: Path, model: Path) -> None:
    found = hashed(model)
    assert len(list(cache.iterdir())) == 1
    assert hashed(model) == found
    lie(cache)
    assert hashed(model) == "remembered"
    assert hashed(model, rehash=True) == found
    assert hashed(model) == found


def test_a_change_is_seen_though_size_and_mtime_are_as_before(cache: Path, model: Path) -> None:
    old = hashed(model)
    before = (model / "a").stat()
    (model / "a").write_bytes(b"FIRST")
    os.utime(model / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    new = hashed(model)
    assert new != old
    (model / "c").write_bytes(b"")
    assert hashed(model) not in (old, new)
    (model / "c").unlink()
    (model / "a").rename(model / "0")
    assert hashed(model) not in (old, new)


def test_what_changed_a_moment_ago_is_not_remembered(cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "RACY_S", 2.0)
    hashed(model)
    assert not cache.exists()
    # An mtime of long ago does not help: a copy may keep it.
    for file in model.iterdir():
        os.utime(file, (file.stat().st_mtime - YEAR,) * 2)
    hashed(model)
    assert not cache.exists()


def test_links_are_followed_as_the_hubs_cache_has_them(cache: Path, model: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for file in model.iterdir():
        (snapshot / file.name).symlink_to(file)
    found = hashed(snapshot)
    assert found == hashed(model)
    lie(cache)
    assert hashed(snapshot) == "remembered"
    (tmp_path / "other").write_bytes(b"other")
    (snapshot / "a").unlink()
    (snapshot / "a").symlink_to(tmp_path / "other")
    assert hashed(snapshot) not in (found, "remembered")


@pytest.mark.parametrize("torn", [b"", b'{"files": [', b"[]", b'{"hash": 3, "files": []}', b"\xff"])
def test_a_torn_memory_is_none(torn: bytes, cache: Path, model: Path) -> None:
    found = hashed(model)
    (file,) = cache.iterdir()
    file.write_bytes(torn)
    assert hashed(model) == found
    assert json.loads(file.read_bytes())["hash"] == found


def test_without_a_place_nothing_is_remembered_and_nothing_fails(
    cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = hashed(model)
    blocked = model.parent / "blocked"
    blocked.write_bytes(b"")  # a file where the folder would be, which stops root too
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert hashed(model) == found

    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert hashed(model) == found


def test_small_models_are_read_each_time(cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "WORTH_REMEMBERING", 12)
    hashed(model)
    assert not cache.exists()


def test_files_that_change_while_they_are_read(cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = hashing._read

    def slowly(folder: Path, *rest: object) -> str:
        found = read(folder, *rest)  # type: ignore[arg-type]
        (folder / "a").write_bytes(b"longer than before")
        return found

    monkeypatch.setattr(hashing, "_read", slowly)
    with pytest.raises(ReachlabError, match="its files change while they are read"):
        hashed(model)
    with pytest.raises(ReachlabError, match="not readable: No such file"):
        hash_files(model, [model / "gone"])


def test_progress_of_large_weights(
    cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hashed(model)
    assert not capsys.readouterr().err
    monkeypatch.setattr(hashing, "WORTH_SHOWING", 1)
    (model / "b").write_bytes(b"x" * (3 << 20))
    hashed(model)
    assert "hash model (MB): 3/3" in capsys.readouterr().err
