"""The moving average against the formula, slot by slot."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from reachlab.moe.average import Average

E, D = 4, 3
CPU = torch.device("cpu")


def slots(seed: int, S: int, among: int = E) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(S, D, generator=g), torch.randint(0, among, (S,), generator=g), torch.rand(S, generator=g)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 9), min_size=1, max_size=4), st.floats(0, 0.99))
@settings(max_examples=40)
def test_steps_of_several_passes(seed: int, sizes: list[int], beta: float) -> None:
    average, expected_ED, age = Average(E, D, beta, CPU), torch.zeros(E, D, dtype=torch.float64), [0] * E
    for step in range(3):
        passes = [slots(seed + 10 * step + n, S) for n, S in enumerate(sizes)]
        for outputs_SD, experts_S, weights_S in passes:
            average.add(outputs_SD, experts_S, weights_S)
        average.commit()
        for i in range(E):
            own = [(o.double(), float(w)) for p in passes for o, e, w in zip(*p, strict=True) if e == i]
            total = sum(w for _, w in own)
            age[i] = 0 if total else age[i] + 1
            if total:
                mean_D = torch.stack([w * o for o, w in own]).sum(0) / total
                expected_ED[i] = beta * expected_ED[i] + (1 - beta) * mean_D
    torch.testing.assert_close(average.vectors_ED.double(), expected_ED, rtol=1e-4, atol=1e-5)
    assert average.age_E.tolist() == age


def test_a_commit_without_slots_keeps_the_vectors() -> None:
    average = Average(E, D, 0.5, CPU)
    average.add(*slots(0, 9))
    average.commit()
    before_ED = average.vectors_ED.clone()
    average.commit()
    assert torch.equal(average.vectors_ED, before_ED)


def test_slots_without_weight_say_nothing() -> None:
    average = Average(E, D, 0.0, CPU)
    average.add(torch.ones(2, D), torch.tensor([1, 2]), torch.tensor([0.0, 1.0]))
    average.commit()
    assert average.vectors_ED.any(1).tolist() == [False, False, True, False]


def test_a_process_adds_its_own_experts_where_they_belong() -> None:
    """Experts 2 and 3 live here as 0 and 1; 2 stands for those that live elsewhere."""
    here, whole = Average(E, D, 0.5, CPU), Average(E, D, 0.5, CPU)
    outputs_SD, experts_S, weights_S = slots(1, 12)
    whole.add(outputs_SD, experts_S, weights_S)
    here.add(outputs_SD, (experts_S - 2).where(experts_S >= 2, 2), weights_S, first=2, here=2)
    for average in (here, whole):
        average.commit()
    torch.testing.assert_close(here.vectors_ED[2:], whole.vectors_ED[2:])
    assert not here.vectors_ED[:2].any()


def test_what_is_not_finite_is_left_out_and_remembered() -> None:
    average = Average(E, D, 0.5, CPU)
    outputs_SD, experts_S, weights_S = torch.ones(4, D), torch.arange(4), torch.ones(4)
    outputs_SD[0, 1], weights_S[3] = torch.inf, torch.nan
    average.add(outputs_SD, experts_S, weights_S)
    assert average.poisoned
    average.commit()
    assert average.vectors_ED.tolist() == [[0.0] * D, [0.5] * D, [0.5] * D, [0.0] * D]


def test_it_is_float32_whatever_it_hears() -> None:
    average = Average(E, D, 0.5, CPU)
    outputs_SD, experts_S, weights_S = slots(2, 64)
    average.add(outputs_SD.bfloat16(), experts_S, weights_S.bfloat16())
    average.commit()
    exact = Average(E, D, 0.5, CPU)
    exact.add(outputs_SD.bfloat16().float(), experts_S, weights_S.bfloat16().float())
    exact.commit()
    assert average.vectors_ED.dtype == torch.float32
    torch.testing.assert_close(average.vectors_ED, exact.vectors_ED)
