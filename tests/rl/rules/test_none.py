import pytest
import torch

from reachlab.errors import ReachlabError
from reachlab.rl.rules.none import none


def test_none_keeps_all() -> None:
    assert none(torch.zeros(2, 3), 3).tolist() == [[0, 1, 2], [0, 1, 2]]
    with pytest.raises(ReachlabError, match="keeps all 3 rollouts, not 2"):
        none(torch.zeros(2, 3), 2)
