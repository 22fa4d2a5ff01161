"""A few marks of SVG: what the pictures of the documents are made of.

A picture has a ground of its own, and turns dark where the page around it is: text stays readable in either case.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH = 720
STYLE = """
svg { color-scheme: light dark; font: 17px system-ui, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; }
.ground { fill: #fdfdfc; } text { fill: #1c1e22; } .soft { fill: #5a5f68; }
.rule { stroke: #c9c9c2; } .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
.a { stroke: #14161a; } .b { stroke: #3d31b0; } .c { stroke: #c43d1d; } .d { stroke: #0a6b4d; }
.fa { fill: #14161a; } .fb { fill: #3d31b0; } .fc { fill: #c43d1d; } .fd { fill: #0a6b4d; } .none { fill: none; }
.shade { opacity: .16; } .thin { stroke-width: 1.25; } .dash { stroke-dasharray: 6 4; }
@media (prefers-color-scheme: dark) {
.ground { fill: #131518; } text { fill: #e9e8e4; } .soft { fill: #a6abb4; } .rule { stroke: #454b55; }
.a { stroke: #f6f7f9; } .b { stroke: #96a1ff; } .c { stroke: #f0765c; } .d { stroke: #5ecfa4; }
.fa { fill: #f6f7f9; } .fb { fill: #96a1ff; } .fc { fill: #f0765c; } .fd { fill: #5ecfa4; } .none { fill: none; }
}
"""


@dataclass
class Picture:
    """Marks on a sheet of `height`; `says` is what somebody who does not see it is told."""

    says: str
    height: int
    marks: list[str] = field(default_factory=list)

    def mark(self, name: str, kind: str = "", **numbers: float | str) -> None:
        """One element."""
        placed = "".join(f' {key.replace("_", "-")}="{_short(value)}"' for key, value in numbers.items())
        self.marks.append(f'<{name} class="{kind}"{placed}/>')

    def text(self, x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> None:
        """A line of text; `anchor` is start, middle or end."""
        self.marks.append(
            f'<text class="{kind}" x="{_short(x)}" y="{_short(y)}" text-anchor="{anchor}">{escape(said)}</text>'
        )

    def line(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        """A line through points."""
        self.mark("polyline", f"line {kind}", points=" ".join(f"{_short(x)},{_short(y)}" for x, y in points))

    def area(self, low: Sequence[tuple[float, float]], high: Sequence[tuple[float, float]], kind: str) -> None:
        """What lies between two lines."""
        around = [*low, *reversed(high)]
        self.mark("polygon", f"shade {kind}", points=" ".join(f"{_short(x)},{_short(y)}" for x, y in around))

    def svg(self) -> str:
        """The file."""
        inside = "\n".join(self.marks)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" role="img">\n'
            f"<title>{escape(self.says)}</title>\n<style>{STYLE}</style>\n"
            f'<rect class="ground" width="{WIDTH}" height="{self.height}"/>\n{inside}\n</svg>\n'
        )


@dataclass(frozen=True)
class Axes:
    """Where numbers lie on the sheet: x from `left` to `right`, y from `bottom` to `top`, in the units of the data."""

    picture: Picture
    left: float
    right: float
    top: float
    bottom: float
    xs: tuple[float, float]
    ys: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A point of the data on the sheet."""
        (x0, x1), (y0, y1) = self.xs, self.ys
        across = self.left + (x - x0) / (x1 - x0) * (self.right - self.left)
        return across, self.bottom - (y - y0) / (y1 - y0) * (self.bottom - self.top)

    def points(self, xs: Iterable[float], ys: Iterable[float]) -> list[tuple[float, float]]:
        """Points of the data on the sheet."""
        return [self.at(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]

    def frame(self, xticks: dict[float, str], yticks: dict[float, str], xlabel: str, ylabel: str) -> None:
        """Rules, their numbers, and what the axes are."""
        for y, said in yticks.items():
            _, down = self.at(self.xs[0], y)
            self.picture.mark("line", "rule", x1=self.left, x2=self.right, y1=down, y2=down)
            self.picture.text(self.left - 8, down + 5, said, "soft", "end")
        for x, said in xticks.items():
            across, _ = self.at(x, self.ys[0])
            self.picture.mark("line", "rule", x1=across, x2=across, y1=self.bottom, y2=self.bottom + 5)
            self.picture.text(across, self.bottom + 22, said, "soft", "middle")
        self.picture.text((self.left + self.right) / 2, self.bottom + 44, xlabel, "", "middle")
        self.picture.text(self.left - 8, self.top - 14, ylabel, "", "start")


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
