"""One file a claim: a function that returns a full configuration, and runs it to a verdict."""
