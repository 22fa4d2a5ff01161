"""Policy optimisation as pure functions on tensors: which rollouts to keep, their advantages, the loss."""
