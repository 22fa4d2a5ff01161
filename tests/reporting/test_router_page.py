import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reporting.test_page import NASTY, Page

from reachlab.moe.fidelity import Fidelity
from reachlab.moe.instruments import Reading, Vectors
from reachlab.reporting.router_page import MOST_LAYERS, coactivation, labels, load, write_routers


def reading(layer: int = 0, E: int = 4, active: int = 2, vectors: bool = True, **more: Any) -> Reading:
    """A layer whose last expert is unused."""
    rng = np.random.default_rng(layer)
    load_E = np.append(rng.dirichlet(np.ones(E - 1)), 0.0)
    together_EE = np.minimum.outer(load_E, load_E) * active / 2
    np.fill_diagonal(together_EE, load_E * active)
    found = Vectors(norms=[1.0] * E, ages=[*range(E)], cosines=np.full((E, E), 0.25).tolist()) if vectors else None
    return Reading(**{
        "layer": f"model.layers.{layer}.mlp", "experts": E, "active": active, "tokens": 1234,
        "entropy": 0.5 * math.log(E), "mass": 0.7, "load": load_E.tolist(), "coactivation": together_EE.tolist(),
        "outputs": [2.0] * (E - 1) + [math.nan], "vectors": found, **more,
    })  # fmt: skip


def fidelities(layers: int) -> dict[str, list[Fidelity]]:
    return {
        name: [Fidelity(f"model.layers.{at}.mlp", 0.5 + at / 100 + method / 10, 0.25) for at in range(layers)]
        for method, name in enumerate(("in use", "topk", "default/routed"))
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    out = tmp_path_factory.mktemp("routers") / "deep" / "routers.html"
    readings = [reading(0), reading(1)]
    assert write_routers(readings, out, title="A & B", facts=["1,234 tokens"], fidelity=fidelities(2)) == out
    return Page(out)


def test_every_figure_has_its_place_and_data(page: Page) -> None:
    places = {attrs["data-figure"] for _, attrs in page.elements if "data-figure" in attrs}
    assert places == set(page.figures)
    assert places == {"entropy", "load", "fidelity", *(f"{k}-{i}" for k in ("together", "cosines") for i in (0, 1))}
    labelled = [attrs for _, attrs in page.elements if "data-figure" in attrs]
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in labelled)
    tables = {name: text.splitlines() for name, text in json.loads(page.blocks["data"]).items()}
    assert set(tables) == places
    assert tables["fidelity"][:2] == ["method,layer,cosine,length_over_dense", "in use,0,0.5,0.25"]
    assert len(tables["load"]) == 1 + 2 * 4
    assert tables["cosines-1"][1:] == [f"{i},{j},0.25" for i in range(4) for j in range(4) if i != j]


def test_the_tables_hold_the_numbers(page: Page) -> None:
    for text in (
        "A & B",
        "1,234 tokens",
        "0.69",
        "0.50",
        "0.70",
        "Unused:",
        "model.layers.0.mlp: expert 3 of 4 got none",
    ):
        assert text in page.flat
    assert "0.600 0.25 × as long" in page.flat  # top-k in layer 0
    assert "0 1.00 2.00 1.00 0.25 3" in page.flat  # vectors of layer 0: lengths, an answer's, longest, cosine, oldest
    assert [t["name"] for t in page.figures["fidelity"]["data"]] == ["in use", "topk", "default/routed"]
    assert "0.610 0.25 × as long" in page.flat  # and in layer 1


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    bare = [reading(at, active=1, vectors=False, load=[0.25] * 4, outputs=None) for at in range(2)]
    found = Page(write_routers(bare, tmp_path / "r.html", title="t"))
    assert set(found.figures) == {"entropy", "load"}
    assert not {"together", "vectors", "fidelity"} & set(found.ids())
    assert "Unused" not in found.flat


def test_many_layers_have_some_squares(tmp_path: Path) -> None:
    readings = [reading(at) for at in range(40)]
    found = Page(write_routers(readings, tmp_path / "r.html", title="t"))
    squares = [name for name in found.figures if name.startswith("together-")]
    assert len(squares) == MOST_LAYERS
    assert {"together-0", "together-39"} <= set(squares)
    assert f"{MOST_LAYERS} of 40 layers" in found.flat


def test_names_are_text(tmp_path: Path) -> None:
    file = write_routers([reading(layer=0) for _ in range(1)], tmp_path / "r.html", title=NASTY, facts=[NASTY])
    assert "onerror" not in re.sub(r"&lt;.*?&gt;", "", file.read_text("utf-8").split("<script", 1)[0])
    assert NASTY in Page(file).flat


def test_load_is_over_the_mean() -> None:
    figure = load([reading(load=[0.5, 0.25, 0.25, 0.0])], ["0"])
    assert figure.data[0].z.tolist() == [[2, 1, 1, 0]]


def test_coactivation_is_of_the_row() -> None:
    together_EE = [[0.5, 0.1, 0.0], [0.1, 0.2, 0.0], [0.0, 0.0, 0.0]]
    figure = coactivation(reading(E=3, coactivation=together_EE))
    z_EE = figure.data[0].z
    assert [z_EE[0, 1], z_EE[1, 0], z_EE[2, 0]] == pytest.approx([0.2, 0.5, 0])
    assert np.isnan(z_EE.diagonal()).all()


@given(st.lists(st.integers(0, 99), min_size=2, max_size=9, unique=True))
def test_labels(layers: list[int]) -> None:
    assert labels([f"model.layers.{at}.mlp" for at in layers]) == [str(at) for at in layers]


def test_labels_that_differ_otherwise() -> None:
    assert labels(["model.layers.3.mlp"]) == ["model.layers.3.mlp"]
    assert labels(["a.0.mlp", "b.0.mlp"]) == ["a", "b"]
    assert labels(["a.0", "b.0.mlp"]) == ["a.0", "b.0.mlp"]


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here (Debian: apt-get install chromium)")
@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser(width: int, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright here")
    file = write_routers([reading(at, E=16) for at in range(3)], tmp_path / "r.html", title="t", fidelity=fidelities(3))
    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_context(viewport={"width": width, "height": 800}, offline=True).new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(file.as_uri(), timeout=90_000)
        page.wait_for_selector("html[data-ready=true]", timeout=90_000)
        assert said == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        lines = "[data-figure=fidelity] .scatterlayer .trace"
        page.locator("[data-figure=load]").scroll_into_view_if_needed()
        page.locator("[data-figure=load] .heatmaplayer image").wait_for(state="attached")
        page.locator("[data-figure=fidelity]").scroll_into_view_if_needed()
        page.locator(lines).nth(2).wait_for(state="attached")
        page.locator('button[data-model="topk"]').click()
        page.locator(lines).nth(2).wait_for(state="detached")
        assert page.locator(lines).count() == 2
        browser.close()
