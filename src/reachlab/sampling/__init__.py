"""Engines that answer, and the store that remembers."""
