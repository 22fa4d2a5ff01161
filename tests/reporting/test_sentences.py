from pathlib import Path
from types import SimpleNamespace

import numpy as np

from reachlab.reporting import sentences


def test_gained_and_lost_say_on_how_many_samples(tmp_path: Path, make: SimpleNamespace) -> None:
    rng = np.random.default_rng(0)
    runs = [make.samples(tmp_path / name, rng.random((6, n)) < 0.5) for name, n in (("a", 4), ("b", 4), ("c", 9))]
    comparison, _ = make.measure(runs)
    assert [sentences.equal_n(comparison, pair) for pair in comparison.pairs] == [
        "at n = 4 samples of both",
        "at n = 4 samples of both, of 9 and 4 drawn",
    ]
    runs[1] = make.samples(tmp_path / "d", rng.random((6, 4)) < 0.5, unscored=1)
    comparison, _ = make.measure(runs[:2])
    assert sentences.equal_n(comparison, comparison.pairs[0]) == "on as many samples of each problem of both"


def test_an_unsure_crossing_is_said(tmp_path: Path, make: SimpleNamespace) -> None:
    """The model is ahead at first and the base at last, on so few problems that nothing is sure."""
    base = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
    sharp = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
    comparison, _ = make.measure([make.samples(tmp_path / "a", base), make.samples(tmp_path / "b", sharp)])
    (pair,) = comparison.pairs
    assert pair.crossing.k == 2
    assert not sentences.crosses(pair)
    assert "with a question mark" in sentences.passk_caption(comparison)
