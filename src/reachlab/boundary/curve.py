"""A curve: a mean at each x with the interval that holds it, and where two are drawn a wider band for all x at once.

Every measure that is more than one number is one: pass@k and its relatives over k, Cover@τ over τ, differences of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.bootstrap import Floats

Points = NDArray[np.int64] | NDArray[np.float64]
"""Where a curve has values: k, τ, training steps."""


@dataclass(frozen=True, eq=False)
class Curve:
    """`values` over ascending `x`, each between `low` and `high`; all are (K,).

    `level` is the share of cases in which an interval holds what it is of; 0 where there is none, and then both ends
    are the value. `band` has the two ends of a wider interval at the same level that holds the whole curve at once.
    What is known besides, such as a smoothed version, is a field of a subclass and stands in `to_dict` too.
    """

    x: Points
    values: Floats
    low: Floats
    high: Floats
    level: float
    band: tuple[Floats, Floats] | None = None

    OVER: ClassVar[str] = "ks"
    """What `x` is called in JSON."""

    @classmethod
    def exact(cls, x: Points, values: Floats) -> "Curve":
        """What was counted, or measured once: without an interval."""
        return Curve(x, values, values, values, 0.0)

    @property
    def last(self) -> Any:
        """The largest x, as Python's own number."""
        return self.x[-1].item()

    def besides(self) -> dict[str, NDArray[Any]]:
        """More columns of the table of its points: by name, (K,)."""
        return {}

    def intervals(self) -> list[Floats]:
        """The ends that there are: of the interval, then of the band."""
        return [] if not self.level else [self.low, self.high, *(self.band or ())]

    def take(self, at: NDArray[np.int64]) -> "Curve":
        """The points at these positions."""
        return self._each(lambda y: y[at], self.x[at])

    def times(self, factor: float) -> "Curve":
        """The same in another unit."""
        return self._each(lambda y: y * factor, self.x)

    def _each(self, change: Any, x: Points) -> "Curve":
        band = None if self.band is None else (change(self.band[0]), change(self.band[1]))
        return Curve(x, change(self.values), change(self.low), change(self.high), self.level, band)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers for JSON."""
        found = {self.OVER: self.x, "values": self.values, "low": self.low, "high": self.high, "level": self.level}
        if self.band is not None:
            found |= dict(zip(("band_low", "band_high"), self.band, strict=True))
        common = {field.name for field in fields(Curve)}
        more = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in common}
        return {name: plain(value) for name, value in {**found, **more}.items()}


def plain(value: Any) -> Any:
    """Arrays and tuples as lists, dataclasses as dictionaries of their fields: what JSON can hold."""
    if isinstance(value, Curve):
        return value.to_dict()
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value
