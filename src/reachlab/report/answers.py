"""The page's section of final answers: how many ways each model's samples come down, and how the base's do."""

from collections.abc import Sequence

import numpy as np

from reachlab.report import figures
from reachlab.report.data import Data
from reachlab.report.entries import Entry
from reachlab.report.figures import Line
from reachlab.report.findings import Findings
from reachlab.report.gallery import Picture, Section
from reachlab.report.settings import Settings

COLUMNS = ("model", "k", "value", "low", "high")


def of_answers(entries: Sequence[Entry], findings: Findings) -> Section | None:
    """Answer-level entropy of every model that has final answers, and what it is less the base's."""
    found = [(e, x) for e, x in zip(entries, findings.evidence, strict=True) if x.answer_entropy is not None]
    if not found:
        return None
    lines, rows = [], list[tuple[str, tuple[str, ...]]]()
    for e, x in found:
        line = x.answer_entropy
        assert line is not None
        assert x.answers is not None
        lines.append(Line(name=e.name, style=e.style, x=np.array(line.ks), y=line.values, low=line.low, high=line.high))
        entropy = f"{line.values[-1]:.3f} ({line.low[-1]:.3f} to {line.high[-1]:.3f})"
        rows.append((e.name, (f"{line.ks[-1]:,}", entropy, f"{x.frequency_entropy:.3f}", f"{x.answers.silent:,}")))
    pictures = [
        _picture(
            "answer-entropy", "Answer entropy",
            "Of a problem's final answers, as far as k samples show it; the mean over problems, in nats.", lines,
        )
    ]  # fmt: skip
    moved = [
        Line(name=e.name, style=e.style, x=np.array(x.ks), y=x.values, low=x.low, high=x.high)
        for e, x in zip(entries, findings.entropy_differences, strict=True)
        if x is not None
    ]
    if moved:
        caption = "Paired on the same problems at the same k, with intervals; below zero the model says fewer things."
        pictures.append(_picture("answer-entropy-difference", "Answer entropy less the base's", caption, moved, "+"))
    head = ("samples of each", "answer entropy, nats", "of the frequencies", "samples without a final answer")
    return Section(
        id="answers", heading="Final answers", models=[e for e, _ in found], pictures=pictures,
        tables=[Settings("Answer entropy by model", head, tuple(rows))],
        lead="How many ways a model's samples of one problem come down: 0 where all say the same, at most "
        "1 + 1/2 + … + 1/(k − 1) where no two agree. A sample without a final answer counts as one more answer. The "
        "entropy of the frequencies is too low where samples are few; it is here to be read beside others' numbers.",
    )  # fmt: skip


def _picture(name: str, title: str, caption: str, lines: Sequence[Line], sign: str = "") -> Picture:
    figure = figures.over_k(lines, max(int(line.x[-1]) for line in lines), f"{title}, nats", f"{sign}.3f")
    if sign:
        figure.add_hline(y=0, line={"color": "var(--series-0)", "width": 1.5})
    rows = [
        (line.name, *point) for line in lines for point in zip(line.x.tolist(), line.y, *line.intervals(), strict=True)
    ]
    return Picture(id=name, title=title, label=title, caption=caption, size="mid", figure=figure,
                   data=Data(COLUMNS, rows))  # fmt: skip
