"""Samples that somebody else's tool drew and logged: read, judged or believed, and stored like any run."""
