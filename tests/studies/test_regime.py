import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reachlab.errors import ReachlabError
from reachlab.regime.cost_model import RegimeMap
from reachlab.studies.config import RegimeConfig
from reachlab.studies.regime import describe, heat_map, run_regime

RUN = {"name": "here <b>", "ratio": 3.0, "width": 4, "speedup": 0.9, "low": 0.7, "high": 1.2}


def quick(tmp_path: Path, **changes: Any) -> RegimeConfig:
    config = RegimeConfig(out=str(tmp_path / "regime"), keep=4, widths=(2, 4), ratios=(0.5, 3.0), steps=8, seeds=6)
    return replace(config, prompts=4, **changes)


def drawn(over_few: list[list[float]], low: list[list[float]], over_many: float = 9.0) -> RegimeMap:
    few_WR = np.array(over_few)
    widths = np.array([2, 8])[: len(few_WR)]
    many_WR = np.full_like(few_WR, over_many)
    return RegimeMap(np.array([0.25, 1.0, 6.0]), widths, 16, few_WR, many_WR, np.array(low), few_WR, np.ones((2, 3)))


def test_page_and_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = tmp_path / "measured.json"
    measured.write_text(json.dumps([RUN, {"name": "wide", "ratio": 1.0, "width": 8, "speedup": 2.0}]))
    page = run_regime(quick(tmp_path, measured=str(measured)))
    html = page.read_text("utf-8")
    assert "here &lt;b&gt;" in html
    assert "here <b>" not in html
    assert "https://" not in html.split("<script>")[0]
    found = json.loads((page.parent / "regime.json").read_text())
    assert np.array(found["map"]["over_better_WR"]).shape == (2, 2)
    assert found["map"]["ratios_R"] == [0.5, 3.0]
    assert found["config"]["keep"] == 4
    here, wide = found["measured"]
    # What the model says of a measured run is the map's own number at its place.
    assert here["predicted"] == pytest.approx(found["map"]["over_better_WR"][1][1])
    assert here["predicted_low"] == pytest.approx(found["map"]["low_WR"][1][1])
    assert (wide["width"], wide["low"]) == (8, None)
    assert "PODS 16 → 4" in capsys.readouterr().out


def test_sentences() -> None:
    sentences = describe(drawn([[0.5, 1.2, 1.5], [0.4, 1.1, 0.9]], low=[[0.4, 1.1, 1.3], [0.3, 0.9, 0.8]]))
    assert sentences == [
        "PODS 32 → 16 surely pays from u/g = 1; most at u/g = 6, 1.50 times.",
        "PODS 128 → 16 never surely pays; the most is 1.10 times, at u/g = 1.",
    ]
    assert "u/g = 1/4" in describe(drawn([[1.5, 1.2, 1.1]], low=[[1.2, 1.1, 1.05]]))[0]


def test_the_map_shows_the_speedup_over_the_better() -> None:
    figure = heat_map(drawn([[0.5, 1.0, 4.0]], low=[[0.0, 0.0, 0.0]], over_many=2.0), [])
    (cells,) = figure.data
    assert np.asarray(cells.z).tolist() == [[-1.0, 0.0, 1.0]]
    assert cells.text[0] == ["0.50", "1.00", "2.00"]
    assert list(figure.layout.xaxis.ticktext) == ["1/4", "1", "6"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ("{}", "list of objects"),
        (json.dumps([RUN, {**RUN, "ratio": 0}]), "entry 1: ratio is 0"),
        (json.dumps([{**RUN, "speedup": True}]), "entry 0: speedup is True"),
        (json.dumps([{**RUN, "width": 2.5}]), "whole number"),
        (json.dumps([{**RUN, "width": 1}]), "whole number"),
        (json.dumps([{**RUN, "high": "x"}]), "entry 0: high is 'x'"),
        (json.dumps([{**RUN, "name": 3}]), "name is 3"),
        (json.dumps([{**RUN, "ration": 3}]), "unknown field 'ration'"),
    ],
    ids=["json", "list", "ratio", "boolean", "fraction", "narrow", "high", "name", "unknown"],
)
def test_a_bad_file_is_refused_and_nothing_written(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "measured.json").write_text(content)
    with pytest.raises(ReachlabError, match=says):
        run_regime(quick(tmp_path, measured=str(tmp_path / "measured.json")))
    assert not (tmp_path / "regime").exists()


def test_refuses(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="not readable"):
        run_regime(quick(tmp_path, measured=str(tmp_path / "nothing.json")))
    for bad in ({"widths": (1,)}, {"widths": ()}, {"ratios": (0.0,)}, {"keep": 0}):
        with pytest.raises(ReachlabError, match="widths must"):
            RegimeConfig(**bad)
    with pytest.raises(ReachlabError, match="seeds=5 must be 6 or more"):
        RegimeConfig(seeds=5)
