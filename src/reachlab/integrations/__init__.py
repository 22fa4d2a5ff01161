"""Ours in other people's tools: a tool a file or folder, thin; the mathematics stays in `rl/`, `moe/` and `boundary/`.

Each says which versions of its tool it has been tested with; another one is an error, not a wrong gradient.
"""
