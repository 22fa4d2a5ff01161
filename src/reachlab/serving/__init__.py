"""The page of a comparison from a server: every sample of the runs, and runs that go on meanwhile."""
