import json
from dataclasses import replace

import numpy as np
import pytest

from reachlab.boundary.compare import compare
from reachlab.boundary.comparison import Findings
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.passk import pass_at_k
from reachlab.boundary.recipe import Recipe
from reachlab.boundary.stopping import Stopping
from reachlab.errors import ReachlabError


def outcomes(name: str, chances: list[float], n: int = 64, seed: int = 0) -> Outcomes:
    c_P = np.random.default_rng(seed).binomial(n, chances)
    ids = tuple(f"p{i}" for i in range(len(chances)))
    return Outcomes(name, ids, np.full(len(c_P), n), c_P, np.zeros(len(c_P), np.int64))


BASE = outcomes("base", [0.02] * 80 + [0.3] * 40)
SHARP = outcomes("sharp", [0.0] * 80 + [0.9] * 40, seed=1)
WIDE = outcomes("wide", [0.5] * 120, seed=2)


@pytest.fixture(scope="module")
def three() -> Findings:
    return compare([SHARP, BASE, WIDE], base=1, resamples=500)


def test_curves_are_means_of_pass_at_k(three: Findings) -> None:
    assert three.ks.tolist() == list(range(1, 65))
    assert [m.name for m in three.models] == ["sharp", "base", "wide"]
    for model, given in zip(three.models, (SHARP, BASE, WIDE), strict=True):
        expected_K = pass_at_k(given.n_P, given.c_P, three.ks).mean(axis=0)
        assert model.curve.values == pytest.approx(expected_K)
        assert (model.curve.low <= model.curve.values + 1e-6).all()
        assert (model.curve.values - 1e-6 <= model.curve.high).all()
        assert sum(model.histogram.counts) == 120


def test_pairs_are_held_against_the_base(three: Findings) -> None:
    sharp, wide = three.pairs
    assert (three.base, sharp.name, wide.name) == ("base", "sharp", "wide")
    assert sharp.difference.values == pytest.approx(three.models[0].curve.values - three.models[1].curve.values)
    assert sharp.verdict.label == "narrower"
    assert sharp.crossing.k is not None
    assert 1 < sharp.crossing.k < 64
    assert sharp.coverage.gained == ()
    assert set(sharp.coverage.lost) == {f"p{i}" for i in range(80) if BASE.c_P[i]}
    assert wide.verdict.sentence.startswith("wider at every k")
    assert wide.crossing.k is None


def test_pairing_narrows_the_interval() -> None:
    chances = np.random.default_rng(3).random(200).tolist()
    a, b = outcomes("a", chances, seed=4), outcomes("b", chances, seed=5)
    found = compare([a, b], ks=[1], resamples=500)
    difference, curve = found.pairs[0].difference, found.models[0].curve
    assert difference.high[0] - difference.low[0] < (curve.high[0] - curve.low[0]) / 2


def test_a_model_against_itself_gains_no_word() -> None:
    twin = Outcomes("twin", BASE.problem_ids, BASE.n_P, BASE.c_P, BASE.unscored_P)
    pair = compare([BASE, twin], resamples=200).pairs[0]
    assert pair.verdict.label == "undecided"
    assert pair.crossing.k == 1
    assert not pair.difference.differing.any()
    # None of 120 problems differs: of others up to 3 % may.
    assert pair.difference.high == pytest.approx(np.full(64, 0.0303), abs=1e-4)
    assert pair.difference.low == pytest.approx(-pair.difference.high)


def test_only_shared_and_scored_problems_count() -> None:
    a = Outcomes("a", ("x", "y", "z", "only a"), [8, 0, 6, 8], [1, 0, 6, 8], [0, 8, 2, 0])  # type: ignore[arg-type]
    b = Outcomes("b", ("z", "y", "x"), [7, 8, 8], [0, 2, 3], [1, 0, 0])  # type: ignore[arg-type]
    found = compare([a, b], resamples=50)
    assert found.problem_ids == ("x", "z")
    assert found.ks.max() == 6
    assert found.pairs[0].coverage.both == ("x",)
    assert found.pairs[0].coverage.lost == ("z",)
    first, second = found.models
    assert (first.not_shared, first.not_scored, first.unscored, first.mean_n) == (1, 1, 2, 7.0)
    assert (second.not_shared, second.not_scored, second.unscored, second.mean_n) == (0, 0, 1, 7.5)


def test_json(three: Findings) -> None:
    found = json.loads(json.dumps(three.to_dict(), allow_nan=False))
    assert found["ks"] == three.ks.tolist()
    assert found["models"][1]["solved"] == list(three.models[1].solved)
    assert found["pairs"][0]["difference"]["p"] == three.pairs[0].difference.p.tolist()
    assert found["pairs"][0]["coverage"]["surely_lost"] == list(three.pairs[0].coverage.surely_lost or ())
    assert found["over"] == "problems"
    assert found["models"][1]["curve"]["low"] == three.models[1].curve.low.tolist()
    assert found["pairs"][1]["crossing"] == {"k": None, "low": None, "high": None}
    assert found["pairs"][0]["coverage"]["lost"] == list(three.pairs[0].coverage.lost)
    assert found["pairs"][0]["verdict"]["label"] == "narrower"


def test_the_gap_is_the_bases_reach_less_a_single_answer(three: Findings) -> None:
    sharp, _ = three.pairs
    base, other = three.models[1].curve.values, three.models[0].curve.values
    assert sharp.gap.k == 64
    assert sharp.gap.value == pytest.approx(base[-1] - other[0])
    assert sharp.gap.low < sharp.gap.value < sharp.gap.high
    at_8 = compare([BASE, SHARP], resamples=100, gap_k=8).pairs[0].gap
    assert at_8.k == 8
    assert at_8.value == pytest.approx(base[7] - other[0])
    assert compare([BASE, SHARP], ks=[4, 16], gap_k=10, resamples=100).pairs[0].gap.k == 10


def test_resampling_samples_tells_how_far_the_same_problems_would_move() -> None:
    """Problems of one kind: all there is between two runs is what was drawn, and a closed form says how much."""
    one = outcomes("one", [0.3] * 200, n=16)
    curve = compare([one], ks=[1, 4], resamples=4000, over="samples").models[0].curve
    width = 2 * 1.96 * (0.3 * 0.7 / (200 * 16)) ** 0.5
    assert curve.high[0] - curve.low[0] == pytest.approx(width, rel=0.15)
    both, problems = (
        compare([one], ks=[1], resamples=4000, over=over).models[0].curve for over in ("both", "problems")
    )
    # Of these problems' spread all is noise: "problems" has it once, "both" twice.
    assert problems.high[0] - problems.low[0] == pytest.approx(width, rel=0.2)
    assert both.high[0] - both.low[0] == pytest.approx(2**0.5 * width, rel=0.2)


def test_one_skewed_problem_does_not_skew_the_interval_of_samples() -> None:
    """All noise is one problem's, a coin thrown 64 times: as often below as above, though problems differ wildly."""
    one = outcomes("one", [0.5] + [0.0] * 59, n=64)
    curve = compare([one], ks=[1], resamples=4000, over="samples").models[0].curve
    below, above = curve.values[0] - curve.low[0], curve.high[0] - curve.values[0]
    # A share near 0 is taken for normal in log-odds, which makes its upper side a little longer.
    assert below < above < 1.4 * below


@pytest.mark.parametrize(("problems", "level"), [(1, 0.95), (2, 0.99), (3, 0.999)])
def test_hardly_any_problems(problems: int, level: float) -> None:
    few = [outcomes(name, [0.3, 0.6, 0.9][:problems], seed=i) for i, name in enumerate("ab")]
    found = compare(few, resamples=2000, level=level)
    assert found.pairs[0].verdict.label == "undecided"
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_was_not_sampled_by_one_rule_gets_no_word() -> None:
    ids = tuple(map(str, range(40)))
    stopped = Stopping(enough=1, before_P=np.zeros(40, np.int64))
    adaptive = Outcomes("adaptive", ids, np.full(40, 8), np.full(40, 8), np.zeros(40, np.int64), stopped)
    uniform = Outcomes("uniform", ids, np.full(40, 8), np.zeros(40, np.int64), np.zeros(40, np.int64))
    mixed = compare([uniform, adaptive], resamples=200).pairs[0]
    assert mixed.verdict.label == "undecided"
    assert (mixed.difference.p == 1).all()
    alike = replace(adaptive, name="other", c_P=np.ones(40, np.int64))
    assert compare([alike, adaptive], resamples=200).pairs[0].verdict.label == "sharper"


def test_samples_drawn_again_leave_the_estimate_inside_at_every_k() -> None:
    rare = outcomes("rare", [0.01] * 100 + [0.6] * 20, n=64)
    pair = compare([BASE, rare], resamples=400, over="both").pairs[0]
    assert (pair.difference.low <= pair.difference.values).all()
    assert (pair.difference.values <= pair.difference.high).all()


@pytest.mark.slow
@pytest.mark.parametrize(("problems", "n", "other_n"), [(20, 16, 16), (100, 16, 16), (20, 16, 256)])
def test_equal_models_are_seldom_called_different(problems: int, n: int, other_n: int) -> None:
    """In at most 5 of 100 comparisons, whichever word it is: k = 1, the largest k and all between are looked at.

    However often each was asked: rarely solved problems are skewed, and more so with fewer samples.
    """
    rng = np.random.default_rng(problems)
    simulations, called = 300, 0
    for seed in range(simulations):
        chances = (rng.beta(0.3, 3, size=problems) if n == other_n else np.full(problems, 0.006)).tolist()
        a, b = (outcomes(name, chances, m, 2 * seed + i) for i, (name, m) in enumerate((("a", n), ("b", other_n))))
        called += compare([a, b], resamples=400, seed=seed).pairs[0].verdict.label != "undecided"
    assert called / simulations <= 0.05 + 3 * (0.05 * 0.95 / simulations) ** 0.5


def test_adaptive_samples_compare_and_their_histogram_is_not_of_c_over_n() -> None:
    """Both problems stopped at the second look, after 4 wrong and then 1 or 4 right of 4: c/n would say 1/8 and 1/2."""
    ids = ("a", "b", "c")
    stopping = Stopping(enough=1, before_P=np.array([4, 4, -1]))
    n_P, c_P = np.array([8, 8, 16]), np.array([1, 4, 0])
    found = compare(
        [
            Outcomes("base", ids, np.full(3, 16), np.array([2, 8, 1]), np.zeros(3, np.int64)),
            Outcomes("adaptive", ids, n_P, c_P, np.zeros(3, np.int64), stopping),
        ],
        resamples=100,
    )
    assert found.ks[-1] == 16
    assert found.models[1].curve.values[[0, 3, 15]] == pytest.approx([0, 0, 2 / 3])
    assert found.models[1].histogram.counts[:2] == (1, 2)
    assert found.models[1].solved == ("a", "b")
    assert found.pairs[0].coverage.surely_lost is None


def test_seed_decides() -> None:
    first, again, other = (compare([BASE, WIDE], ks=[1, 4], resamples=50, seed=s).to_dict() for s in (1, 1, 2))
    assert first == again
    assert first["models"][0]["curve"] != other["models"][0]["curve"]


def test_grid() -> None:
    assert compare([BASE, WIDE], ks=[8, 2], resamples=50).ks.tolist() == [1, 2, 8]
    many = compare([outcomes("a", [0.001] * 3, n=5000), outcomes("b", [0.01] * 3, n=4100)], resamples=50).ks
    assert many[:1024].tolist() == list(range(1, 1025))
    assert many[-1] == 4100
    assert 128 <= len(many) - 1024 <= 132


def test_refuses() -> None:
    with pytest.raises(ReachlabError, match=r"k = 65 is outside 1 to 64: base has 64 scored samples of problem 'p0'"):
        compare([BASE, WIDE], ks=[65])
    with pytest.raises(ReachlabError, match="the same name"):
        compare([BASE, BASE])
    with pytest.raises(ReachlabError, match=r"10 resamples say nothing at level 0\.95; ask for 40 or more"):
        compare([BASE, WIDE], resamples=10)
    with pytest.raises(ReachlabError, match="no model at position 2 of 2"):
        compare([BASE, WIDE], base=2)
    with pytest.raises(ReachlabError, match="no model at position 0 of 0"):
        compare([])
    stranger = Outcomes("stranger", ("q",), np.array([4]), np.array([1]), np.array([0]))
    with pytest.raises(ReachlabError, match="no problem has a scored sample of each of: base, stranger"):
        compare([BASE, stranger])


def seeds(name: str, chances: list[float], shifts: list[float], n: int = 32) -> Recipe:
    """Runs whose chances are all moved, and each run's samples."""
    runs = [outcomes(f"{name}{i}", [min(p + x, 1) for p in chances], n, seed=i) for i, x in enumerate(shifts)]
    return Recipe(name, tuple(runs))


def test_a_recipes_curve_is_the_mean_over_its_runs_and_wider_than_one_runs() -> None:
    base = outcomes("base", [0.2] * 60, 32, seed=9)
    apart = seeds("apart", [0.2] * 60, [0.0, 0.1, 0.2])
    found = compare([base, apart], resamples=500)
    expected_K = np.mean([run.pass_at_k(found.ks).mean(axis=0) for run in apart.runs], axis=0)
    assert found.models[1].curve.values == pytest.approx(expected_K)
    assert found.models[1].runs == ("apart0", "apart1", "apart2")
    # Surely ahead as three models, and not sure of the recipe: t of three seeds is 4.3.
    one = compare([base, apart.runs[1]], resamples=500).pairs[0]
    several = found.pairs[0]
    assert (one.verdict.label, several.verdict.label) == ("sharper", "undecided")
    assert several.difference.low[0] < 0 < one.difference.low[0]
    alike = compare([base, seeds("alike", [0.2] * 60, [0.1, 0.1, 0.1])], resamples=500).pairs[0]
    assert alike.verdict.label == "sharper"


def test_a_recipes_problems_have_no_exact_test() -> None:
    base, recipe = outcomes("base", [0.2] * 30, 32, seed=9), seeds("r", [0.2] * 30, [0.0, 0.1])
    found = compare([base, recipe], resamples=200)
    sets = found.pairs[0].coverage
    assert (sets.surely_gained, sets.chance) == (None, None)
    assert sets.thinned
    assert found.models[1].mean_n == 64


def test_all_pairs_are_compared_and_held_to_one_standard() -> None:
    rng = np.random.default_rng(0)
    models = [outcomes(name, rng.beta(1, 3, 40).tolist(), 16, seed=i) for i, name in enumerate("abcd")]
    found = compare(models, base=1, resamples=400, pairs="all")
    assert [(p.name, p.base) for p in found.pairs] == [("a", "b"), ("c", "b"), ("d", "b")]
    assert [(p.name, p.base) for p in found.others] == [("c", "a"), ("d", "a"), ("d", "c")]
    alone = compare(models[:2], base=1, resamples=400).pairs[0].difference
    together = found.pairs[0].difference
    assert together.values == pytest.approx(alone.values)
    assert (together.band[0] < alone.band[0]).all()
    assert (together.p >= alone.p).all()
    assert together.low == pytest.approx(alone.low, abs=1e-6)


def test_clusters_that_move_together_say_less() -> None:
    """Of ten templates of 12 problems the model solves six more often, as a whole: 60 problems are six facts."""
    labels = {f"p{i}": str(i // 12) for i in range(120)}
    base = outcomes("base", [0.3] * 120)
    model = outcomes("model", [0.5 if i // 12 < 6 else 0.22 for i in range(120)], seed=1)
    plain, grouped = (compare([base, model], resamples=500, clusters=c).pairs[0] for c in (None, labels))
    assert (plain.verdict.label, grouped.verdict.label) == ("sharper", "undecided")
    assert compare([base, model], resamples=100, clusters=labels).clusters == 10
    each = compare([base, model], resamples=500, clusters={f"p{i}": str(i) for i in range(120)}).pairs[0]
    assert each.difference.low == pytest.approx(plain.difference.low, abs=2e-3)


def test_none_of_ten_is_not_nothing() -> None:
    few = Outcomes("few", tuple("abcdefghij"), np.ones(10, int), np.zeros(10, int), np.zeros(10, int))
    found = compare([few], resamples=100).models[0]
    assert (found.curve.low[0], found.curve.high[0]) == (0, pytest.approx(0.3085, abs=1e-4))
    assert found.posterior is not None
    assert 0.1 < found.posterior.high[0] < 0.31
    certain = replace(few, c_P=np.ones(10, int))
    assert compare([certain], resamples=100).models[0].curve.low[0] == pytest.approx(1 - 0.3085, abs=1e-4)


def test_what_is_compared_is_refused_in_one_line() -> None:
    with pytest.raises(ReachlabError, match="problem 'p7' is in no cluster"):
        compare([BASE, WIDE], resamples=50, clusters={f"p{i}": "c" for i in range(7)})
    with pytest.raises(ReachlabError, match="all problems are in one cluster"):
        compare([BASE, WIDE], resamples=50, clusters={f"p{i}": "c" for i in range(120)})
    with pytest.raises(ReachlabError, match="same_within=3 must be between 0 and 1"):
        compare([BASE, WIDE], resamples=50, same_within=3)
    for level in (0, 1, 2, -1):
        with pytest.raises(ReachlabError, match="level"):
            compare([BASE], resamples=50, level=level)
    with pytest.raises(ReachlabError, match="over='sample' must be one of problems, samples, both"):
        compare([BASE, WIDE], resamples=50, over="sample")
    with pytest.raises(ReachlabError, match="pairs='every' must be one of base, all"):
        compare([BASE, WIDE], resamples=50, pairs="every")
    with pytest.raises(ReachlabError, match="clusters are of problems, and over samples these stay as they are"):
        compare([BASE, WIDE], resamples=50, over="samples", clusters={f"p{i}": str(i % 9) for i in range(120)})


def test_over_samples_words_are_about_samples_and_not_about_problems() -> None:
    """Five problems, each surely solved less often: of these that is certain, of others five flips say little."""
    base, model = (outcomes(name, [p] * 5, 400, seed=i) for i, (name, p) in enumerate((("base", 0.5), ("model", 0.3))))
    problems, samples = (
        compare([base, model], ks=[1, 4], resamples=500, over=over) for over in ("problems", "samples")
    )
    assert problems.pairs[0].verdict.label == "undecided"
    assert samples.pairs[0].verdict.label == "narrower"


def test_mcnemars_test_takes_no_clusters() -> None:
    one, two = outcomes("one", [0.2] * 40, 1), outcomes("two", [0.5] * 40, 1, seed=1)
    assert compare([one, two], resamples=100).pairs[0].coverage.mid_p is not None
    grouped = compare([one, two], resamples=100, clusters={f"p{i}": str(i % 8) for i in range(40)})
    assert grouped.pairs[0].coverage.mid_p is None


def test_what_ends_the_curve_is_known() -> None:
    short = replace(BASE, n_P=np.where(np.arange(120) == 7, 5, 64), c_P=np.minimum(BASE.c_P, 5))
    found = compare([short, WIDE], resamples=50)
    assert found.ks[-1] == 5
    assert (found.models[0].least_n, found.models[0].least, found.models[0].short) == (5, "p7", 1)
    assert found.models[1].short == 0
