"""The page people look at, and the same summary for the terminal."""
