"""What a comparison promises, simulated in small; `situations.py` has the whole table of docs/boundary.md."""

import pytest
from tests.boundary.situations import SITUATIONS, Situation, simulate

SIMULATIONS = 80


@pytest.mark.slow
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_what_is_promised_is_kept(situation: Situation) -> None:
    """No further outside the promise than so many simulations can be by chance."""
    for question, share in simulate(situation, SIMULATIONS).items():
        low, high = situation.promised[question]
        slack_low, slack_high = (3.5 * (x * (1 - x) / SIMULATIONS) ** 0.5 for x in (low, high))
        assert low - slack_low <= share <= high + slack_high, question
