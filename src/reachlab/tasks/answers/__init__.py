"""What a text answers, and whether two answers are the same. `grading.py` puts the rest together."""
