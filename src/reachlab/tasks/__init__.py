"""What is asked and how an answer is checked: a family a file."""
