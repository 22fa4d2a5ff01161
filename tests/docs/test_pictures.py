"""The pictures are what their script draws, say what they show, and their measured numbers stand in the log."""

import re
import runpy
import xml.etree.ElementTree as ET

import pytest
from tests.docs.blocks import PAGES, ROOT

MADE = runpy.run_path(str(ROOT / "docs" / "pictures.py"))
FOLDER = ROOT / "docs" / "pictures"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@pytest.mark.parametrize("name", MADE["PICTURES"])
def test_a_picture_is_what_is_drawn(name: str) -> None:
    """Mark by mark; a processor that rounds otherwise may move one by half a unit of 720."""
    there, drawn = (FOLDER / f"{name}.svg").read_text(encoding="utf-8"), MADE["PICTURES"][name]().svg()
    assert NUMBER.split(there) == NUMBER.split(drawn), "run `make docs`"
    assert list(map(float, NUMBER.findall(there))) == pytest.approx(list(map(float, NUMBER.findall(drawn))), abs=0.5)


def test_every_picture_is_drawn_small_and_described() -> None:
    files = sorted(FOLDER.glob("*.svg"))
    assert {file.stem for file in files} == set(MADE["PICTURES"])
    shown = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for file in files:
        assert file.stat().st_size < 20_000
        title = ET.parse(file).find("{http://www.w3.org/2000/svg}title")
        assert title is not None
        assert len(title.text or "") > 40
        assert (alt := re.search(rf"!\[([^\]]+)\]\(pictures/{file.name}\)", shown)), f"no page shows {file.name}"
        assert len(alt[1]) > 40


def test_measured_cosines_stand_in_the_log() -> None:
    log = (ROOT / "LOG.md").read_text(encoding="utf-8")
    for cosines in MADE["COSINES"].values():
        assert " | ".join(f"{cosine:.3f}"[1:] for cosine in cosines) in log


def test_a_rule_keeps_what_the_picture_of_it_says() -> None:
    """The words beside it: the two ends for max_variance, the top for max_reward."""
    text = (FOLDER / "selection.svg").read_text(encoding="utf-8")
    rows = [re.findall(r'class="fb b" cx="([\d.]+)"', part) for part in text.split("<text")]
    kept = [sorted(map(float, row)) for row in rows if row]
    across = sorted({float(x) for x in re.findall(r'<circle [^>]*cx="([\d.]+)"', text)})
    assert len(across) == 16
    assert kept[0] == across[:2] + across[-2:]
    assert kept[1] == across[-4:]
