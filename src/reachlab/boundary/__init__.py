"""What samples say of reach: pass@k, intervals, crossing, coverage, verdict. Numpy only, no files."""
