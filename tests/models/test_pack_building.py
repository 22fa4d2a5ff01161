from itertools import combinations, pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from reachlab.models.pack_building import PackBudget, cut


@given(costs=st.lists(st.integers(1, 30), min_size=1, max_size=7), tokens=st.integers(1, 60), pieces=st.integers(1, 4))
def test_cutting_equals_brute_force(costs: list[int], tokens: int, pieces: int) -> None:
    def cost(start: int, stop: int) -> int:
        return sum(costs[start:stop])

    n = len(costs)
    ways = [
        list(pairwise((0, *inner, n))) for parts in range(1, n + 1) for inner in combinations(range(1, n), parts - 1)
    ]
    allowed = [way for way in ways if all(cost(a, b) <= tokens or b == a + 1 for a, b in way)]
    fewest = min(len(way) for way in allowed)
    wanted = -(-max(fewest, pieces) // pieces) * pieces
    assume(wanted <= n)
    best = min(max(cost(a, b) for a, b in way) for way in allowed if len(way) <= wanted)
    found = cut(n, cost, cost, PackBudget(tokens, pieces))
    assert found in allowed
    assert len(found) == wanted
    assert max(cost(a, b) for a, b in found) == best


def test_cutting_nothing() -> None:
    assert cut(0, lambda a, b: 1, lambda a, b: 1, PackBudget(10, 2)) == []
