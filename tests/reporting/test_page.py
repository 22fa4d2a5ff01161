import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.reporting import assets
from reachlab.reporting.assets import policy
from reachlab.reporting.blocks import unpacked
from reachlab.reporting.making import Extra
from reachlab.reporting.page import script_json, write_report
from reachlab.reporting.tables import fold_indices
from reachlab.types import Chat, Problem


def write(measured: Any, out: Path, **options: Any) -> Path:
    comparison, runs = measured
    return write_report(comparison, runs, out, **options)


NASTY = "</script><img src=x onerror=alert(1)><b>&\"'"


class Page(HTMLParser):
    """The page as a browser would read it: its elements, its text outside scripts, its figures, its blocks."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.stack = ""
        self.figures: dict[str, Any] = {}
        self.blocks: dict[str, str] = {}
        self.feed(path.read_text("utf-8"))
        self.flat = " ".join(" ".join(self.text).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.stack = tag

    def handle_endtag(self, tag: str) -> None:
        self.stack = ""

    def handle_data(self, data: str) -> None:
        if self.stack == "script":
            found = self.elements[-1][1]
            if found.get("type") == "application/json":
                self.figures = json.loads(data)
            elif found.get("type") == "application/octet-stream":
                self.blocks[str(found["id"])] = unpacked(data)
        elif self.stack != "style":
            self.text.append(data)

    def ids(self) -> list[str]:
        return [found for _, attrs in self.elements if (found := attrs.get("id"))]


@pytest.fixture(scope="module")
def page(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Page:
    out = tmp_path_factory.mktemp("page") / "deep" / "report.html"
    remarks = ["RL: the reward explains <the gain>"]
    assert write(demo, out, title="A & B", extra=Extra(rows={"pretraining": "80 s"}), remarks=remarks) == out
    return Page(out)


def test_what_a_study_concludes_comes_first(page: Page) -> None:
    said = page.flat.index("RL: the reward explains <the gain>.")
    assert said < page.flat.index("Summary")


def test_every_model_has_its_verdict(page: Page, demo: Any) -> None:
    for pair in demo[0].pairs:
        assert pair.verdict.sentence.partition(": ")[2] in page.flat


def test_the_page_says_what_was_measured(page: Page) -> None:
    for text in (
        "A & B",
        "60 problems",
        "15,360 samples, 3 of them unscored",
        "task countdown,numbers=4",
        "95% interval",
        "3 unscored and left out",
        "pretrain (train-base, 120 steps, 14 s) → rl (train-grpo, 80 steps, 27 s)",
        "decoding.temperature",
        "versions.torch",
        "pretraining",
        "80 s",
    ):
        assert text in page.flat


def test_every_figure_has_a_place_and_every_place_a_figure(page: Page) -> None:
    places = [a["data-figure"] for _, a in page.elements if "data-figure" in a]
    assert places == list(dict.fromkeys(places))
    assert sorted(map(str, places)) == sorted(page.figures)
    assert {"passk", "difference", "strip", "histogram-3", "training-0", "phases"} <= set(page.figures)


def test_ids_are_unique_and_links_lead_somewhere(page: Page) -> None:
    assert len(page.ids()) == len(set(page.ids()))
    links = [a["href"] for tag, a in page.elements if tag == "a"]
    assert links
    assert all(str(link).removeprefix("#").partition("?")[0] in page.ids() for link in links)


def test_figures_and_tables_have_words(page: Page) -> None:
    plots = [a for _, a in page.elements if "data-figure" in a]
    assert all(a["role"] == "img" and a["aria-label"] for a in plots)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("caption") == tags.count("table")
    assert tags.count("h1") == 1


def test_nothing_points_outside(page: Page) -> None:
    for tag, attrs in page.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attrs.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
    css = assets.css()
    assert not re.search(r"url\(|@import|https?:", css)


def test_the_policy_names_exactly_the_pages_scripts(page: Page) -> None:
    (found,) = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert found is not None
    assert "default-src 'none'" in found
    assert found.count("sha256-") == len(assets.SCRIPTS) + 3  # the shell, plotly, what draws Markdown and formulas
    assert "unsafe-inline" not in found.partition("style-src")[0]
    # An example from the specification's own test suite.
    assert "'sha256-n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg='" in policy(["test"])


@given(st.text(), st.text())
def test_figures_json_cannot_end_its_script(name: str, title: str) -> None:
    text = script_json({"a": go.Figure(layout={"title": {"text": name}, "meta": [title + NASTY]})})
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text)["a"]["layout"]["title"]["text"] == name


def test_untrusted_text_stays_text(tmp_path: Path, make: SimpleNamespace) -> None:
    problems = [Problem(id=NASTY, prompt=Chat(({"role": NASTY, "content": NASTY},)), answer={NASTY: NASTY})]
    options = {"problems": problems, "text": lambda p, n, right: NASTY, "model_path": tmp_path / NASTY[-8:]}
    runs = [make.samples(tmp_path / name, np.array([[0, 1]]), **options) for name in "ab"]
    names = [NASTY, NASTY + "2"]
    out = write(make.measure(runs, names), tmp_path / "r.html", title=NASTY, extra=Extra(rows={NASTY: NASTY}))
    found = Page(out)
    assert [tag for tag, _ in found.elements].count("img") == 0
    assert [tag for tag, _ in found.elements].count("script") == len(assets.SCRIPTS) + 7  # the shell, packed blocks
    assert not [a for _, a in found.elements if any(name.startswith("on") for name in a)]
    assert found.flat.count(NASTY) > 10
    assert json.loads(found.blocks["chunk-0"])[0]["models"][1][0][3] == NASTY
    wanted = {"passk", "difference", "strip", "histogram-0", "histogram-1", "cover", "cover-difference", "all-right"}
    assert wanted <= set(found.figures)
    for trace in found.figures["passk"]["data"]:
        assert "<" not in trace["name"]


def test_half_a_character_is_no_reason_to_fail(tmp_path: Path, make: SimpleNamespace) -> None:
    run = make.samples(tmp_path / "a", np.ones((1, 1)))
    listed = {"id": "p0", "prompt": "b\ud83d", "answer": "c\ud83d", "images": [], "metadata": {}}
    run.write("problems.jsonl", (json.dumps(listed) + "\n").encode())
    found = Page(write(make.measure([run]), tmp_path / "r.html", title="d\ud83d"))
    assert "d\\ud83d" in found.flat
    assert json.loads(found.blocks["chunk-0"])[0]["answer"] == "c\\ud83d"


def test_one_model_one_sample_no_training(tmp_path: Path, make: SimpleNamespace) -> None:
    run = make.samples(tmp_path / "only", np.array([[1], [0], [0]]))
    found = Page(write(make.measure([run]), tmp_path / "r.html"))
    assert {"passk", "strip", "histogram-0", "cover"} <= set(found.figures)
    assert not {"difference", "all-right", "extrapolation"} & set(found.figures)
    assert not {"difference", "training"} & set(found.ids())
    assert "33.3% of single samples right." in found.flat
    assert "crossing" not in found.flat.casefold()


def test_the_base_comes_first_wherever_it_stood(tmp_path: Path, make: SimpleNamespace) -> None:
    runs = [
        make.samples(tmp_path / n, make.draw(np.full(9, r), 8, i)) for i, (n, r) in enumerate([("x", 0.9), ("y", 0.2)])
    ]
    comparison, _ = make.measure(runs, base=1)
    found = Page(write_report(comparison, runs, tmp_path / "r.html"))
    assert found.figures["strip"]["data"][0]["y"] == ["y", "x"]
    assert re.search(r"y Base: .* x \w+", found.flat)


def test_runs_must_be_those_compared(tmp_path: Path, make: SimpleNamespace, demo: Any) -> None:
    comparison, runs = demo
    with pytest.raises(ReachlabError, match="3 runs for 4 models"):
        write_report(comparison, runs[:3], tmp_path / "r.html")
    other = make.samples(tmp_path / "other", np.ones((2, 1)))
    with pytest.raises(ReachlabError, match="no problem 'p2' here"):
        write_report(comparison, [*runs[:3], other], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_problems_without_scored_samples_are_left_out_and_counted(tmp_path: Path, make: SimpleNamespace) -> None:
    run = make.samples(tmp_path / "a", np.array([[1, 1], [0, 1]]), unscored=2)
    found = Page(write(make.measure([run]), tmp_path / "r.html"))
    assert "1 problem " in found.flat
    assert "1 problem left out for want of a scored sample" in found.flat


def test_many_samples_make_no_larger_page(tmp_path: Path, make: SimpleNamespace) -> None:
    def size(n: int) -> int:
        text = "x" * 2_000
        runs = [
            make.samples(tmp_path / f"{name}{n}", make.draw(np.full(40, 0.3), n, i), text=lambda *_: text)
            for i, name in enumerate("ab")
        ]
        return write(make.measure(runs), tmp_path / f"{n}.html").stat().st_size

    assert size(512) - size(16) < 100_000


def test_every_figure_has_its_data(page: Page, demo: Any) -> None:
    tables = json.loads(page.blocks["data"])
    assert set(tables) == set(page.figures)
    assert all("data-csv" in a for _, a in page.elements if "data-figure" in a)
    for name, text in tables.items():
        rows = list(csv.reader(io.StringIO(text)))
        assert len(rows) > 1, name
        assert {len(row) for row in rows} == {len(rows[0])}, name


def test_lists_of_problems_are_those_of_the_comparison(page: Page, demo: Any) -> None:
    comparison, _ = demo
    names = {model.name for model in comparison.models}
    assert len(names) == 4
    for model in comparison.models:
        assert f"{len(model.solved)} solved" in page.flat
        assert fold_indices(model.solved) in page.flat
    for pair in comparison.pairs:
        assert fold_indices(pair.coverage.gained) in page.flat
        assert f"{len(pair.coverage.surely_lost or ())} lost with p < 0.05" in page.flat


def test_a_long_list_of_problems_says_what_is_missing(tmp_path: Path, make: SimpleNamespace) -> None:
    problems = [Problem(id=f"{i}-{'x' * 50}", prompt="?", answer="") for i in range(500)]
    run = make.samples(tmp_path / "a", np.ones((500, 1)), problems=problems)
    found = Page(write(make.measure([run]), tmp_path / "r.html"))
    assert re.search(r"x … \([\d,]+ more characters\)", found.flat)


def test_the_first_figure_stands_there_without_scripts(page: Page) -> None:
    first = next(i for i, (_, a) in enumerate(page.elements) if a.get("data-figure") == "passk")
    inside = page.elements[first + 1 : first + 60]
    assert inside[0][1].get("class") == "sketch"
    assert [a["style"] for tag, a in inside if tag == "path" and "dasharray:none" in str(a.get("style"))]
