"""How a model looks, everywhere on the page: one colour, one dash, one marker. Colour never stands alone.

The colours themselves live in `assets/base.css`, once for light and once for dark; here they are only named. Any two of
the eight are apart to colour-blind eyes too: at least 14 of CIEDE2000 under simulated deuteranopia, protanopia and
tritanopia, as the test computes, and each is 3:1 or more against the paper; text is not written in them.
"""

from dataclasses import dataclass

DASHES = (
    "solid",
    "16px,3px",
    "8px,3px",
    "2px,3px",
    "10px,3px,2px,3px",
    "5px,4px",
    "14px,3px,5px,3px",
    "10px,3px,2px,3px,2px,3px",
)
MARKERS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "star")
GLYPHS = "●■◆▲▼✚✖★"
"""The markers as text."""
SHAPES = {
    "circle": '<circle cx="17" cy="6" r="3.6"/>',
    "square": '<rect x="13.6" y="2.6" width="6.8" height="6.8"/>',
    "diamond": '<path d="M17 1.2 21.8 6 17 10.8 12.2 6Z"/>',
    "triangle-up": '<path d="M17 1.4 21.4 9.4H12.6Z"/>',
    "triangle-down": '<path d="M17 10.6 21.4 2.6H12.6Z"/>',
    "cross": '<path d="M15.4 1.8h3.2v2.6h2.6v3.2h-2.6v2.6h-3.2v-2.6h-2.6v-3.2h2.6Z"/>',
    "x": '<path d="m13.2 4 2-2 1.8 1.8L18.8 2l2 2L19 6l1.8 2-2 2L17 8.2 15.2 10l-2-2L15 6Z"/>',
    "star": '<path d="m17 .8 1.5 3.5 3.8.3-2.9 2.5.9 3.7-3.3-2-3.3 2 .9-3.7-2.9-2.5 3.8-.3Z"/>',
}


def shorten(name: str, longest: int = 32) -> str:
    """A name of at most `longest` characters, cut in its middle, since its ends tell models apart."""
    if len(name) <= longest:
        return name
    head = (longest - 1) // 2
    return f"{name[:head]}…{name[head + 1 - longest :]}"


@dataclass(frozen=True)
class Style:
    """The look of model number `index`, where 0 is the base. Beyond eight the colours come round again."""

    index: int

    @property
    def colour(self) -> str:
        """A CSS reference that `figures.js` replaces by the theme's colour."""
        return f"var(--series-{self.index % len(MARKERS)})"

    @property
    def band(self) -> str:
        """The same colour, see-through."""
        return f"var(--series-{self.index % len(MARKERS)}-band)"

    @property
    def faint(self) -> str:
        """The same colour, more so."""
        return f"var(--series-{self.index % len(MARKERS)}-faint)"

    @property
    def dash(self) -> str:
        """The line's dash, as plotly and (with commas) SVG write it."""
        return DASHES[(self.index + self.index // len(MARKERS)) % len(DASHES)]

    @property
    def marker(self) -> str:
        """The marker at k = 1, 2, 4, ..."""
        return MARKERS[self.index % len(MARKERS)]

    @property
    def glyph(self) -> str:
        """The marker as text."""
        return GLYPHS[self.index % len(MARKERS)]

    @property
    def swatch(self) -> str:
        """The line with its marker as a small SVG, for the page's text."""
        dash = "" if self.dash == "solid" else f' stroke-dasharray="{self.dash.replace("px", "")}"'
        return (
            f'<svg class="swatch" viewBox="0 0 34 12" aria-hidden="true" style="color:{self.colour}"'
            ' fill="currentColor">'
            f'<path d="M0 6H34" stroke="currentColor" stroke-width="2"{dash}/>{SHAPES[self.marker]}</svg>'
        )
