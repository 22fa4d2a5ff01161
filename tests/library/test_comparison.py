"""`compare` and `report` say what the commands say, number for number, whatever models are given as."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.conftest import Command
from tests.library.conftest import Said

import reachlab as rl
from reachlab.errors import InvalidArgumentError, NotFoundError, ReachlabWarning
from reachlab.option_names import RENAMED_OPTIONS
from reachlab.store.samples import SampleStore

FEW: dict[str, Any] = {"resamples": 200}
RIGHT_PN = {"base": [[0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 1]], "rl": [[1, 1, 1, 1], [0, 0, 0, 1], [1, 0, 1, 1]]}


def test_it_equals_the_command(runs: Path, said: Said) -> None:
    options = {"k": (1, 4), "level": 0.9, "same_within": 2, "gap_k": 4, "seed": 3}
    words = ("--k", "1", "4", "--level", "0.9", "--same-within", "2", "--gap-k", "4", "--seed", "3")
    expected = said("compare", runs / "base", f"new={runs / 'rl'}", "--resamples", "200", *words)
    found = rl.compare({"base": rl.Run(runs / "base"), "new": runs / "rl"}, **FEW, **options)
    assert found.to_dict() == expected
    assert rl.compare([runs / "base", f"new={runs / 'rl'}"], **FEW, **options).to_dict() == expected


def test_seeds_of_a_recipe_and_all_pairs_equal_the_command(runs: Path, said: Said) -> None:
    words = (f"base={runs / 'base'}", f"rl={runs / 'rl'},{runs / 'rl2'}", "--pairs", "all", "--resamples", "200")
    found = rl.compare({"base": runs / "base", "rl": [rl.Run(runs / "rl"), runs / "rl2"]}, pairs="all", **FEW)
    assert found.to_dict() == said("compare", *words)
    assert found.models[1].runs == ("rl", "rl2")
    assert found.texts == words[:2]


def test_tables_files_and_counts_are_one_comparison(tmp_path: Path, said: Said) -> None:
    for name, right in RIGHT_PN.items():
        np.save(tmp_path / f"{name}.npy", np.array(right))
    expected = said("compare", "--matrix", tmp_path / "base.npy", tmp_path / "rl.npy", "--resamples", "200")
    counts = {name: (np.sum(right, axis=1), np.full(3, 4)) for name, right in RIGHT_PN.items()}
    kinds: list[dict[str, Any]] = [
        RIGHT_PN,
        {name: np.array(right, bool) for name, right in RIGHT_PN.items()},
        {name: torch.tensor(right, dtype=torch.float32) for name, right in RIGHT_PN.items()},
        {name: pd.DataFrame(right) for name, right in RIGHT_PN.items()},
        counts,
        {name: (c_P.tolist(), 4) for name, (c_P, _) in counts.items()},
        {name: {str(p): (int(c), 4) for p, c in enumerate(c_P)} for name, (c_P, _) in counts.items()},
        {name: pd.DataFrame({"correct": c_P, "drawn": n_P}) for name, (c_P, n_P) in counts.items()},
        {name: tmp_path / f"{name}.npy" for name in RIGHT_PN},
    ]
    for models in kinds:
        assert rl.compare(models, **FEW).to_dict() == expected


def test_frames_of_tables_are_paired_by_their_index() -> None:
    base = pd.DataFrame(RIGHT_PN["base"], index=["a", "b", "c"])
    other = pd.DataFrame(RIGHT_PN["rl"], index=["c", "a", "z"])
    with pytest.warns(ReachlabWarning, match="base: 1 of its problems left out, which another table lacks") as heard:
        found = rl.compare({"base": base, "rl": other}, **FEW)
    assert found.problem_ids == ("a", "c")
    assert heard[0].filename == __file__


def test_problems_keep_their_ids_in_columns_and_series() -> None:
    """Counts in another order are paired by the problems' ids, wherever these stand."""
    ids, other = ["b", "a"], ["a", "b"]
    expected = rl.compare({"x": {"b": (1, 4), "a": (2, 8)}, "y": {"a": (3, 4), "b": (4, 4)}}, **FEW).to_dict()
    counts = [(pd.Series([1, 2], ids), pd.Series([8, 4], other)), (pd.Series([3, 4], other), pd.Series([4, 4], other))]
    frames = [pd.DataFrame({"problem_id": c.index, "correct": [*c], "drawn": [*n[c.index]]}) for c, n in counts]
    indexed = [frame.set_index("problem_id") for frame in frames]
    for x, y in (counts, frames, indexed):
        assert rl.compare({"x": x, "y": y}, **FEW).to_dict() == expected
    tables = [
        pd.DataFrame([[1, 0, 5], [1, 1, 9]], columns=[0, 1, "problem_id"]),
        pd.DataFrame([[1, 1], [1, 0]], [9, 5]),
    ]
    assert rl.compare({"x": tables[0], "y": tables[1]}, **FEW).pairs[0].difference.values.tolist() == [0.0, 0.0]
    one = rl.pass_at_k(pd.Series([1, 2], ids), pd.Series([8, 4], other), k=[1, 2])
    fed = one.to_frame(problems=True)
    with pytest.raises(ValueError, match="m: problem 'a' is there twice; give a row a problem"):
        rl.compare({"m": fed}, **FEW)
    with pytest.raises(ValueError, match="m: beside correct and drawn there is 'k'; call"):
        rl.compare({"m": fed.drop(columns="problem_id")}, **FEW)
    found = rl.compare({"m": fed[fed["k"] == 1]}, k=[1, 2], **FEW)
    assert found.models[0].curve.values.tolist() == one.mean.tolist()
    with pytest.raises(ValueError, match="m: 'a' is a problem of correct or of drawn alone"):
        rl.compare({"m": (pd.Series([1, 2], ids), pd.Series([4, 8], ["b", "c"]))}, **FEW)


def test_counts_in_a_list_are_seeds() -> None:
    seeds = [([3, 0], 4), ([2, 1], 4)]
    found = rl.compare({"m": seeds}, **FEW)
    assert found.models[0].runs == ("m (1)", "m (2)")
    assert found.models[0].curve.values[0] == (3 + 0 + 2 + 1) / 16
    by_id = [{"0": (c[0], n), "1": (c[1], n)} for c, n in seeds]
    assert rl.compare({"m": by_id}, **FEW).to_dict() == found.to_dict()


def test_tensors_of_any_type_are_tables() -> None:
    right = {name: torch.tensor(table, dtype=torch.bfloat16, requires_grad=True) for name, table in RIGHT_PN.items()}
    expected = rl.compare(RIGHT_PN, **FEW).to_dict()
    assert rl.compare(right, **FEW).to_dict() == expected
    assert rl.compare_matrices(right, resamples=200).to_dict() == rl.compare(RIGHT_PN, **FEW).found.to_dict()
    for options, message in (
        ({"k": [1]}, "compare_matrices: there is no keyword 'k'; did you mean ks"),
        ({"resamples": "x"}, "compare_matrices: resamples='x' must be a whole number"),
    ):
        with pytest.raises(ValueError, match=message):
            rl.compare_matrices(RIGHT_PN, **options)
    with pytest.raises(ValueError, match="compare_matrices: tables are given by name"):
        rl.compare_matrices([[0, 1]])  # type: ignore[arg-type]


def test_an_option_s_old_name_works_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RENAMED_OPTIONS, "compare", {"--old-level": "--level"})
    with pytest.warns(FutureWarning, match="old_level is called level now"):
        assert rl.compare(RIGHT_PN, **FEW, old_level=0.9).config.level == 0.9


def test_several_tables_are_seeds() -> None:
    found = rl.compare({"base": RIGHT_PN["base"], "rl": [np.array(RIGHT_PN["rl"]), np.array(RIGHT_PN["base"])]}, **FEW)
    assert found.models[1].runs == ("rl (1)", "rl (2)")


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({}, "there is no model; give one or more"),
        (
            {"base": ([0, 1], [1, 1])},
            r"a tuple of two lists of 0 and 1 is \(correct, drawn\) or a table of two problems",
        ),
        ({"base": ([3, 1], [2, 2])}, "base: counts must be whole numbers, none below 0, and correct at most drawn"),
        ({"base": ([3, 1], [4, 4, 4])}, "base: correct and drawn must be two lists of one length"),
        ({"base": (1, 2, 3)}, r"base: a tuple is \(correct, drawn\), two lists"),
        ({"base": {"a": 3}}, r"base: 'a': \(correct, drawn\) wanted"),
        ({"base": {0: 3, 1: (2, 4)}}, r"base: 0: \(correct, drawn\) wanted"),
        ({"base": [(1, 1), (0, 1)]}, "base: a list of pairs is counts or a table of two samples; write"),
        ({"base": ([3, [1]], [4, 4])}, "base: counts must be two lists of whole numbers"),
        ({"base": [[0, 0.5]]}, r"base\[0, 1\] is 0.5"),
        ({3: [[0, 1]]}, "3 is no name of a model"),
        ({"base": "runs/base", "rl": [[0, 1]]}, "base is a run and rl a table; give all as one or the other"),
        ([[0, 1], [1, 1]], "models are given by name"),
        (np.eye(2), "models are given by name"),
        ({"base": ["runs/a", "runs/a"]}, "base: names a run twice"),
    ],
)
def test_what_is_no_model_is_refused(models: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rl.compare(models, **FEW)


def test_errors_are_what_a_caller_catches(runs: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none: not a run of samples"):
        rl.compare([runs / "base", runs / "none"])
    with pytest.raises(NotFoundError, match=r"none\.csv: no such file"):
        rl.compare({"a": runs / "none.csv"})
    with pytest.raises(TypeError, match="compare: there is no keyword 'levle'; did you mean level"):
        rl.compare([runs / "base"], levle=0.9)
    with pytest.raises(ValueError, match="compare: there is no keyword 'names': the first argument says it"):
        rl.compare([runs / "base"], names=("a",))
    with pytest.raises(ValueError, match="k = 99 is outside 1 to 10"):
        rl.compare([runs / "base"], k=99)


def test_a_run_that_is_drawn_meanwhile_is_compared_by_what_it_holds(runs: Path) -> None:
    from tests.serving.conftest import more

    before = rl.Run(runs / "base")
    assert len(before) == 72
    more(runs / "base", 12, 15, right=True)
    assert len(before) == 90
    assert before.drawn_P.tolist() == [13, 15, 15, 15, 15, 15]
    assert rl.compare([before], **FEW).models[0].least_n == 13


def test_frames_hold_every_number(runs: Path) -> None:
    found = rl.compare({"base": runs / "base", "rl": runs / "rl"}, **FEW)
    points = found.to_frame()
    assert points.columns.tolist() == ["model", "k", "pass_at_k", "low", "high", "level"]
    rl_points = points[points["model"] == "rl"]
    assert rl_points["pass_at_k"].tolist() == found.models[1].curve.values.tolist()
    assert rl_points["k"].tolist() == found.ks.tolist() == list(range(1, 11))
    difference = found.to_frame("difference")
    assert difference["difference"].tolist() == found.pairs[0].difference.values.tolist()
    assert (difference["band_low"] <= difference["low"] + 1e-9).all()
    models = found.to_frame("models")
    assert models["label"].tolist()[1] == found.verdicts["rl"].label
    assert models["verdict"].tolist()[1] == found.verdicts["rl"].sentence
    with pytest.raises(ValueError, match=r"to_frame: rows=.diffrence. must be one of .*; did you mean 'difference'"):
        found.to_frame("diffrence")  # type: ignore[arg-type]


def test_it_shows_what_the_command_prints(runs: Path, command: Command) -> None:
    found = rl.compare([runs / "base", runs / "rl"], **FEW)
    _, out, _ = command("compare", runs / "base", runs / "rl", "--resamples", "200")
    shown = [line.rstrip() for line in out.splitlines()]
    assert [line.rstrip() for line in str(found).splitlines()] == shown[: len(str(found).splitlines())]
    assert repr(found) == str(found)


def test_a_notebook_shows_verdict_and_table_and_no_html_of_a_name() -> None:
    models = {"base": RIGHT_PN["base"], "<img src=x onerror=alert(1)>": RIGHT_PN["rl"]}
    html = rl.compare(models, **FEW)._repr_html_()
    assert html.startswith("<p>&lt;img src=x onerror=alert(1)&gt; is ")
    assert "<img" not in html
    assert "<th>pass@1</th>" in html


def test_the_figure_is_the_page_s_in_colours_that_plotly_knows() -> None:
    figure = rl.compare(RIGHT_PN, **FEW).plot()
    text = figure.to_json()
    assert "var(--" not in text
    lines = [trace for trace in figure.data if trace.fill is None]
    assert [trace.name for trace in lines] == ["base", "rl"]
    assert lines[1].y.tolist() == pytest.approx([0.6667, 0.8333, 0.9167, 1.0], abs=1e-4)
    assert re.fullmatch(r"rgba\(\d+,\d+,\d+,1\)", lines[0].line.color)


@pytest.mark.slow
def test_a_report_is_the_command_s_page(runs: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)
    code, _, err = command("report", "base", "new=rl", "--resamples", "200", "--title", "T", "--out", "c.html")
    assert code == 0, err
    page = rl.report({"base": "base", "new": rl.Run("rl")}, "l.html", title="T", **FEW)
    assert str(page.path) == "l.html"
    own, theirs = (
        re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d [^<\"]*", "", (runs / n).read_text("utf-8")) for n in ("l.html", "c.html")
    )
    assert own.replace("l.html", "c.html").replace("base=base ", "base ") == theirs
    shown = page._repr_html_()
    assert shown.startswith("<iframe sandbox=")
    assert "allow-same-origin" not in shown
    assert shown.count('"') == 8
    assert page.url.endswith("/l.html")
    assert page.to_dict() == page.comparison.to_dict()
    again = rl.report(page.comparison, "m.html", title="T")
    assert again.comparison is page.comparison


def test_a_page_needs_runs_and_a_place(runs: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="report: a page shows samples, which tables do not hold"):
        rl.report(RIGHT_PN, runs / "r.html", **FEW)
    (runs / "kept.html").write_text("no page")
    with pytest.raises(ValueError, match="there is a file already, and it is no page; give another out"):
        rl.report([runs / "base"], runs / "kept.html")
    made = rl.compare([runs / "base"], **FEW)
    with pytest.raises(ValueError, match="report: level is for runs; this comparison is made"):
        rl.report(made, runs / "r.html", level=0.9)


def test_matrices_stay() -> None:
    found = rl.compare_matrices(RIGHT_PN, resamples=200)
    assert found.to_dict() == rl.compare(RIGHT_PN, **FEW).found.to_dict()
    with pytest.raises(ValueError, match="nothing"):
        rl.compare_matrices({"a": np.empty((0, 2))})


def test_a_run_of_two_problems_reads_as_stored(runs: Path) -> None:
    store = SampleStore(rl.Run(runs / "rl")._folder)
    assert rl.Run(runs / "rl").correct_P.tolist() == store.outcomes().c_P.tolist()
