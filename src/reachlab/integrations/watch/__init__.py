"""pass@k of a model while another tool's trainer trains it: a callback for Hugging Face's `Trainer` and for TRL."""

from reachlab.integrations.watch.callback import PassAtKCallback as PassAtKCallback
