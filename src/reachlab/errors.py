"""The one error a user is meant to read."""


class ReachlabError(Exception):
    """Something the user can mend: one line that names what is wrong, where, and what to do.

    The command line prints it without a traceback and exits with code 2. Anything else that is raised is a defect of
    Reachlab and keeps its traceback.
    """
