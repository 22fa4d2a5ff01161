"""Build, load and save causal language models and tokenizers, all in transformers' own format."""
