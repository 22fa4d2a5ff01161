import re
from itertools import combinations

import pytest
from tests.reporting.colours import EYES, ciede2000, contrast, seen

from reachlab.reporting import assets
from reachlab.reporting.styles import MARKERS

NAMED = dict(re.findall(r"--([\w-]+): light-dark\((#\w+), #\w+\)", assets.css()))
DARK = dict(re.findall(r"--([\w-]+): light-dark\(#\w+, (#\w+)\)", assets.css()))


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((50, 2.5, 0), (58, 24, 15), 19.4535),
        ((50, 2.5, 0), (56, -27, -3), 31.9030),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_differences_are_the_published_ones(one: tuple[float, ...], other: tuple[float, ...], apart: float) -> None:
    assert ciede2000(one, other) == pytest.approx(apart, abs=5e-5)
    assert ciede2000(other, one) == pytest.approx(apart, abs=5e-5)


def test_eyes_see_grey_as_grey() -> None:
    for eyes in EYES:
        assert seen("#808080", eyes)[1:] == pytest.approx([0, 0], abs=0.05)
    # Red is a dark olive to who lacks the long cones.
    red, olive = "#ff0000", "#4f3d00"
    assert ciede2000(seen(red, "normal"), seen(olive, "normal")) > 40
    assert ciede2000(seen(red, "protanopia"), seen(olive, "protanopia")) < 20


@pytest.mark.parametrize(("theme", "apart"), [(NAMED, 14.8), (DARK, 14.0)])
def test_any_two_models_are_apart_to_all_eyes(theme: dict[str, str], apart: float) -> None:
    colours = [theme[f"series-{i}"] for i in range(len(MARKERS))]
    assert len(set(colours)) == 8
    found = {
        (eyes, *pair): ciede2000(*(seen(colour, eyes) for colour in pair))
        for eyes in EYES
        for pair in combinations(colours, 2)
    }
    assert min(found.values()) >= apart, min(found, key=found.__getitem__)
    assert min(contrast(colour, theme["paper"]) for colour in colours) >= 3
