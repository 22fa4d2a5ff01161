"""The numbers that a scene is drawn from can be read off its pixels again."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from reachlab.errors import ReachlabError
from reachlab.pictures.drawn_scenes import COLOURS, SHEET, UNIT, scene
from reachlab.pictures.reference import open_picture

SIZE = 4 * SHEET
BARS = st.dictionaries(st.sampled_from(sorted(COLOURS)), st.integers(1, 9), min_size=2)


def painted(reference: str, colour: tuple[int, int, int]) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    """Where the picture has a colour."""
    found = np.abs(np.asarray(open_picture(reference)).astype(int) - colour) < 12
    return np.asarray(found.all(-1))


@settings(max_examples=40, deadline=None)
@given(values=BARS, seed=st.integers(0, 10**6), kind=st.sampled_from(["chart", "spread"]))
def test_bars_are_as_high_as_they_should_be(values: dict[str, int], seed: int, kind: str) -> None:
    for name, value in values.items():
        rows = painted(scene(kind, values, seed, SIZE), COLOURS[name]).any(1).sum()
        assert abs(rows * SHEET / SIZE / UNIT - value) < 0.2


@settings(max_examples=40, deadline=None)
@given(values=BARS, seed=st.integers(0, 10**6))
def test_segments_are_as_long_as_they_should_be(values: dict[str, int], seed: int) -> None:
    for name, value in values.items():
        columns = painted(scene("length", values, seed, SIZE), COLOURS[name]).any(0).sum()
        assert abs(columns * SHEET / SIZE / UNIT - value) < 0.2


@settings(max_examples=40, deadline=None)
@given(
    values=st.dictionaries(st.sampled_from(sorted(COLOURS)), st.integers(1, 4), min_size=2), seed=st.integers(0, 10**6)
)
def test_shapes_can_be_counted(values: dict[str, int], seed: int) -> None:
    for name, value in values.items():
        _, found = ndimage.label(ndimage.binary_opening(painted(scene("count", values, seed, SIZE), COLOURS[name])))
        assert found == value


@settings(max_examples=40, deadline=None)
@given(sides=st.tuples(*[st.integers(1, 9)] * 4), seed=st.integers(0, 10**6))
def test_rectangles_have_their_sides(sides: tuple[int, int, int, int], seed: int) -> None:
    values = dict(zip("abcd", sides, strict=True))
    for name, wide, high in (("r", "a", "b"), ("b", "c", "d")):
        where = painted(scene("figure", values, seed, SIZE), COLOURS[name])
        assert abs(where.any(0).sum() * SHEET / SIZE / (UNIT / 2) - values[wide]) < 0.4
        assert abs(where.any(1).sum() * SHEET / SIZE / (UNIT / 2) - values[high]) < 0.4


def test_the_same_reference_is_the_same_picture_and_seeds_move_things() -> None:
    a, b = (scene("count", {"r": 3, "g": 2}, seed, 64) for seed in (1, 2))
    assert open_picture.__wrapped__(a).tobytes() == open_picture.__wrapped__(a).tobytes()
    assert open_picture(a).tobytes() != open_picture(b).tobytes()
    assert open_picture(a).size == (64, 64)


@pytest.mark.parametrize(
    "text",
    [
        "scene:", "scene:{}", "scene:[1]", 'scene:{"kind":"chart","values":{"r":3},"seed":0,"size":100000}',
        'scene:{"kind":"chart","values":{"r":0},"seed":0,"size":64}',
        'scene:{"kind":"tree","values":{"r":1},"seed":0,"size":64}',
        'scene:{"kind":"chart","values":{"a":1},"seed":0,"size":64}',
        'scene:{"kind":"count","values":{"r":9,"g":9},"seed":0,"size":64}',
        'scene:{"kind":"chart","values":{"r":"x"},"seed":0,"size":64}',
    ],
)  # fmt: skip
def test_what_does_not_say_what_to_draw(text: str) -> None:
    with pytest.raises(ReachlabError, match="scene"):
        open_picture(text)


def test_any_size_shows_the_same() -> None:
    rng = Random(0)
    for size in (16, 32, 100, 256):
        picture = open_picture(scene("chart", {"r": rng.randint(1, 9)}, 3, size))
        assert picture.size == (size, size)
