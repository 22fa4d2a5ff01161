from dataclasses import replace

import pytest

from reachlab.reporting import answer_kinds as kinds
from reachlab.reporting.excerpts import SampleExcerpt
from reachlab.reporting.texts import Excerpt

ONE = SampleExcerpt(
    sample=0, status="wrong", text=Excerpt.of("", 1), tokens=0, finish="stop", reason="", steps=None, final=None
)


@pytest.mark.parametrize(
    ("final", "reason", "kind"),
    [
        ("40", "40, not 140", "another answer than the right one"),
        ("139/100", "139/100, not \\frac{1}{2}", "another answer than the right one"),
        (None, "uses 12 twice", "uses … twice"),
        ("4", "'4' is not a number of 3 digits", "… is not a number of … digits"),
        (None, "no\n  answer", "no answer"),
        (None, "", ""),
    ],
)
def test_reasons_of_a_kind_are_one(final: str | None, reason: str, kind: str) -> None:
    assert kinds.reason_kind(replace(ONE, final=final, reason=reason)) == kind


def test_rare_reasons_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "MOST", 1)
    said = [replace(ONE, reason=reason) for reason in ("late", "late", "odd", "")]
    found = kinds.answer_kinds([[said], [[replace(ONE, finish="length", label=True)]]])
    assert found["reasons"] == ["late", kinds.OTHER]
    assert found["kinds"] == [[1, "stop", 0, 0], [1, "stop", 1, 0], [1, "stop", -1, 0], [1, "length", -1, 1]]
    assert found["held"] == [[[0, 0, 1, 2]], [[3]]]
