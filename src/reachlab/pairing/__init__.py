"""Which problems of two runs ask the same, and what else differs between the runs."""
