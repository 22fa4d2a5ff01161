"""The one error a user is meant to read, and what it is besides where the library is called from Python.

The rooms raise `ReachlabError`; at the library's border (`library/border.py`) it becomes one that a caller's
`except ValueError` or `except OSError` catches too.
"""


class ReachlabError(Exception):
    """Something the user can mend: one line that names what is wrong, where, and what to do.

    The command line prints it without a traceback and exits with code 2. Anything else that is raised is a defect of
    Reachlab and keeps its traceback.
    """


class InvalidArgumentError(ReachlabError, ValueError):
    """An argument that cannot be right."""


class UnknownKeywordError(InvalidArgumentError, TypeError):
    """A keyword that a function does not take, or one that it needs and did not get."""


class FileError(ReachlabError, OSError):
    """A file or a run that cannot be read or written."""


class NotFoundError(FileError, FileNotFoundError):
    """A file or a run that is not there."""


class ReachlabWarning(UserWarning):
    """What a caller should know beside a result; the command line prints it as a note."""
