import numpy as np

from reachlab.boundary.compare import compare
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.recipe import Recipe
from reachlab.boundary.stopping import Stopping
from reachlab.reporting.footnotes import footnotes


def outcomes(name: str, n: int, c: list[int]) -> Outcomes:
    ids = tuple(f"p{i}" for i in range(len(c)))
    return Outcomes(name, ids, np.full(len(c), n), np.array(c), np.zeros(len(c), np.int64))


def test_models_sampled_alike_need_none() -> None:
    assert list(footnotes(compare([outcomes("a", 8, [1, 2]), outcomes("b", 8, [3, 2])], resamples=50))) == []


def test_unequal_numbers_of_samples_are_said() -> None:
    (line,) = footnotes(compare([outcomes("a", 32, [1, 2]), outcomes("b", 16, [3, 2])], resamples=50))
    assert line.startswith("b and a: gained and lost are counted on equally many samples of both (16 and 32 a")


def test_what_words_are_about_is_said_where_one_model_is_a_recipe() -> None:
    recipe = Recipe("rl", (outcomes("rl-0", 8, [1, 2]), outcomes("rl-1", 8, [3, 2])))
    base, rl, _ = footnotes(compare([outcomes("base", 8, [1, 2]), recipe], resamples=50))
    assert base.startswith("base is one run")
    assert rl.startswith("rl is a recipe: the mean over 2 runs (rl-0, rl-1)")


def test_one_sample_of_each_has_mcnemars_p_and_a_posterior() -> None:
    lines = list(footnotes(compare([outcomes("a", 1, [0] * 8), outcomes("b", 1, [1] * 6 + [0] * 2)], resamples=50)))
    assert lines[0] == "b and a: one sample of each, McNemar's mid-p is 0.0156"
    assert lines[1].startswith("a: answering these very problems over and over, it would be right ")
    assert len(lines) == 3


def test_what_cuts_the_curve_is_said() -> None:
    n_P = np.array([64, 64, 3, 64])
    short = Outcomes("short", tuple("abcd"), n_P, np.array([1, 2, 1, 0]), np.zeros(4, np.int64))
    (line,) = footnotes(compare([short], resamples=50))
    assert line.startswith("k ends at 3: short has no more scored samples of problem 'c'; 1 of its problems")


def test_what_clusters_do_not_reach_is_said() -> None:
    models = [outcomes("a", 8, [1, 2, 3]), outcomes("b", 8, [3, 2, 2])]
    (line,) = footnotes(compare(models, resamples=50, clusters={"p0": "x", "p1": "x", "p2": "y"}))
    assert "take every problem for itself" in line


def test_mcnemars_p_is_of_one_pair_and_not_of_clusters() -> None:
    models = [outcomes("a", 1, [0] * 8), outcomes("b", 1, [1] * 6 + [0] * 2), outcomes("c", 1, [0] * 8)]
    lines = list(footnotes(compare(models, resamples=50)))
    assert lines[0] == (
        "b and a: one sample of each, McNemar's mid-p is 0.0156 of these two alone, and the words are about all pairs"
    )
    found = compare(models[:2], resamples=50, clusters={f"p{i}": str(i // 2) for i in range(8)})
    assert found.pairs[0].coverage.mid_p is None
    assert found.pairs[0].difference.unit == "cluster"
    assert not any("McNemar" in line for line in footnotes(found))


def test_models_sampled_by_different_rules_are_named() -> None:
    ids = tuple(f"p{i}" for i in range(8))
    stopped = Stopping(enough=1, before_P=np.full(8, 0), horizon=8)
    adaptive = Outcomes("b", ids, np.full(8, 4), np.full(8, 3), np.zeros(8, np.int64), stopped)
    found = compare([outcomes("a", 8, [0] * 8), adaptive], resamples=50)
    assert not found.pairs[0].difference.tested
    assert "sampled by different rules, which no test can be exact for" in found.pairs[0].verdict.sentence
    line, *_ = footnotes(found)
    assert line.startswith("b and a: sampled by different rules, so gained and lost are counted on unequal numbers")
