import json
from types import SimpleNamespace

import numpy as np
import pytest
from tests.reporting.conftest import Measured

from reachlab.boundary.extrapolation import Extrapolation
from reachlab.reporting.entries import measure_entries, read_entries


def test_a_place_a_model_and_plain_json(demo: Measured) -> None:
    comparison, runs = demo
    found = measure_entries(comparison, read_entries(comparison, runs))
    names = [model.name for model in comparison.models]
    assert [x.name for x in found.runs] == names
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    for key in ("cover", "extrapolation", "evidence"):
        assert [x["name"] for x in document[key]] == names
    assert [x and x["name"] for x in document["cover_difference"]] == [None, *names[1:]]
    assert document["cover"][0]["measured"] == document["cover"][0]["values"]
    assert document["perplexity"] is None
    assert set(document["meanings"]) == {"support", "extrapolation", "cover"}
    assert document["notes"]["perplexity"].startswith("no answers are scored; `reachlab score ")
    own = document["evidence"][0]["meanings"]
    assert {"pass", "all_right", "duplicates"} <= set(own)
    assert not {"chain", "cover"} & set(own)
    assert all(words.endswith(".") for words in (*own.values(), *document["meanings"].values()))
    assert document["extrapolation"][0]["ks"][-1] == 16 * 64
    assert document["extrapolation"][0]["back_tests"][0]["observed"]


def test_what_is_measured_stays_as_it_is(demo: Measured) -> None:
    comparison, runs = demo
    found = measure_entries(comparison, read_entries(comparison, runs))
    for model, run in zip(comparison.models, found.runs, strict=True):
        extrapolation = run.of["extrapolation"].curve
        assert isinstance(extrapolation, Extrapolation)
        ks = np.intersect1d(extrapolation.x, comparison.ks)
        measured_K = extrapolation.values[np.isin(extrapolation.x, ks)]
        assert len(ks) > 5
        assert measured_K == pytest.approx(model.curve.values[np.isin(comparison.ks, ks)])


def test_few_samples_are_not_extrapolated(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("few") / "few"
    run = make.samples(folder, np.eye(4, dtype=bool))
    comparison, runs = make.measure([run])
    found = measure_entries(comparison, read_entries(comparison, runs))
    assert "extrapolation" not in found.runs[0].of
    assert "cover" in found.runs[0].of


def test_there_is_a_place_a_model(demo: Measured) -> None:
    comparison, runs = demo
    found = measure_entries(comparison, read_entries(comparison, runs))
    plain = found.to_dict()["support"]
    assert [x and x["name"] for x in plain] == [None, *(pair.name for pair in comparison.pairs)]
    assert plain[0] is None
    assert plain[1]["kept"] == len(comparison.pairs[0].coverage.both)
    assert found.to_dict()["answer_entropy_difference"] == [None] * 4
