import pytest

from reachlab.boundary.gap import sampling_efficiency_gap


@pytest.mark.parametrize(
    ("base_256", "trained_1", "gap"),
    [(67.2, 31.4, 35.8), (69.1, 28.1, 41.0), (96.2, 75.6, 20.6)],
    ids=["DAPO, Omni-MATH train", "RLOO, Omni-MATH test", "DAPO, MATH500"],
)
def test_the_papers_figure_8(base_256: float, trained_1: float, gap: float) -> None:
    assert sampling_efficiency_gap(base_256, trained_1) == pytest.approx(gap, abs=0.05)
