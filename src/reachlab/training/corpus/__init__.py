"""Text to pretrain on: where it comes from, what is held out, its tokens on disk, windows of them."""
