import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reachlab.errors import ReachlabError
from reachlab.pictures import reference
from reachlab.pictures.drawn_scenes import scene
from reachlab.pictures.reference import NOISE, check_picture, data_url, fingerprint, open_picture

CHART = scene("chart", {"r": 3, "g": 9}, 1, 64)


def png_of(width: int, height: int) -> bytes:
    """A PNG file's beginning that promises so many pixels, and ends."""

    def block(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + block(b"IHDR", header) + block(b"IDAT", zlib.compress(b"\0" * 8)) + block(b"IEND", b"")
    )


def test_modes_become_rgb_on_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (3, 2), (255, 0, 0, 0))
    clear.putpixel((0, 0), (255, 0, 0, 255))
    clear.save(tmp_path / "a.png")
    Image.new("L", (3, 2), 7).save(tmp_path / "b.png")
    Image.new("CMYK", (3, 2)).save(tmp_path / "c.jpg")
    clear.convert("P").save(tmp_path / "d.gif")
    found = open_picture(str(tmp_path / "a.png"))
    assert (found.mode, found.getpixel((0, 0)), found.getpixel((1, 1))) == ("RGB", (255, 0, 0), (255, 255, 255))
    assert open_picture(str(tmp_path / "b.png")).getpixel((0, 0)) == (7, 7, 7)
    assert all(open_picture(str(tmp_path / name)).mode == "RGB" for name in ("c.jpg", "d.gif"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "no such picture"),
        (b"", "an empty file"),
        (b"hello", "not a picture of a known format"),
        (png_of(0, 5), "(shows nothing|broken)"),
        (png_of(20_000, 20_000), "400,000,000 pixels, more than the 50,000,000 allowed"),
        (png_of(10_000, 8_000), "10,000 x 8,000 pixels, more than the 50,000,000 allowed"),
        (png_of(400_000, 400_000), "160,000,000,000 pixels, more than"),
    ],
)
def test_what_is_no_picture_is_said_before_it_is_decoded(tmp_path: Path, data: bytes | None, said: str) -> None:
    path = tmp_path / "x.png"
    if data is not None:
        path.write_bytes(data)
    for look in (check_picture, open_picture):
        with pytest.raises(ReachlabError, match=said) as caught:
            look(str(path))
        assert str(path) in str(caught.value)


def test_a_picture_that_breaks_off_is_found_when_decoded(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    check_picture(str(path))
    with pytest.raises(ReachlabError, match="a broken picture"):
        open_picture(str(path))
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(ReachlabError, match="not readable as a picture"):
        open_picture(str(folder))


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "MOST_BYTES", 100)
    (tmp_path / "x.png").write_bytes(b"\0" * 101)
    with pytest.raises(ReachlabError, match="shrink it"):
        open_picture(str(tmp_path / "x.png"))


def test_noise_is_of_the_size_and_always_the_same() -> None:
    blind = open_picture(NOISE + CHART)
    assert blind.size == open_picture(CHART).size
    assert blind.tobytes() == open_picture.__wrapped__(NOISE + CHART).tobytes()
    values = np.asarray(blind)
    assert abs(values.mean() - 127.5) < 3
    other = open_picture(NOISE + scene("chart", {"r": 3, "g": 9}, 2, 64))
    assert abs(np.corrcoef(values.ravel(), np.asarray(other).ravel())[0, 1]) < 0.05


def test_a_fingerprint_tells_what_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.new("RGB", (3, 2), "red").save(path)
    before = fingerprint(str(path))
    Image.new("RGB", (3, 2), "blue").save(path)
    assert fingerprint(str(path)) != before
    assert len({fingerprint(r) for r in (CHART, NOISE + CHART)}) == 2


def test_a_data_url_is_the_picture() -> None:
    import base64
    import io

    head, _, body = data_url(CHART).partition(",")
    assert head == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(body))).tobytes() == open_picture(CHART).tobytes()
