"""Reachlab measures what a training stage really added to a language model, and trains models that reach further."""

__version__ = "0.1.0"
