"""What holds models against each other: read runs or tables, compare them, gather all that is said of them"""
