"""Commands as words: of a configuration, and of a run that was made before, to make it again"""
