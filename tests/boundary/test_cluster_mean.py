import numpy as np
import pytest

from reachlab.boundary.bootstrap import resampling_weights
from reachlab.boundary.cluster_mean import Clusters
from reachlab.errors import ReachlabError

LABELS = ["b", "a", "b", "c", "b"]
VALUES_PK = np.arange(10, dtype=np.float64).reshape(5, 2)


def test_without_labels_every_problem_is_its_own() -> None:
    found = Clusters(5)
    assert (found.count, found.single) == (5, True)
    assert found.sums(VALUES_PK) is VALUES_PK
    assert found.drawn(np.ones((3, 5), np.float32)).tolist() == [5, 5, 5]


def test_sums_are_over_each_cluster() -> None:
    found = Clusters(5, LABELS)
    assert (found.count, found.single) == (3, False)
    assert found.size_G.tolist() == [1, 3, 1]
    # One cluster is nearly all of the variance: (1 + 9 + 1)² / (1 + 81 + 1) would count.
    assert found.degrees == pytest.approx(121 / 83 - 1)
    assert Clusters(6, list("aabbcc")).degrees == pytest.approx(2)
    assert found.sums(VALUES_PK).tolist() == [[2, 3], [12, 15], [6, 7]]


def test_labels_that_all_differ_are_no_clusters_in_whatever_order() -> None:
    found = Clusters(3, ["c", "a", "b"])
    values_P1 = np.array([[1.0], [2.0], [3.0]])
    assert found.single
    assert sorted(found.sums(values_P1)[:, 0]) == [1, 2, 3]
    weights_BG = np.array([[3, 0, 0]], np.float32)
    assert found.by_problem(weights_BG) @ values_P1 == weights_BG @ found.sums(values_P1) == 6


def test_a_resample_draws_whole_clusters_and_divides_by_what_it_holds() -> None:
    found = Clusters(5, LABELS)
    weights_BG = resampling_weights(3, 50)
    weights_BP = found.by_problem(weights_BG)
    assert (weights_BP[:, 0] == weights_BP[:, 2]).all()
    assert found.drawn(weights_BG) == pytest.approx(weights_BP.sum(axis=1))
    assert weights_BP @ VALUES_PK == pytest.approx(weights_BG @ found.sums(VALUES_PK))


def test_refuses() -> None:
    with pytest.raises(ReachlabError, match="2 labels for 3 problems"):
        Clusters(3, ["a", "b"])
    with pytest.raises(ReachlabError, match="all problems are in one cluster"):
        Clusters(3, ["a"] * 3)
