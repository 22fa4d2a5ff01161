"""Rewards of one's own: a function of a problem and an answer, by name (``--reward brevity``) or by place
(``my_rewards:brevity``, ``my_rewards.py:brevity``). There is none of ours beside the task's own score and a coin.

A reward is a number; partial credit is any number between. NaN says that an answer has none: it is unscored, as where
the function raises, and teaches nothing.
"""

import hashlib
import inspect
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from reachlab.choices import Choices
from reachlab.errors import ReachlabError
from reachlab.origins import Maker
from reachlab.plugins import is_file, load_plugin, loaded_from
from reachlab.types import Problem

RewardFunction = Callable[[Problem, str], float]
RANDOM = "random"
"""The reward that is a coin."""


@dataclass(frozen=True, kw_only=True)
class Reward:
    """A reward by its name. `checks.check_reward` holds one to what is promised here."""

    name: str
    function: RewardFunction
    """Called with a problem and an answer's text, and always the same for the same."""
    range: tuple[float, float] | None = None
    """The lowest and the highest that there can be; None where nobody says."""
    full_credit: float | None = None
    """What a right answer earns; None where nobody says."""

    def __post_init__(self) -> None:
        if self.range is not None and not -math.inf < self.range[0] < self.range[1] < math.inf:
            raise ReachlabError(f"reward {self.name!r}: range={self.range} must be two numbers, low and high")
        if self.full_credit is not None and not 0 <= self.full_credit < math.inf:
            raise ReachlabError(f"reward {self.name!r}: full_credit={self.full_credit} must be 0 or more")

    def __reduce__(self) -> Any:
        if ":" in self.name:  # another process imports it as this one did
            return load_reward, (self.name,)
        return _again, (self.name, self.function, self.range, self.full_credit)

    def __call__(self, problem: Problem, text: str) -> float:
        """The reward of an answer; NaN where it has none.

        Raises:
            ValueError: no number, or none of its range.
            Exception: whatever the function raises.
        """
        found: Any = self.function(problem, text)
        if found is None or isinstance(found, str | bytes):
            raise ValueError(f"it returned {found!r:.40}, which is no number")
        reward = float(found)
        if self.range is not None and not (math.isnan(reward) or self.range[0] <= reward <= self.range[1]):
            raise ValueError(f"it returned {reward:g}, and its range is {self.range[0]:g} to {self.range[1]:g}")
        return reward


def adopted(name: str, found: Any) -> Reward:
    """A reward as others give it, under the name that they give it: a `Reward`, or the function.

    Raises:
        ReachlabError: it is neither.
    """
    if isinstance(found, Reward):
        return replace(found, name=name)
    if not callable(found):
        raise ReachlabError(f"reward {name!r} is a {type(found).__name__}; a function is wanted")
    return Reward(name=name, function=found)


REWARDS: Choices[Reward] = Choices("reward", {}, adopt="reachlab.tasks.rewards:adopted", reserved=(RANDOM,))


def load_reward(name: str) -> Reward:
    """The reward of a name; or the function that ``module:function`` or ``FILE.py:function`` names; modules in the
    current folder are found too.

    Raises:
        ReachlabError: no such reward, module or function, or an error while importing it.
    """
    module, _, function = name.rpartition(":")
    if not module and name in REWARDS:
        return REWARDS[name]
    if not module or not function:
        known = ", ".join([RANDOM, *REWARDS])
        raise ReachlabError(f"reward {name!r} must be MODULE:FUNCTION, FILE.py:FUNCTION or the name of one: {known}")
    if is_file(module):
        found = loaded_from(name)
    else:
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            found = getattr(import_module(module), function)
        except (Exception, SystemExit) as error:  # importing it runs the user's code
            raise ReachlabError(f"reward {name!r} cannot be imported: {type(error).__name__}: {error}") from error
    return adopted(name, found)


def hash_reward(name: str) -> str:
    """A hash of the source file that the function of ``MODULE:FUNCTION`` lies in; of what is no function (a `Reward`,
    an object that can be called), also of the module's.

    Raises:
        ReachlabError: there is no source.
    """
    function = load_reward(name).function
    module, _, named = name.rpartition(":")
    found = getattr(sys.modules[module], named)
    if inspect.isbuiltin(found):
        return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    files = [] if inspect.isfunction(found) else [getattr(sys.modules[module], "__file__", None)]
    if inspect.isroutine(function):
        files.append(inspect.getsourcefile(function))
    read = [Path(file).read_bytes() for file in files if file is not None and Path(file).is_file()]
    if len(read) < len(files):
        raise ReachlabError(f"reward {name!r} has no source, so no run can say if it is the same; put it into a file")
    return hashlib.blake2b(b"".join(read), digest_size=16).hexdigest()


def _again(name: str, function: RewardFunction, range: tuple[float, float] | None, full_credit: float | None) -> Reward:
    return Reward(name=name, function=function, range=range, full_credit=full_credit)


def maker_of_reward(name: str) -> Maker | None:
    """Who made a reward; None of ours, and of ``MODULE:FUNCTION``, whose source a run keeps itself (`hash_reward`)."""
    place, _, _ = name.rpartition(":")
    if is_file(place):
        return Maker(module=load_plugin(place))
    return None if not name or name == RANDOM or place else REWARDS.origin(name)
