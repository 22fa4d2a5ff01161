"""Choices of one's own, by decorator and by entry point."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import reachlab as rl
from reachlab.choices import Choices, one_of
from reachlab.engines import ENGINES
from reachlab.errors import ReachlabError
from reachlab.exports import WRITERS
from reachlab.measures import MEASURES
from reachlab.measures.measure import Missing
from reachlab.measures.results import computed
from reachlab.origins import PluginWarning
from reachlab.registering import LISTS, list_of
from reachlab.rl.algorithms import ALGORITHMS
from reachlab.rl.algorithms.grpo import GRPO
from reachlab.rl.budgets import BUDGETS
from reachlab.rl.budgets.all_at_once import AllAtOnce
from reachlab.rl.rules import RULES
from reachlab.rl.rules.none import NONE
from reachlab.sampling.config import SampleConfig
from reachlab.studies import STUDIES
from reachlab.tasks.chain import Chain
from reachlab.tasks.listing import list_tasks
from reachlab.tasks.registry import FAMILIES, load_task, maker_of
from reachlab.tasks.rewards import REWARDS

pytestmark = pytest.mark.usefixtures("nothing_registered")


class Mine(Chain):
    """A task of one's own. With a second sentence."""


class Whole(AllAtOnce):
    name = "whole"


def function(*of: Any) -> Any:
    """A function of one's own."""
    return of


def package(
    folder: Path, name: str, entries: dict[str, dict[str, str]], module: str = "", version: str = "1.0"
) -> None:
    """An installed package: a module and its dist-info."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    points = (
        f"[{group}]\n" + "".join(f"{left} = {right}\n" for left, right in those.items())
        for group, those in entries.items()
    )
    (info / "entry_points.txt").write_text("\n".join(points))
    (folder / f"{name.replace('-', '_')}.py").write_text(module)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def test_every_list_has_a_decorator_and_a_group() -> None:
    for kind in LISTS:
        assert callable(getattr(rl.register, kind))
        assert list_of(kind).kind == kind
    groups = [list_of(kind).group for kind in LISTS]
    assert {"reachlab.tasks", "reachlab.studies", "reachlab.log_formats"} < set(groups)
    assert len(set(groups)) == len(LISTS)


def test_what_is_registered_is_in_its_list() -> None:
    assert rl.register.task("mine")(Mine) is Mine
    assert (FAMILIES["mine"], FAMILIES.about("mine")) == (Mine, "A task of one's own. With a second sentence")
    assert load_task("mine,length=3").problems("test", 1)
    assert next(row for row in list_tasks() if row["task"] == "mine")["settings"].startswith("length=4")
    rl.register.rule("first")(function)
    assert (RULES["first"].name, RULES["first"].keep) == ("first", function)
    rl.register.rule("same")(NONE)
    assert (RULES["same"].name, RULES["same"].keeps_all) == ("same", True)
    rl.register.algorithm("mine")(GRPO)
    assert (ALGORITHMS["mine"].name, ALGORITHMS["mine"].advantage) == ("mine", GRPO.advantage)
    rl.register.budget("whole")(Whole)
    assert BUDGETS["whole"] is Whole
    rl.register.engine("mine", served=True)(function)
    assert ENGINES["mine"].served
    opened: Any = ENGINES["mine"].open
    assert opened(1) == (1,)
    rl.register.measure("mine", title="Mine", caption="What it is.", source="ours")(function)
    assert (MEASURES["mine"].name, MEASURES["mine"].compute) == ("mine", function)
    rl.register.export("mine")(function)
    assert WRITERS["mine"] is function
    rl.register.reward("mine", range=(0.0, 2.0))(function)
    assert (REWARDS["mine"].range, REWARDS.about("mine")) == ((0.0, 2.0), "A function of one's own")
    rl.register.study("mine", takes=SampleConfig)(function)
    assert (STUDIES["mine"].config, STUDIES["mine"].says) == (SampleConfig, "the report is {}")
    assert "mine" in [*FAMILIES]
    assert "mine" not in [*LISTS]


def test_a_measure_of_ones_own_that_says_nothing_is_missing_with_the_reason() -> None:
    rl.register.measure("three", title="Three", caption="A number.", source="ours")(lambda run: 3)
    measure: Any = MEASURES["three"]
    found = computed(measure, measure.compute, None)
    assert isinstance(found, Missing)
    assert found.why.startswith("three of ")
    assert found.why.endswith("raises TypeError: it gives a int; a Curve, a Table, a Result or Missing is wanted")


@pytest.mark.parametrize(
    ("kind", "found", "says"),
    [
        ("task", int, "task 'bad' is the class int; a class derived from reachlab.tasks.base.Task is wanted"),
        ("rule", 3, "rule 'bad' is neither a Rule nor a function"),
        ("algorithm", function, "algorithm 'bad' is a function; a reachlab.rl.algorithm.Algorithm is wanted"),
        ("budget", Whole, "budget 'bad': its class says name = 'whole'; let it say 'bad'"),
        ("method", int, "method 'bad' is the class int"),
        ("estimator", 1, "estimator 'bad' is a int"),
        ("measure", function, "measure 'bad' is a function; a Measure or JointMeasure"),
        ("log_format", int, "log format 'bad' is the class int"),
        ("export", 3, "'bad' is a int; a function is wanted"),
    ],
)
def test_what_is_none_of_its_kind_is_refused_when_it_is_asked_for(kind: str, found: Any, says: str) -> None:
    getattr(rl.register, kind)("bad")(found)
    with pytest.raises(ReachlabError, match=says):
        list_of(kind)["bad"]


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ReachlabError, match=r"rule 'random' is Reachlab's own; .*test_registering.py needs another"):
        rl.register.rule("random")(function)
    for name in ("math500", "chain"):  # a benchmark, too
        with pytest.raises(ReachlabError, match=f"task '{name}' is Reachlab's own"):
            rl.register.task(name)(Mine)
    with pytest.raises(ReachlabError, match="reward 'random' is Reachlab's own"):
        rl.register.reward("random")(function)
    rl.register.task("mine")(Mine)
    rl.register.task("mine")(Mine)  # a cell that is run again
    with pytest.raises(ReachlabError, match=r"task 'mine' is registered twice: by .*_registering.py and by .*"):
        rl.register.task("mine")(Chain)
    for bad in ("", "a b", "a=b", "a:b"):
        with pytest.raises(ReachlabError, match="a name is a word without spaces"):
            rl.register.task(bad)(Mine)


def test_a_package_names_its_choices(tmp_path: Path) -> None:
    module = "from reachlab.tasks.chain import Chain\nclass Theirs(Chain):\n    'Of a package.'\n"
    rules = {"theirs": "a_package:keep"}
    package(tmp_path, "a-package", {"reachlab.tasks": {"theirs": "a_package:Theirs"}, "reachlab.rules": rules}, module)
    assert "theirs" in FAMILIES
    assert "a_package" not in sys.modules  # nothing is imported for its name
    origin = maker_of("theirs,length=3")
    assert (str(origin), FAMILIES.origin("chain")) == ("package a-package 1.0", None)
    assert FAMILIES.about("theirs") == "Of a package"
    assert load_task("theirs").problems("test", 1)
    with pytest.raises(ReachlabError, match=r"^reachlab.rules 'theirs' of package a-package 1.0 cannot be imported"):
        RULES["theirs"]


def test_a_package_may_register_what_it_names(tmp_path: Path) -> None:
    function = "@rl.register.reward('ours', range=(0.0, 2.0), about='Two.')\ndef f(*of):\n    return 1.0\n"
    module = f"import reachlab as rl\n\n{function}"
    package(tmp_path, "with_both", {"reachlab.rewards": {"ours": "with_both:f"}}, module)
    assert (REWARDS["ours"].range, REWARDS.about("ours")) == ((0.0, 2.0), "Two.")
    assert str(REWARDS.origin("ours")) == "package with_both 1.0"
    del sys.modules["with_both"]


def test_a_package_may_name_again_what_its_modules_register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "apart", {"reachlab.rewards": {"ours": "apart:f"}})
    (tmp_path / "apart.py").unlink()
    (tmp_path / "apart").mkdir()
    (tmp_path / "apart" / "__init__.py").write_text("from apart.inside import f\n")
    text = "import reachlab as rl\n\n@rl.register.reward('ours', range=(0.0, 2.0))\ndef f(*of):\n    return 1.0\n"
    (tmp_path / "apart" / "inside.py").write_text(text)
    monkeypatch.setattr(sys, "path_importer_cache", {})
    for _ in range(2):  # before it is imported, and after
        assert REWARDS["ours"].range == (0.0, 2.0)
    assert str(REWARDS.origin("ours")) == "package apart 1.0"
    for name in ("apart", "apart.inside"):
        del sys.modules[name]


def test_packages_that_clash_or_break_leave_the_rest_as_it_is(tmp_path: Path) -> None:
    package(
        tmp_path, "one", {"reachlab.rules": {"theirs": "one:f", "random": "one:f", "broken": "one:f"}}, "import nix"
    )
    package(tmp_path, "two", {"reachlab.rules": {"theirs": "two:f"}}, "f = len")
    with pytest.warns(PluginWarning) as told:
        names = [name for name, _ in RULES.working()]
    assert [*names] == [*RULES.places]
    said = {str(warning.message) for warning in told}
    assert "rule 'random' is Reachlab's own; the one of package one 1.0 is left out" in said
    assert any("'broken' of package one 1.0 cannot be imported: ModuleNotFoundError" in line for line in said)
    assert any("claimed by package one 1.0 and by package two 1.0" in line for line in said)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ReachlabError, match=r"rule 'theirs' is claimed by package one 1.0 and by package two 1.0"):
            RULES["theirs"]
        rl.register.rule("broken")(function)
        with pytest.raises(ReachlabError, match=r"'broken' is claimed by .*_registering.py and by package one 1.0"):
            RULES["broken"]
        assert RULES["random"].name == "random"


def test_the_command_line_reads_no_entry_point_of_a_name_that_is_ours() -> None:
    program = (
        "import sys, reachlab.cli; from reachlab.choices import installed; from reachlab.rl.rules import RULES; "
        "RULES['random']; 'random' in RULES, RULES.origin('random'); reachlab.cli.help_for([]); "
        "print(installed.cache_info().misses, 'importlib.metadata' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.split()[0] == "0"


def test_the_type_of_a_name_takes_what_is_registered_later() -> None:
    import tyro

    words: Choices[str] = Choices("word", {"sep": "os:sep", "pathsep": "os:pathsep"})
    kind = one_of(words, "none", where=lambda found: found == "/")
    assert tyro.cli(kind, args=["sep"]) == "sep"
    assert tyro.cli(kind, args=["none"]) == "none"
    for bad in ("pathsep", "x"):
        with pytest.raises(SystemExit):
            tyro.cli(kind, args=[bad], console_outputs=False)
