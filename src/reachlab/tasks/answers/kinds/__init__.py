"""What sort of answer a question asks for, a file each.

A kind says what of a clause is such an answer, so that "The answer is 42, since 6 boxes hold 7 each" states 42 where a
number is asked for.
"""
