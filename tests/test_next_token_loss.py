import pytest
import torch

from reachlab.next_token_loss import next_token_loss


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_it_is_the_sum_over_the_learned_tokens(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    logits_BTV = torch.randn(3, 5, 7, generator=generator).to(dtype)
    ids_BT = torch.randint(7, (3, 5), generator=generator)
    learn_BT = torch.rand(3, 5, generator=generator) < 0.6
    wide_BTV = logits_BTV.to(torch.promote_types(dtype, torch.float32)).log_softmax(-1)
    wanted = -sum(wide_BTV[b, t - 1, ids_BT[b, t]].item() for b in range(3) for t in range(1, 5) if learn_BT[b, t])
    loss = next_token_loss(logits_BTV, ids_BT, learn_BT)
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    assert loss.dtype == wide_BTV.dtype


def test_nothing_to_learn_costs_nothing() -> None:
    learn_BT = torch.tensor([[True, False, False]])
    assert next_token_loss(torch.randn(1, 3, 4), torch.tensor([[1, 2, 3]]), learn_BT).item() == 0
