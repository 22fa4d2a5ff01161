"""The paper's experiment on one's own checkpoint, in one command."""
