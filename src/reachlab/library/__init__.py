"""The commands as Python functions with keyword arguments, and what they return: what `import reachlab` offers"""
