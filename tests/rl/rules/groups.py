"""Groups of rewards that rules are tried on."""

import torch
from hypothesis import strategies as st
from torch import Tensor

binary = st.sampled_from([0.0, 1.0])
tied = st.sampled_from([-1.0, -0.0, 0.0, 0.25, 1.0])
continuous = st.floats(-1e4, 1e4, width=32)
offset = st.integers(0, 40).map(lambda i: 1000.0 + i / 16)


@st.composite
def groups(draw: st.DrawFn) -> tuple[Tensor, int]:
    n, prompts = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    reward = draw(st.sampled_from([binary, tied, continuous, offset]))
    rows = draw(st.lists(st.lists(reward, min_size=n, max_size=n), min_size=prompts, max_size=prompts))
    return torch.tensor(rows), draw(st.integers(1, n))


ends = st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.1, 0.7)])


@st.composite
def growing(draw: st.DrawFn) -> tuple[Tensor, Tensor, int, float, float]:
    """Rewards so far and more of them, all in [low, high] and often at its ends."""
    low, high = draw(ends)
    inside = st.one_of(st.just(low), st.just(high), st.floats(0.0, 1.0).map(lambda u: low + u * (high - low)))
    reward = draw(st.sampled_from([st.sampled_from([low, high]), inside, st.one_of(inside, st.just(torch.nan))]))
    first = draw(st.lists(reward, min_size=1, max_size=9))
    more = draw(st.lists(reward, max_size=6))
    m = draw(st.integers(1, len(first)))
    return torch.tensor([first]).clamp(low, high), torch.tensor([more]).clamp(low, high), m, low, high
