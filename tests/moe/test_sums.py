"""Weighted sums against a loop over the slots."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.moe.sums import weighted_sums


@given(st.integers(0, 10**6), st.integers(0, 40), st.integers(1, 6), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_sums_are_those_of_a_loop(seed: int, S: int, E: int, in_order: bool, half: bool) -> None:
    g = torch.Generator().manual_seed(seed)
    outputs_SD = torch.randn(S, 5, generator=g).to(torch.bfloat16 if half else torch.float32)
    experts_S, weights_S = torch.randint(0, E + 2, (S,), generator=g).clamp(max=E), torch.rand(S, generator=g)
    if in_order:
        experts_S = experts_S.sort().values
    sums_ED, totals_E = weighted_sums(outputs_SD, experts_S, weights_S, E)
    expected_ED, expected_E = torch.zeros(E, 5, dtype=torch.float64), torch.zeros(E, dtype=torch.float64)
    for o, i, w in zip(outputs_SD.double(), experts_S.tolist(), weights_S.double(), strict=True):
        if i < E:  # E: it lives elsewhere
            expected_ED[i] += w * o
            expected_E[i] += w
    assert sums_ED.dtype == totals_E.dtype == torch.float32
    torch.testing.assert_close(sums_ED.double(), expected_ED, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(totals_E.double(), expected_E, rtol=1e-5, atol=1e-5)


def test_an_answer_that_is_not_finite_shows_in_its_experts_sum() -> None:
    """Run by run, in the others' it does not; as one product of matrices it may, and all are left out."""
    for experts_S, others in ((torch.tensor([0, 1, 1, 2]), True), (torch.tensor([2, 1, 0, 1]), False)):
        outputs_SD = torch.ones(4, 3)
        outputs_SD[1] = torch.nan
        sums_ED, totals_E = weighted_sums(outputs_SD, experts_S, torch.ones(4), 3)
        assert sums_ED.isfinite().all(1).tolist() == [others, False, others]
        assert totals_E.tolist() == [1.0, 2.0, 1.0]


def test_sums_of_integers_are_exact_and_the_same_in_any_order() -> None:
    g = torch.Generator().manual_seed(0)
    outputs_SD = torch.randint(-9, 9, (50, 4), generator=g).float()
    experts_S, weights_S = torch.randint(0, 3, (50,), generator=g), torch.randint(0, 4, (50,), generator=g).float()
    order_S = experts_S.argsort()
    for one, other in zip(
        weighted_sums(outputs_SD, experts_S, weights_S, 3),
        weighted_sums(outputs_SD[order_S], experts_S[order_S], weights_S[order_S], 3),
        strict=True,
    ):
        assert torch.equal(one, other)
