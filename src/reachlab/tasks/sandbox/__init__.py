"""Other people's code, run where it can do no harm: `bubble.py` builds the walls, `referee.py` says what held."""
