"""From a question to the prompt that a model gets."""
