"""PPO's critic: V(s_t), the reward still to be expected when token t is about to be drawn.

A copy of the policy's own body with a linear head that begins as zero. Source: PPO (arXiv 1707.06347); a critic of the
policy's size that begins from its weights is the custom for language models (arXiv 2203.02155).
"""

from copy import deepcopy

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from reachlab.models.pack import Pack
from reachlab.models.packing import Packer
from reachlab.moe import densified


class Critic(nn.Module):
    """`body`: the policy's backbone, copied; `head`: from its hidden state to one value."""

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.body: nn.Module = deepcopy(model.base_model).requires_grad_(True)
        if (routers := densified(self.body)) is not None:
            routers.narrow(self.body)  # its routers go their own way, by the policy's method
        width = model.config.get_text_config().hidden_size
        self.head = nn.Linear(width, 1, device=model.device, dtype=torch.float32)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, packer: Packer, pack: Pack) -> Tensor:
        """The value of the state in which each answer token was drawn: (B, T), zero off the mask."""
        return packer.values(self.body, self.head, pack)
