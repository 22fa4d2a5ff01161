from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reachlab.training.corpus.windows import window_batches, windows_in_order


def numbers(n: int) -> np.ndarray:
    """Tokens that are their own places."""
    return np.arange(n, dtype=np.uint16)


@given(
    n=st.integers(2, 200), length=st.integers(2, 20), batch=st.integers(1, 9), seed=st.integers(0, 3),
    epochs=st.integers(1, 3),
)  # fmt: skip
def test_every_window_comes_once_an_epoch(n: int, length: int, batch: int, seed: int, epochs: int) -> None:
    length = min(length, n)
    at = window_batches(numbers(n), batch, length, seed)
    windows = (n - 1) // (length - 1)
    steps = -(-epochs * windows // batch)
    rows = [tuple(row) for t in range(steps) for row in at(t).ids_BT.tolist()][: epochs * windows]
    wanted = {tuple(range(s, s + length)) for s in range(0, windows * (length - 1), length - 1)}
    for epoch in range(epochs):
        assert set(rows[epoch * windows : (epoch + 1) * windows]) == wanted
    # Each token but the first is predicted once an epoch; fewer than a window's at the end are left over.
    predicted = Counter(token for row in rows for token in row[1:])
    assert predicted == Counter(dict.fromkeys(range(1, windows * (length - 1) + 1), epochs))
    assert n - 1 - windows * (length - 1) < length - 1


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    at = window_batches(numbers(1000), 4, 11, seed=3)
    later = at(40)
    for step in (7, 0, 40):
        again = at(step)
    assert torch.equal(later.ids_BT, again.ids_BT)
    assert later.ids_BT.dtype == torch.int64
    assert later.attention_BT.all()
    assert later.learn_BT.all()
    orders = {
        tuple(
            row[0] for t in range(25) for row in window_batches(numbers(1000), 4, 11, seed)(t + first).ids_BT.tolist()
        )
        for seed in (3, 4)
        for first in (0, 25)
    }
    assert len(orders) == 4, "every seed and epoch has an order of its own"
    assert tuple(range(0, 990, 10)) not in orders


@given(n=st.integers(2, 100), length=st.integers(2, 20), batch=st.integers(1, 5), most=st.integers(0, 120))
def test_in_order_each_token_is_predicted_once(n: int, length: int, batch: int, most: int) -> None:
    ids = torch.from_numpy(numbers(n).astype(np.int64))
    predicted = []
    for piece in windows_in_order(numbers(n), batch, length, most):
        assert piece.ids_BT.shape[0] <= batch
        assert piece.ids_BT.shape[1] <= length
        for row, learn in zip(piece.ids_BT, piece.learn_BT, strict=True):
            predicted += row[1:][learn[1:]].tolist()
            assert torch.equal(row[learn], ids[row[0] : row[0] + int(learn.sum())]), "what came before is there"
    assert predicted == list(range(1, min(most or n, n - 1) + 1))


def test_the_end_of_the_tokens_is_not_left_out() -> None:
    *_, last = windows_in_order(numbers(10), 2, 5, 0)
    assert last.ids_BT[-1].tolist() == [8, 9]
    assert list(windows_in_order(numbers(1), 2, 5, 0)) == []


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_large_ids_survive(dtype: type[np.unsignedinteger]) -> None:
    top = np.iinfo(dtype).max
    assert window_batches(np.full(9, top, dtype), 1, 9, 0)(0).ids_BT.tolist() == [[top] * 9]
