import json
from types import SimpleNamespace

import numpy as np
import pytest
from tests.report.conftest import Measured

from reachlab.report.entries import read_entries
from reachlab.report.findings import gather


def test_a_place_a_model_and_plain_json(demo: Measured) -> None:
    comparison, runs = demo
    found = gather(comparison, read_entries(comparison, runs))
    names = [model.name for model in comparison.models]
    assert [x.name for x in found.covers if x] == names
    assert [x.name for x in found.extrapolations if x] == names
    assert [x.name for x in found.evidence] == names
    assert [x and x.name for x in found.cover_differences] == [None, *names[1:]]
    assert found.perplexities is None
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["perplexity"] is None
    assert document["extrapolation"][0]["ks"][-1] == 16 * 64
    assert document["extrapolation"][0]["back_tests"][0]["observed"]


def test_what_is_measured_stays_as_it_is(demo: Measured) -> None:
    comparison, runs = demo
    found = gather(comparison, read_entries(comparison, runs))
    for model, extrapolation in zip(comparison.models, found.extrapolations, strict=True):
        assert extrapolation is not None
        ks = np.intersect1d(extrapolation.ks, comparison.ks)
        measured_K = extrapolation.values[np.isin(extrapolation.ks, ks)]
        assert len(ks) > 5
        assert measured_K == pytest.approx(model.curve.values[np.isin(comparison.ks, ks)])


def test_few_samples_are_not_extrapolated(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("few") / "few"
    run = make.samples(folder, np.eye(4, dtype=bool))
    comparison, runs = make.measure([run])
    found = gather(comparison, read_entries(comparison, runs))
    assert found.extrapolations == (None,)
    assert found.covers[0] is not None
