"""A hash of a model's weights where they are in memory and in no file: what tells a model in training from itself a
step later.

    blake2b( name, dtype, shape, blake2b(bytes)  for every entry of the state_dict, in the order of names )

128 bits. Every bit of every weight and of every buffer that a checkpoint would hold counts, and nothing else does.
"""

import hashlib

import torch
from torch import Tensor, nn

from reachlab.threads import side_by_side


@torch.no_grad()
def hash_weights(model: nn.Module) -> str:
    """The hash of the weights of the moment, as 32 hexadecimal digits; they are read, and copied from an accelerator
    one after the other.

    Args:
        model: with whole weights, on any device.
    """
    entries = sorted((name, value) for name, value in model.state_dict().items() if isinstance(value, Tensor))
    digest = hashlib.blake2b(digest_size=16)
    for (name, value), own in zip(entries, side_by_side(_hash, entries, torch.get_num_threads()), strict=True):
        digest.update(f"{name}\n{value.dtype}\n{tuple(value.shape)}\n".encode())
        digest.update(own)
    return digest.hexdigest()


def _hash(entry: tuple[str, Tensor]) -> bytes:
    flat = entry[1].detach().to("cpu").contiguous().reshape(-1).view(torch.uint8)
    return hashlib.blake2b(flat.numpy().data, digest_size=16).digest()
