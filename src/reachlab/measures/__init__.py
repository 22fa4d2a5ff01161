"""What stored samples say beyond pass@k."""
