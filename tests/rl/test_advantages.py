import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.rl.advantages import group_advantages, grpo

NAN = torch.nan


def test_by_hand() -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0], [2.0, 4.0, 6.0, 8.0]], dtype=torch.float64)
    root3, root5 = 3**0.5, 5**0.5
    expected = [[root3, -1 / root3, -1 / root3, -1 / root3], [-3 / root5, -1 / root5, 1 / root5, 3 / root5]]
    assert grpo(rewards, eps=0.0).tolist() == [pytest.approx(row) for row in expected]
    assert grpo(rewards, eps=1.0)[1, 3].item() == pytest.approx(3 / (root5 + 1))


@given(st.floats(-1e6, 1e6, width=32), st.integers(1, 9), st.integers(0, 3))
def test_agreement_gives_exactly_zero(reward: float, scored: int, unscored: int) -> None:
    rewards = torch.tensor([[reward] * scored + [NAN] * unscored])
    assert grpo(rewards).tolist() == [[0.0] * (scored + unscored)]


@given(st.lists(st.one_of(st.just(NAN), st.integers(-5, 5).map(float)), min_size=1, max_size=9))
def test_unscored_enter_no_statistic(row: list[float]) -> None:
    scored = [r for r in row if r == r]
    found = grpo(torch.tensor([row]))[0].tolist()
    expected = iter(grpo(torch.tensor([scored]))[0].tolist() if scored else [])
    for reward, advantage in zip(row, found, strict=True):
        assert advantage == (pytest.approx(next(expected), abs=1e-6) if reward == reward else 0.0)


def test_within_the_kept_or_over_all() -> None:
    rewards = torch.tensor([[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0]])
    kept = torch.tensor([[0, 3], [2, 3]])
    assert group_advantages(rewards, kept).tolist() == [pytest.approx([-1.0, 1.0], abs=1e-5), [0.0, 0.0]]
    over_all = group_advantages(rewards, kept, "all")
    assert torch.allclose(over_all, grpo(rewards).gather(1, kept))
    assert over_all[1, 0] > 0.5


def test_refuses_other_words() -> None:
    with pytest.raises(ReachlabError, match="choose 'kept' or 'all'"):
        group_advantages(torch.zeros(1, 2), torch.zeros(1, 1, dtype=torch.long), "batch")  # type: ignore[arg-type]
