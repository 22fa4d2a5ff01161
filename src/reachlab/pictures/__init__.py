"""Pictures by reference: what a problem keeps of an image is a short text that anyone can turn into its pixels."""
