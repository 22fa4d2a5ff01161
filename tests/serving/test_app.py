import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from plotly.offline import get_plotlyjs
from starlette.testclient import TestClient
from tests.reporting.conftest import draw, samples
from tests.serving.conftest import comparing

from reachlab.serving.app import make_app
from reachlab.serving.guard import Rules
from reachlab.serving.rows import RowsReader
from reachlab.serving.search import RowMark, search
from reachlab.serving.states import PAGE, ServedState, of_samples

HOSTILE = "</script><script>alert(1)</script> & é ∫ "


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> ServedState:
    """Two models on 6 problems: 130 samples each, some of them long."""
    root = tmp_path_factory.mktemp("served")
    rate_P = np.array([0.9, 0.6, 0.4, 0.2, 0.05, 0.0])

    def text(p: int, n: int, right: bool) -> str:
        return f"{HOSTILE}sample {n} of {p}" + "x" * (300_000 if p == 1 and n < 3 else 0)

    for name, seed in (("base", 0), ("rl", 1)):
        samples(root / name, draw(rate_P, 130, seed), text=text)
    named = (f"base={root / 'base'}", f"rl={root / 'rl'}")
    return of_samples("v1", "Title", comparing(), named, [], RowsReader(), {})


@pytest.fixture
def client(snapshot: ServedState) -> Iterator[TestClient]:
    state = {"version": "v1", "runs": []}
    follower: Any = SimpleNamespace(
        newest=snapshot, looked=12.5, state=lambda: state, snapshot=lambda name: snapshot if name == "v1" else None
    )
    with TestClient(make_app(follower, Rules("localhost")), base_url="http://localhost") as found:
        yield found


def test_the_page_has_the_policy_of_the_file_and_asks_its_own_server_alone(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src &#39;none&#39;" in page.text
    assert "connect-src &#39;self&#39;" in page.text
    assert 'data-served="v1"' in page.text
    assert "application/octet-stream" not in page.text
    assert "Of the 1,560 samples of these problems, a problem opens with some; the rest come on request." in page.text


def test_blocks(client: TestClient, snapshot: ServedState) -> None:
    index = client.get("/block/v1/index").json()
    assert index["ids"] == [f"p{i}" for i in range(6)]
    assert index["starts"] == list(range(6))
    ((problem),) = client.get("/block/v1/chunk-3").json()
    assert [len(shown) for shown in problem["models"]] == [8, 8]
    assert {status for _, status, *_ in problem["models"][0]} == {"correct", "wrong"}
    assert problem["models"][0][0][3].startswith(HOSTILE)
    assert client.get("/block/v1/pictures-3").json() == []
    assert client.get("/block/v1/plotly").text == get_plotlyjs()
    assert client.get("/block/v0/index").status_code == 410


@pytest.mark.parametrize(
    "path",
    ["/block/v1/chunk-6", "/block/v1/chunk--1", "/block/v1/..%2f..%2fetc%2fpasswd", "/block/v1/chunk-١",
     "/samples/v1/2/0", "/samples/v1/0/6", "/samples/v1/-1/0", "/etc/passwd", "/block/v1/../../run.json"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_every_sample_of_a_problem_is_had_page_by_page(client: TestClient) -> None:
    first = client.get("/block/v1/chunk-2").json()[0]["models"][1]
    seen, start = [row[0] for row in first], len(first)
    while True:
        page = client.get(f"/samples/v1/1/2?start={start}").json()
        assert len(page["samples"]) <= PAGE
        seen += [row[0] for row in page["samples"]]
        start += len(page["samples"])
        assert page["left"] == 130 - start
        if not page["left"]:
            break
    assert sorted(seen) == list(range(130))
    assert client.get(f"/samples/v1/1/2?start={start}").json() == {"samples": [], "left": 0}
    assert client.get("/samples/v1/1/2?start=-1").status_code == 400
    assert client.get("/samples/v1/1/2?only=77").json()["samples"][0][0] == 77
    assert client.get("/samples/v1/1/2?only=999").json()["samples"] == []


def test_long_samples_come_whole_and_few_at_a_time(client: TestClient, snapshot: ServedState) -> None:
    seen: dict[int, int] = {}
    start = 0
    while start < 130:
        page = client.get(f"/samples/v1/0/1?start={start}").json()["samples"]
        assert sum(len(row[3]) for row in page) < 800_000
        seen |= {row[0]: len(row[3]) for row in page}
        start += len(page)
    assert sorted(seen) == list(range(130))
    assert min(seen[n] for n in range(3)) > 300_000


def test_the_state_is_sent_when_it_has_changed(client: TestClient) -> None:
    first = client.get("/state")
    assert first.json()["version"] == "v1"
    again = client.get("/state", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["last-look"]) == (304, b"", "12.500")


def lines(client: TestClient, query: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in client.get(f"/search/v1?{query}").text.splitlines()]


def test_a_search_finds_every_answer_and_goes_on_where_it_ended(client: TestClient, snapshot: ServedState) -> None:
    everything: list[tuple[int, str, int]] = []
    mark: str | None = ""
    while mark is not None:
        found = lines(client, f"q=SAMPLE%20&from={mark}")
        hits = [one for one in found if "sample" in one]
        assert len(hits) <= 100
        everything += [(one["model"], one["problem"], one["sample"]) for one in hits]
        mark = found[-1]["next"]
    assert sorted(everything) == [(m, f"p{p}", n) for m in range(2) for p in range(6) for n in range(130)]
    one = lines(client, "q=sample%2077%20of%203")
    hits = [line for line in one if "sample" in line]
    assert [(hit["model"], hit["p"], hit["hit"]) for hit in hits] == [
        (0, 3, "sample 77 of 3"),
        (1, 3, "sample 77 of 3"),
    ]
    assert hits[0]["before"] == HOSTILE
    wrong = [line for line in lines(client, "q=of%205&verdict=wrong") if "sample" in line]
    assert len(wrong) == 100  # nobody solves p5
    assert not [line for line in lines(client, "q=of%205&verdict=correct") if "sample" in line]
    for query in ("q=", f"q={'x' * 201}", "q=x&verdict=maybe"):
        assert client.get(f"/search/v1?{query}").status_code == 400
    assert RowMark.read("no place") == RowMark()


def test_a_search_that_nobody_waits_for_stops(snapshot: ServedState) -> None:
    found = search(snapshot, "sample")
    assert next(found)["sample"] == 0
    found.close()
    assert list(found) == []


def test_a_run_that_was_taken_away_is_said(snapshot: ServedState, client: TestClient, tmp_path: Path) -> None:
    folder = snapshot.models[1].runs[0].store.folder
    away = tmp_path / "away"
    Path(folder.path).rename(away)
    try:
        for path in ("/block/v1/chunk-0", "/samples/v1/1/0"):
            answer = client.get(path)
            assert answer.status_code == 409
            assert "part-" in answer.json()["error"]
        assert "error" in lines(client, "q=sample%20129%20of")[-1]
    finally:
        away.rename(folder.path)


def test_a_recipe_shows_the_samples_of_all_its_runs(tmp_path: Path) -> None:
    right_PN = np.tile([True, False], (3, 4))
    for name in ("base", "rl-0", "rl-1"):
        samples(tmp_path / name, right_PN)
    named = (str(tmp_path / "base"), f"rl={tmp_path / 'rl-0'},{tmp_path / 'rl-1'}")
    shown = of_samples("v", "T", comparing(), named, [], RowsReader(), {})
    assert [model.count("p1") for model in shown.models] == [8, 16]
    # By turns right and wrong, as they were drawn; then the other run's.
    assert [one.sample for one in shown.models[1].samples("p1", 6)] == [6, 7, *range(8)]


def test_a_find_is_shown_whole_from_its_own_run(tmp_path: Path) -> None:
    right_PN = np.tile([True, False], (3, 4))
    for name in ("base", "rl-0", "rl-1"):

        def text(p: int, n: int, right: bool, name: str = name) -> str:
            return f"of {name}: {n}"

        samples(tmp_path / name, right_PN, text=text)
    named = (str(tmp_path / "base"), f"rl={tmp_path / 'rl-0'},{tmp_path / 'rl-1'}")
    shown = of_samples("v", "T", comparing(), named, [], RowsReader(), {})
    found = [hit for hit in search(shown, "of rl-1: 5") if "sample" in hit]
    assert [(hit["model"], hit["run"], hit["sample"]) for hit in found] == [(1, 1, 5)] * 3
    for run, said in enumerate(("of rl-0: 5", "of rl-1: 5")):
        answer = shown.samples(1, found[0]["p"], 0, only=5, run=run)
        assert answer is not None
        assert [row[3] for row in answer["samples"]] == [said]
    assert shown.samples(1, 0, 0, only=5, run=2) == {"samples": [], "left": 0}
