"""`reachlab.register`: a choice of one's own under a name, from one's own code, without touching the package.

    @rl.register.task("reverse", about="write a string backwards")
    class Reverse(GeneratedTask): ...

What is registered stands in the same list as ours (`choices.py`), so every command and function knows the name. An
installed package names its choices as entry points instead, ``reachlab.tasks`` and so on (`LISTS`), with the name on
the left and ``module:object`` on the right; nobody has to import it. docs/extend.md has an example of each.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from reachlab.choices import Choices, caller, imported
from reachlab.origins import Added, Maker, first_line
from reachlab.plugins import note_registering

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

LISTS = {
    "task": "reachlab.tasks.registry:FAMILIES",
    "reward": "reachlab.tasks.rewards:REWARDS",
    "rule": "reachlab.rl.rules:RULES",
    "algorithm": "reachlab.rl.algorithms:ALGORITHMS",
    "budget": "reachlab.rl.budgets:BUDGETS",
    "method": "reachlab.moe.methods:METHODS",
    "estimator": "reachlab.moe.estimators:ESTIMATORS",
    "engine": "reachlab.engines:ENGINES",
    "measure": "reachlab.measures:MEASURES",
    "study": "reachlab.studies:STUDIES",
    "log_format": "reachlab.imports.formats:FORMATS",
    "export": "reachlab.exports:WRITERS",
}
"""Each kind of choice, and where its list is. Entry points are in the group ``reachlab.KINDs`` (`reachlab.tasks`,
`reachlab.studies`)."""


def list_of(kind: str) -> Choices[Any]:
    """The list of a kind of choice."""
    found: Choices[Any] = imported(LISTS[kind])
    return found


class Register:
    """Adds choices of one's own, each by a decorator; what is decorated stays as it is.

    A name that is taken, by Reachlab or by somebody else, is refused. The same code under the same name takes the place
    of what it was, so that a cell of a notebook can be run again.
    """

    def task(self, name: str, *, about: str = "") -> Callable[[type[T]], type[T]]:
        """A task: a class derived from `reachlab.tasks.base.GeneratedTask` or `FiniteTask`, whose settings are those of
        its constructor. ``check_task(Reverse())`` of `reachlab.checks.task` tests it.

        Args:
            name: as in ``--task name,setting=value``.
            about: a line for `reachlab tasks`; default the first of the class's docstring.
        """
        return self._adder("task", name, about)

    def reward(
        self,
        name: str,
        *,
        about: str = "",
        range: tuple[float, float] | None = None,
        full_credit: float | None = None,
    ) -> Callable[[F], F]:
        """A reward: a function of a problem and an answer's text that returns a number, NaN where there is none.
        ``check_reward("name")`` of `reachlab.checks.reward` tests it.

        Args:
            name: as in ``--reward name``.
            about: what it rewards.
            range: the lowest and the highest that there can be; ``--budget waves`` needs to know.
            full_credit: what a right answer earns (`--full-credit`); None: nobody knows, and no difference is slight.
        """

        def decorate(function: F) -> F:
            reward = imported("reachlab.tasks.rewards:Reward")(
                name=name, function=function, range=range, full_credit=full_credit
            )
            self._add("reward", name, about or first_line(function), reward, function, caller(1))
            return function

        return decorate

    def rule(self, name: str, *, about: str = "") -> Callable[[T], T]:
        """A down-sampling rule: a function ``(rewards_PN, m, generator) -> indices_PM``, or a `Rule` that says more
        (`reachlab.rl.rules.rule`). ``check_rule(RULES["name"])`` of `reachlab.checks.rule` tests it."""
        return self._adder("rule", name, about)

    def algorithm(self, name: str, *, about: str = "") -> Callable[[T], T]:
        """An algorithm: ``register.algorithm("name")(Algorithm(...))`` of `reachlab.rl.algorithm`, a row of choices.
        `check_algorithm` of `reachlab.checks.algorithm` tests it."""
        return self._adder("algorithm", name, about)

    def budget(self, name: str, *, about: str = "") -> Callable[[type[T]], type[T]]:
        """A rollout budget: a class derived from `reachlab.rl.budgets.budget.Budget` whose `name` is the same.
        `check_budget` of `reachlab.checks.budget` tests it."""
        return self._adder("budget", name, about)

    def method(self, name: str, *, about: str = "") -> Callable[[type[T]], type[T]]:
        """A router's method: a dataclass derived from `reachlab.moe.method.Method`, with its options as fields.
        `check_method` of `reachlab.checks.method` tests it."""
        return self._adder("method", name, about)

    def estimator(self, name: str, *, about: str = "") -> Callable[[type[T]], type[T]]:
        """An estimator of default vectors: a class derived from `reachlab.moe.estimators.estimator.Estimator`.
        `check_estimator` of `reachlab.checks.estimator` tests it."""
        return self._adder("estimator", name, about)

    def engine(self, name: str, *, about: str = "", **says: Any) -> Callable[[F], F]:
        """An engine: a function that opens one, from an `EngineChoice` to an `Engine` (`reachlab.engines.engine`).
        `check_engine` of `reachlab.checks.engine` tests one that is open.

        Args:
            name: as in ``--engine name``.
            about: what it is.
            says: further fields of `EngineKind` (`reachlab.engines.kind`), e.g. ``served=True``.
        """

        def decorate(function: F) -> F:
            kind = imported("reachlab.engines.kind:EngineKind")(name=name, place=function, **says)
            self._add("engine", name, about or first_line(function), kind, function, caller(1))
            return function

        return decorate

    def measure(self, name: str, *, about: str = "", **says: Any) -> Callable[[T], T]:
        """A measure: a function from a `MeasuredRun` to a `Curve`, a `Table`, a `Result` or `Missing`, with the fields
        of `Measure` (`reachlab.measures.measure`); or, without them, a `Measure` itself. `check_measure` of
        `reachlab.checks.measure` tests it.

        Args:
            name: its key in --json.
            about: not needed: its caption says what it is.
            says: `title`, `caption`, `source`, and what else a `Measure` has.
        """

        def decorate(found: T) -> T:
            made = imported("reachlab.measures.measure:Measure")(name=name, compute=found, **says) if says else found
            self._add("measure", name, about, made, found, caller(1))
            return found

        return decorate

    def study(self, name: str, *, takes: type[Any], says: str = "the report is {}") -> Callable[[F], F]:
        """A study: a function of a configuration, and of one that hears remarks, that returns the path of what it
        wrote.

        Args:
            name: as in ``reachlab study name``.
            takes: its configuration: a frozen dataclass with a docstring a field; its own is what `--help` shows.
            says: what the command prints in the end.
        """

        def decorate(function: F) -> F:
            study = imported("reachlab.studies.study:Study")(name=name, place=function, takes=takes, says=says)
            self._add("study", name, first_line(takes), study, function, caller(1))
            return function

        return decorate

    def log_format(self, name: str, *, about: str = "") -> Callable[[type[T]], type[T]]:
        """A format of logs for `reachlab import`: a class derived from `reachlab.imports.formats.base.Format` whose
        `name` is the same. `check_log_format` of `reachlab.checks.log_format` tests it."""
        return self._adder("log_format", name, about)

    def export(self, name: str, *, about: str = "") -> Callable[[F], F]:
        """A format for `reachlab export`: a function ``write(rows, config, advance)`` that returns the files that it
        wrote (`reachlab.exports`)."""
        return self._adder("export", name, about)

    def _adder(self, kind: str, name: str, about: str) -> Callable[[T], T]:
        def decorate(found: T) -> T:
            self._add(kind, name, about or first_line(found), found, found, caller(1))
            return found

        return decorate

    def _add(self, kind: str, name: str, about: str, found: Any, decorated: Any, module: str) -> None:
        """Put an object into its list.

        Raises:
            ReachlabError: the name is taken.
        """
        place = f"{module}:{getattr(decorated, '__qualname__', name)}"
        note_registering(module)
        origin = Maker(module=module, found=found)
        list_of(kind).add(Added(name=name, place=place, origin=origin, load=lambda: found, about=about))


register = Register()
