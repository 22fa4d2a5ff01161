"""The page's figures: which there are (`of_samples`, `of_measures`, `of_training`), and how they look (`plots`)."""
