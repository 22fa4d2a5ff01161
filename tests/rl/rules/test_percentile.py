import torch

from reachlab.rl.rules.percentile import percentile


def test_percentile_by_hand() -> None:
    rewards = torch.tensor([[7.0, 0.0, 6.0, 1.0, 5.0, 2.0, 4.0, 3.0]])
    assert rewards.gather(1, percentile(rewards, 4)).tolist() == [[1.0, 3.0, 5.0, 7.0]]
    assert rewards.gather(1, percentile(rewards, 1)).tolist() == [[4.0]]
    assert rewards.gather(1, percentile(rewards, 3)).tolist() == [[1.0, 4.0, 6.0]]
