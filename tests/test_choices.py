import subprocess
import sys
from typing import get_args, get_type_hints

import pytest

from reachlab.choices import Choices, OneOf
from reachlab.engines import ENGINES
from reachlab.errors import ReachlabError
from reachlab.moe.estimators import ESTIMATORS
from reachlab.moe.methods import METHODS
from reachlab.rl.algorithms import ALGORITHMS
from reachlab.rl.budgets import BUDGETS
from reachlab.rl.rules import RULES
from reachlab.sampling.config import SampleConfig
from reachlab.studies import STUDIES
from reachlab.studies.config import DemoConfig
from reachlab.studies.own.config import OwnConfig
from reachlab.training.config import RoutingConfig
from reachlab.training.rl_config import BudgetConfig, ObjectiveConfig, SelectionConfig

WORDS: Choices[str] = Choices("word", {"sep": "os:sep", "pathsep": "os:pathsep"})


def test_an_object_is_imported_when_it_is_asked_for() -> None:
    assert dict(WORDS) == {"sep": "/", "pathsep": ":"}
    assert (len(WORDS), "sep" in WORDS, "x" in WORDS) == (2, True, False)
    assert WORDS.get("pathsep") == ":"
    missing: Choices[str] = Choices("word", {"x": "no_such_module:x"})
    assert [*missing] == ["x"]
    with pytest.raises(ModuleNotFoundError):
        missing["x"]


def test_an_unknown_name_is_one_line_with_the_choices() -> None:
    with pytest.raises(ReachlabError, match=r"^there is no word 'x'; choose one of sep, pathsep$"):
        WORDS["x"]


def test_an_object_is_tried_out_under_a_name_of_its_own() -> None:
    with WORDS.trying("new") as name:
        assert name in WORDS
        assert WORDS[name] == "new"
        assert name not in [*WORDS]
    assert name not in WORDS


@pytest.mark.parametrize(
    ("config", "field", "names"),
    [
        (SelectionConfig, "rule", [*RULES]),
        (ObjectiveConfig, "algorithm", [*ALGORITHMS]),
        (BudgetConfig, "budget", [*BUDGETS]),
        (RoutingConfig, "routing", [*METHODS]),
        (RoutingConfig, "estimator", [*ESTIMATORS]),
        (DemoConfig, "routing", ["dense", *METHODS]),
        (SampleConfig, "engine", [*ENGINES]),
        (OwnConfig, "engine", ["transformers", "vllm"]),
    ],
)
def test_the_command_line_takes_what_the_list_has(config: type, field: str, names: list[str]) -> None:
    notes = get_args(get_type_hints(config, include_extras=True)[field])
    (listed,) = (note for note in notes if isinstance(note, OneOf))
    assert [*listed.names()] == names


def test_the_lists_and_every_studys_configuration_are_light() -> None:
    """Nothing heavy is imported before a command runs."""
    program = (
        "import sys, reachlab.cli; from reachlab.studies import STUDIES; [s.config for s in STUDIES.values()]; "
        "print([m for m in ('torch', 'transformers', 'numpy', 'plotly', 'pyarrow') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.strip() == "[]"


def test_every_study_has_a_claim_and_something_that_runs_it() -> None:
    configs = [study.config for study in STUDIES.values()]
    assert [study.name for study in STUDIES.values()] == [*STUDIES]
    assert len(set(configs)) == len(STUDIES)
    assert all(config.__doc__ and config.__module__.startswith("reachlab.studies") for config in configs)
