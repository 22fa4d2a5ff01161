from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary.chance import Space, answer_spaces, luck_groups, luck_table, partners
from reachlab.boundary.passk import pass_at_k
from reachlab.errors import ReachlabError


def test_the_space_of_an_answer() -> None:
    golds = ["yes", "No.", "True", "7", "-12", "073", "073", "1.5", "B", "(c)", "\\frac{1}{2}", "", "4,000"]
    found = answer_spaces(golds)
    assert [s.size for s in found] == [2, 2, 2, 10, 100, 100, 100, None, 4, 4, None, None, None]
    assert [s.label for s in found[:5]] == ["yes or no"] * 3 + ["integer of 1 digit", "integer of 2 digits"]
    assert {s.size for s in answer_spaces(["A", "J"])} == {10}
    assert answer_spaces([]) == []


SPACES = [Space("x", "x1", 10), Space("x", "x2", 100), Space("y", "y", None)]


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(SPACES)), max_size=40), st.integers(0, 99))
def test_partners_are_of_the_space_and_have_another_gold_answer(problems: list[tuple[str, Space]], seed: int) -> None:
    golds, spaces = [g for g, _ in problems], [s for _, s in problems]
    found_P = partners(golds, spaces, np.random.default_rng(seed))
    for i, j in enumerate(found_P.tolist()):
        others = [o for o in range(len(problems)) if spaces[o] == spaces[i] and golds[o] != golds[i]]
        others = others or [
            o for o in range(len(problems)) if spaces[o].kind == spaces[i].kind and golds[o] != golds[i]
        ]
        assert (j == -1) == (not others)
        assert j == -1 or j in others
    for space in set(spaces):
        members = [i for i, s in enumerate(spaces) if s == space]
        counts = Counter(golds[i] for i in members)
        commonest, used = max(counts.values()), Counter(found_P[members].tolist())
        if 2 * commonest <= len(members):
            assert used == Counter(members)  # a permutation
        elif len(counts) > 1:
            assert max(used.values()) <= -(-commonest // (len(members) - commonest))


def test_partners_differ_from_seed_to_seed_and_reach_everybody() -> None:
    golds, spaces = list("aabbbcdefg"), SPACES[:1] * 10
    met = {(i, int(j)) for s in range(300) for i, j in enumerate(partners(golds, spaces, np.random.default_rng(s)))}
    assert met == {(i, j) for i in range(10) for j in range(10) if golds[i] != golds[j]}


def test_luck_is_pass_at_k_of_each_shuffle() -> None:
    n_SP, c_SP = np.array([[8, 8, 0], [8, 6, 0]]), np.array([[0, 4, 0], [2, 6, 0]])
    ks = [1, 4]
    table_SPK = luck_table(n_SP, c_SP, ks)
    assert table_SPK[0, :2] == pytest.approx(pass_at_k([8, 8], [0, 4], ks))
    assert table_SPK[1, :2] == pytest.approx(pass_at_k([8, 6], [2, 6], ks))
    assert np.isnan(table_SPK[:, 2]).all()
    assert np.isnan(luck_table(n_SP * 0, c_SP * 0, ks)).all()
    with pytest.raises(ReachlabError, match="k = 7 is more than the n = 6"):
        luck_table(n_SP, c_SP, [7])


def test_guessing_at_random_has_the_luck_of_its_space() -> None:
    rng = np.random.default_rng(0)
    spaces = [Space("integer", "integer of 1 digit", 10)] * 300 + [Space("yes/no", "yes or no", 2)] * 100
    partner_SP = np.stack([np.concatenate([rng.permutation(300), 300 + rng.permutation(100)]) for _ in range(3)])
    n_SP = np.full((3, 400), 256)
    c_SP = rng.binomial(256, np.where(partner_SP < 300, 0.1, 0.5))
    ks = [1, 4, 32]
    first, second = luck_groups(spaces, partner_SP, n_SP, c_SP, ks)
    assert (first.label, first.problems, second.problems) == ("yes or no", 100, 300)
    for group, p in ((first, 0.5), (second, 0.1)):
        assert group.uniform_K == pytest.approx([1 - (1 - p) ** k for k in ks])
        assert group.luck_K == pytest.approx(group.uniform_K, abs=0.01)
        assert group.rate == pytest.approx(p, abs=0.01)


def test_answers_count_where_they_were_judged_and_not_where_they_were_given() -> None:
    """Answers to a problem of one digit that met a gold answer of two, and the other way round."""
    spaces = answer_spaces(["4", "x+y", "50"])
    partner_SP, n_SP, c_SP = np.array([[2, -1, 0]]), np.array([[2, 0, 4]]), np.array([[0, 0, 4]])
    one, two = luck_groups(spaces, partner_SP, n_SP, c_SP, [1])
    assert (one.label, one.problems, one.scored, one.right, one.rate) == ("integer of 1 digit", 1, 4, 4, 1.0)
    assert (two.label, two.problems, two.scored, two.right, two.luck_K.tolist()) == (
        "integer of 2 digits",
        1,
        2,
        0,
        [0],
    )
    assert two.uniform_K == pytest.approx([0.01])
