import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.boundary.bootstrap import Interval, resampling_weights
from reachlab.boundary.perplexity import JudgedAnswers, Perplexity, PerplexityMatrix, perplexity
from reachlab.errors import ReachlabError

answers = st.lists(
    st.tuples(st.integers(0, 4), st.floats(-60, 0), st.integers(1, 30)), min_size=1, max_size=25
)  # problem, log-probability, tokens


def summarise(rows: list[tuple[int, float, int]], resamples: int = 50) -> Perplexity:
    ids = sorted({p for p, _, _ in rows})
    problem_N = np.array([ids.index(p) for p, _, _ in rows])
    weights_BP = resampling_weights(len(ids), resamples, seed=1)
    return perplexity(problem_N, np.array([x for _, x, _ in rows]), np.array([n for *_, n in rows]), weights_BP, 0.8)


@given(rows=answers)
def test_every_number_is_that_of_its_definition(rows: list[tuple[int, float, int]]) -> None:
    found = summarise(rows)
    each = sorted(math.exp(-x / n) for _, x, n in rows)
    assert (found.samples, found.tokens) == (len(rows), sum(n for *_, n in rows))
    assert found.problems == len({p for p, _, _ in rows})
    assert found.corpus == pytest.approx(math.exp(-sum(x for _, x, _ in rows) / found.tokens))
    assert found.mean == pytest.approx(math.prod(each) ** (1 / len(each)))
    # Quantiles of the log-perplexities, so that the answer in the middle is one of them where there is one.
    logs = [math.log(x) for x in each]
    assert found.median == pytest.approx(math.exp(float(np.median(logs))))
    assert found.lower_quartile == pytest.approx(math.exp(float(np.quantile(logs, 0.25))))
    assert found.upper_quartile == pytest.approx(math.exp(float(np.quantile(logs, 0.75))))


@settings(max_examples=30)
@given(rows=answers)
def test_the_interval_is_that_of_corpora_of_drawn_problems(rows: list[tuple[int, float, int]]) -> None:
    found = summarise(rows)
    ids = sorted({p for p, _, _ in rows})
    if len(ids) == 1:
        assert math.isnan(found.low)
        assert math.isnan(found.high)
        return
    logs = []
    for weights_P in resampling_weights(len(ids), 50, seed=1):
        drawn = [(x, n) for p, x, n in rows for _ in range(int(weights_P[ids.index(p)]))]
        logs.append(-sum(x for x, _ in drawn) / sum(n for _, n in drawn))
    # How far each problem moves the whole, by leaving it out: BCa's acceleration is made of that.
    log = math.log(found.corpus)
    tokens = [sum(n for p, _, n in rows if p == i) for i in ids]
    nats = [-sum(x for p, x, _ in rows if p == i) for i in ids]
    pulled = [log + (s - log * t) / (sum(tokens) / len(ids)) for s, t in zip(nats, tokens, strict=True)]
    wanted = Interval(np.array(pulled)[:, None], 50, 0.8)
    wanted.add(slice(0, 1), np.array([logs], np.float32))
    assert math.log(found.low) == pytest.approx(wanted.low_K[0], abs=1e-4)
    assert math.log(found.high) == pytest.approx(wanted.high_K[0], abs=1e-4)
    assert found.low <= math.exp(max(logs)) * 1.0001


def test_a_model_that_guesses_among_v_tokens_has_perplexity_v() -> None:
    rows = [(p, -n * math.log(29), n) for p, n in ((0, 3), (1, 5), (1, 1))]
    found = summarise(rows)
    for value in (found.median, found.mean, found.corpus, found.low, found.high):
        assert value == pytest.approx(29, rel=1e-5)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Problems differ in length and in surprise; the truth is that of all problems there could be."""
    rng = np.random.default_rng(0)
    P, N, runs = 100, 4, 600
    weights_BP = resampling_weights(P, 600, seed=2)
    problem_N = np.repeat(np.arange(P), N)
    # E Σ log P / E Σ T, with a surprise a token that is gamma(6, 1/15) a problem, and 1 + Poisson(8 r) tokens.
    rates = rng.gamma(6, 1 / 15, 1_000_000)
    truth = math.exp(float(((1 + 8 * rates) * rates).mean() / (1 + 8 * rates).mean()))
    held = 0
    for _ in range(runs):
        rate_P = rng.gamma(6, 1 / 15, P)
        tokens_N = 1 + rng.poisson(8 * rate_P[problem_N])
        logprob_N = -rng.gamma(tokens_N, rate_P[problem_N])
        found = perplexity(problem_N, logprob_N, tokens_N, weights_BP, 0.9)
        held += found.low <= truth <= found.high
    # Three standard errors of 600 runs either way.
    assert 0.86 <= held / runs <= 0.94


def test_an_impossible_answer_makes_a_corpus_impossible_and_not_every_resample() -> None:
    rows = [(p, -2.0, 2) for p in range(12)] + [(12, -math.inf, 3)]
    found = summarise(rows, resamples=200)
    assert (found.corpus, found.mean, found.high) == (math.inf, math.inf, math.inf)
    assert found.low == pytest.approx(math.e)
    assert found.median == pytest.approx(math.e)


@pytest.mark.parametrize(
    ("problem", "logprob", "tokens", "says"),
    [
        ([], [], [], "no answer"),
        ([0], [-1.0], [0], "without a token"),
        ([0, 1], [-1.0, math.nan], [1, 1], "not a number"),
        ([0, 0], [-1.0, -1.0], [1, 1], "1 problems, weights of 2"),
        ([1, 1], [-1.0, -1.0], [1, 1], "1 problems, weights of 2"),
    ],
)
def test_what_cannot_be_summarised(problem: list[int], logprob: list[float], tokens: list[int], says: str) -> None:
    arrays = np.array(problem, np.int64), np.array(logprob), np.array(tokens, np.int64)
    with pytest.raises(ReachlabError, match=says):
        perplexity(*arrays, resampling_weights(2, 10))


def test_a_matrix_is_plain_json_without_numbers_that_json_has_not() -> None:
    one = summarise([(0, -math.inf, 3)])
    cell = JudgedAnswers(own=True, samples=2, impossible=1, all=one, correct=None)
    matrix = PerplexityMatrix(
        judges=("base", "rl"), writers=("base-samples",), cells={("rl", "base-samples"): cell}, same_tokens=True,
        resamples=50, level=0.8, seed=1,
    )  # fmt: skip
    assert matrix.cell("base", "base-samples") is None
    assert matrix.cell("rl", "base-samples") is cell
    found = json.loads(json.dumps(matrix.to_dict(), allow_nan=False))
    assert (found["judges"], found["writers"]) == (["base", "rl"], ["base-samples"])
    [only] = found["cells"]
    assert (only["judge"], only["writer"], only["own"], only["correct"]) == ("rl", "base-samples", True, None)
    assert (only["all"]["corpus"], only["all"]["low"], only["all"]["tokens"]) == (None, None, 3)
