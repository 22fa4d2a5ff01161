import numpy as np
import pytest

from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.recipe import Recipe
from reachlab.boundary.stopping import Stopping
from reachlab.errors import ReachlabError


def run(name: str, ids: str, n_P: list[int], c_P: list[int]) -> Outcomes:
    return Outcomes(name, tuple(ids), np.array(n_P), np.array(c_P), np.ones(len(ids), np.int64))


def test_one_run_is_a_recipe_of_its_name() -> None:
    one = run("rl", "ab", [4, 4], [1, 2])
    found = Recipe.of(one)
    assert (found.name, found.runs) == ("rl", (one,))
    assert Recipe.of(found) is found
    assert found.pooled.c_P.tolist() == [1, 2]


def test_a_recipe_is_on_what_all_its_runs_share() -> None:
    found = Recipe("rl", (run("0", "abc", [4, 4, 4], [1, 2, 3]), run("1", "cb", [8, 2], [8, 1])))
    assert found.problem_ids == ("b", "c")
    kept = found.select(found.problem_ids)
    assert kept.largest_k == 2
    assert kept.scored.all()
    assert kept.tables([1]).shape == (2, 2, 1)
    assert kept.tables([1]).mean(axis=0)[:, 0] == pytest.approx([(2 / 4 + 1 / 2) / 2, (3 / 4 + 1) / 2])
    assert (kept.pooled.n_P.tolist(), kept.pooled.c_P.tolist()) == ([6, 12], [3, 11])
    assert kept.pooled.unscored_P.tolist() == [2, 2]


def test_a_problem_without_a_scored_sample_in_one_run_is_not_scored() -> None:
    found = Recipe("rl", (run("0", "ab", [4, 0], [1, 0]), run("1", "ab", [4, 4], [0, 1])))
    assert found.scored.tolist() == [True, False]


def test_refuses() -> None:
    with pytest.raises(ReachlabError, match="rl: a recipe needs a run"):
        Recipe("rl", ())
    stopped = Outcomes(
        "s", ("a",), np.array([4]), np.array([1]), np.array([0]), Stopping(enough=1, before_P=np.array([2]))
    )
    assert Recipe("rl", (stopped,)).pooled.stopping is not None
    with pytest.raises(ReachlabError, match="rl: s was sampled adaptively, and such runs cannot be pooled"):
        Recipe("rl", (run("0", "a", [4], [1]), stopped))
