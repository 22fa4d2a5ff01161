"""`reachlab.study`: a whole study, from nothing or from a checkpoint of your own, to a report."""

import contextlib
import sys
from pathlib import Path
from typing import Any

from reachlab.library.border import remark
from reachlab.library.functions import bordered
from reachlab.library.keywords import build
from reachlab.studies import STUDIES


@bordered
def study(name: str, **options: Any) -> Path:
    """Run a whole study to a report; the same call again does only what is missing.

    Its stages are processes of their own, as of the command, so that a notebook's own process is left alone.

    Parameters
    ----------
    name : str
        As ``reachlab study --help`` lists them: "own", "demo", "algorithms", "rollouts", "kl" ...
    **options
        Of the study, as ``reachlab study NAME --help`` has them, with underscores.

    Returns
    -------
    Path
        The report that was written.

    Raises
    ------
    ReachlabError
        And ValueError: no such study, or an option that cannot be.

    Examples
    --------
    >>> import reachlab as rl
    >>> rl.study("own", model="runs/base", task="countdown", hours=0.3, out="runs/own")  # doctest: +SKIP
    """
    chosen = STUDIES[name]
    config = build(chosen.config, options, function=f"study {name!r}", command="study")
    with contextlib.redirect_stdout(sys.stderr):  # what a study tells a person is not what a program prints
        return Path(chosen.run(config, remark))
