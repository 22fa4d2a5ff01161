from copy import deepcopy

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import PreTrainedModel

from reachlab.models.weight_hash import hash_weights


def test_a_model_is_itself_wherever_its_weights_lie(qwen3: PreTrainedModel) -> None:
    copy = deepcopy(qwen3).train()
    assert hash_weights(copy) == hash_weights(qwen3)
    strided = nn.Linear(3, 2, bias=False)
    strided.weight = nn.Parameter(torch.arange(6.0).reshape(3, 2).t())
    whole = nn.Linear(3, 2, bias=False)
    whole.weight = nn.Parameter(strided.weight.detach().contiguous())
    assert hash_weights(strided) == hash_weights(whole)


@given(at=st.integers(0, 5), bit=st.integers(0, 31))
def test_every_bit_counts(at: int, bit: int) -> None:
    layer = nn.Linear(3, 2)
    before = hash_weights(layer)
    layer.weight.data.view(-1).view(torch.int32)[at] ^= 1 << bit if bit < 31 else -(1 << 31)
    assert hash_weights(layer) != before


def test_so_do_names_shapes_types_and_buffers() -> None:
    zeros = torch.zeros(4)
    found = []
    for name, value in (("a", zeros), ("b", zeros), ("a", zeros.reshape(2, 2)), ("a", zeros.int()), ("a", zeros[:0])):
        module = nn.Module()
        module.register_buffer(name, value)
        found.append(hash_weights(module))
    assert len(set(found)) == 5
