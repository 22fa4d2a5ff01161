import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from reachlab.boundary.curve import Curve
from reachlab.boundary.passk import pass_at_k
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.studies.curves import Curves, label, measure_curves, powers, print_curves, spread
from reachlab.types import Problem, Sample, Verdict


def samples(folder: Path, right: Sequence[Sequence[bool]]) -> RunFolder:
    """A run of samples with these verdicts."""
    run = RunFolder(folder)
    run.claim("sample", {"task": "countdown"}, {})
    store = SampleStore(run)
    store.write_problems([Problem(id=f"p{p}", prompt=f"{p}=", answer=p) for p in range(len(right))])
    store.write_part([
        Sample(
            problem_id=f"p{p}", index=i, text="x", tokens=1, finish="stop", logprob=None, seed=i, engine="transformers",
            verdict=Verdict.correct() if is_right else Verdict.wrong(),
        )
        for p, row in enumerate(right) for i, is_right in enumerate(row)
    ])  # fmt: skip
    return run


def test_the_curves_of_runs_at_powers_of_two_and_the_largest_k(tmp_path: Path) -> None:
    rng = Random(0)
    right = [[[rng.random() < rate for _ in range(11)] for rate in (0.1, 0.5, 0.9)] for _ in range(2)]
    folders = [samples(tmp_path / name, verdicts) for name, verdicts in zip("ab", right, strict=True)]
    found = measure_curves(folders, ["base", "step 5"], tmp_path, "A title")
    assert found.ks == [1, 2, 4, 8, 11]
    assert found.problems == 3
    for values, verdicts in zip(found.passes, right, strict=True):
        expected = pass_at_k(np.full(3, 11), np.array([sum(row) for row in verdicts]), found.ks).mean(0)
        assert [value for value, _, _ in values] == pytest.approx(expected.tolist())
        assert all(low <= value <= high for value, low, high in values)
    page = (tmp_path / "report.html").read_text()
    assert "A title" in page
    assert "step 5" in page


def test_models_are_called_by_their_runs() -> None:
    paths = ["runs/base", "runs/rl/model", "runs/rl/checkpoints/step-000050", "runs/sft/"]
    assert list(label(paths).values()) == ["base", "rl", "rl-step-50", "sft"]
    assert list(label(["a/rl", "/b/rl"]).values()) == ["a-rl", "b-rl"]


def test_powers() -> None:
    assert powers(1) == [1]
    assert powers(1024) == [1 << i for i in range(11)]
    assert powers(1023) == [1 << i for i in range(10)]


@given(count=st.integers(2, 40), room=st.integers(2, 50))
def test_what_has_room_is_spread_from_end_to_end(count: int, room: int) -> None:
    found = spread(count, room)
    assert len(found) == min(count, room)
    assert (found[0], found[-1]) == (0, count - 1)
    steps = [b - a for a, b in pairwise(found)]
    assert min(steps) >= 1
    assert max(steps) - min(steps) <= 1


CURVES = Curves(
    problems=200,
    of=tuple(
        Curve(2 ** np.arange(11), np.full(11, value), np.full(11, low), np.full(11, high), 0.95)
        for value, low, high in ((0.5, 0.4, 0.6), (1.0, 0.95, 1.0))
    ),
)


def printed(console: Console) -> list[str]:
    print_curves(
        CURVES, ["model", "entropy"], [["base T=0.6", "0.4"], ["rl [1]", "0.412\n0.400–0.425"]], "x.json", console
    )
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 300])
def test_the_table_is_as_wide_as_the_terminal(width: int) -> None:
    lines = printed(Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None))
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "…" not in text
    shown = text.count("pass@")
    assert shown == 11 if width == 300 else 2 <= shown < 11
    assert text.count("95.0–100.0") == shown
    assert ("more values of k in x.json" in text) == (shown < 11)
    for piece in ("pass@1 ", "pass@1024", "rl [1]", "0.400–0.425", "percent of 200 problems"):
        assert piece in text


def test_a_file_has_every_k(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = printed(Console(file=io.StringIO()))
    text = " ".join(lines)
    assert text.count("pass@") == 11
    assert text.count("95.0–100.0") == 11
