"""Small scenes: pictures drawn from a few numbers, in which these numbers can be read again.

A scene is JSON: `kind` and `values`, which give each colour's quantity, 1 to 9; `seed`, which places what the
quantities leave open; `size`, the picture's width and height in pixels. Everything is laid out on a sheet of 64 x 64, a
unit is 6 of its pixels, and drawn at the size asked.

    count   that many shapes of each colour, on a grid of 16 cells
    chart   a bar of that height for each colour, over the lines of the units
    length  a segment of that length for each colour, beginning anywhere
    spread  the same bars, without lines
    figure  two rectangles, the first of sides a x b, the second of c x d, on squared paper
"""

import json
from random import Random
from typing import Any

from PIL import Image, ImageDraw

from reachlab.errors import ReachlabError

COLOURS = {"r": (214, 39, 40), "g": (44, 160, 44), "b": (31, 90, 220), "y": (240, 190, 0)}
KINDS = ("count", "chart", "length", "spread", "figure")
SHEET, UNIT, CELL = 64, 6, 16
FINE, COARSE = 16, 1024
"""The smallest and the largest size of a picture."""
GRID = (222, 222, 222)


def scene(kind: str, values: dict[str, int], seed: int, size: int) -> str:
    """The reference of a scene, in one form."""
    about = {"kind": kind, "values": values, "seed": seed, "size": size}
    return "scene:" + json.dumps(about, separators=(",", ":"))


def draw_scene(text: str) -> Image.Image:
    """Draw the scene that JSON describes.

    Raises:
        ReachlabError: it does not describe one.
    """
    try:
        about = json.loads(text)
        kind, values, size = about["kind"], dict(about["values"]), int(about["size"])
        rng = Random(int(about["seed"]))
        ok = kind in KINDS and FINE <= size <= COARSE and all(1 <= int(v) <= 9 for v in values.values())
    except (ValueError, KeyError, TypeError) as error:
        raise ReachlabError(f"scene {text[:80]!r}: does not say what to draw ({error})") from error
    known = set("abcd") if kind == "figure" else set(COLOURS)
    if not ok or not values or not set(values) <= known:
        raise ReachlabError(f"scene {text[:80]!r}: no such scene")
    # Drawn large and shrunk, so that edges between two pixels are where they should be.
    scale = max(1, round(4 * size / SHEET))
    picture = Image.new("RGB", (SHEET * scale, SHEET * scale), "white")
    _Sheet(ImageDraw.Draw(picture), scale, rng).draw(kind, values)
    return picture.resize((size, size), Image.Resampling.BOX)


class _Sheet:
    """Draws in units of the sheet."""

    def __init__(self, pen: ImageDraw.ImageDraw, scale: int, rng: Random):
        self.pen, self.scale, self.rng = pen, scale, rng

    def draw(self, kind: str, values: dict[str, int]) -> None:
        getattr(self, f"_{kind}")(values)

    def _count(self, values: dict[str, int]) -> None:
        things = [colour for colour, count in values.items() for _ in range(count)]
        if len(things) > (SHEET // CELL) ** 2:
            raise ReachlabError(f"a scene of {len(things)} shapes: it has room for {(SHEET // CELL) ** 2}")
        cells = self.rng.sample(range((SHEET // CELL) ** 2), len(things))
        for cell, colour in zip(cells, things, strict=True):
            row, column = divmod(cell, SHEET // CELL)
            x, y = column * CELL + self.rng.uniform(1, 4), row * CELL + self.rng.uniform(1, 4)
            self._shape(self.rng.choice(("circle", "square", "triangle")), x, y, 11, COLOURS[colour])

    def _chart(self, values: dict[str, int]) -> None:
        for unit in range(10):
            self._box(0, 60 - unit * UNIT, SHEET, 60 - unit * UNIT + 0.5, GRID)
        self._spread(values)

    def _spread(self, values: dict[str, int]) -> None:
        order = self.rng.sample(sorted(values), len(values))
        pitch = SHEET / len(order)
        for place, colour in enumerate(order):
            width = self.rng.uniform(0.5, 0.8) * pitch
            x = place * pitch + self.rng.uniform(0, pitch - width)
            self._box(x, 60 - values[colour] * UNIT, x + width, 60, COLOURS[colour])
        self._box(0, 60, SHEET, 61, (60, 60, 60))

    def _length(self, values: dict[str, int]) -> None:
        order = self.rng.sample(sorted(values), len(values))
        pitch = SHEET / len(order)
        for place, colour in enumerate(order):
            length = values[colour] * UNIT
            x, y = self.rng.uniform(1, SHEET - 1 - length), place * pitch + self.rng.uniform(3, pitch - 7)
            self._box(x, y, x + length, y + 4, COLOURS[colour])

    def _figure(self, values: dict[str, int]) -> None:
        half = UNIT / 2
        for line in range(SHEET // 3 + 1):
            self._box(line * half, 0, line * half + 0.3, SHEET, GRID)
            self._box(0, line * half, SHEET, line * half + 0.3, GRID)
        # Half a unit a square, so that two figures find room one above the other.
        for name, (wide, high), top in (("r", ("a", "b"), 1), ("b", ("c", "d"), 11)):
            w, h = values[wide] * half, values[high] * half
            x = half * self.rng.randint(0, int((SHEET - w) // half) - 1)
            y = half * (top + self.rng.randint(0, 9 - values[high]))
            self._box(x, y, x + w, y + h, COLOURS[name])

    def _shape(self, shape: str, x: float, y: float, width: float, colour: tuple[int, int, int]) -> None:
        s = self.scale
        box = (x * s, y * s, (x + width) * s, (y + width) * s)
        if shape == "circle":
            self.pen.ellipse(box, fill=colour)
        elif shape == "square":
            self.pen.rectangle(box, fill=colour)
        else:
            self.pen.polygon([(box[0], box[3]), (box[2], box[3]), ((box[0] + box[2]) / 2, box[1])], fill=colour)

    def _box(self, left: float, top: float, right: float, bottom: float, colour: Any) -> None:
        s = self.scale
        # Pillow draws the last row and column too.
        self.pen.rectangle((left * s, top * s, max(left * s, right * s - 1), max(top * s, bottom * s - 1)), fill=colour)
