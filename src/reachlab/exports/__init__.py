"""A run of samples in files that others read: JSON lines, Parquet, the schema of Every Eval Ever."""
