"""Policy optimisation as pure functions on tensors: which rollouts to draw and keep, their advantages, the loss."""
