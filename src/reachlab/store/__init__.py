"""The store: a run's problems and samples, whatever drew them."""
