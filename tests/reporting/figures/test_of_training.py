from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reachlab.reporting.entries import Entry, read_entries
from reachlab.reporting.figures.of_training import of_training
from reachlab.reporting.figures.section import Section
from reachlab.reporting.lineage import Ancestor
from reachlab.runs import RunFolder


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory, make: SimpleNamespace) -> Entry:
    folder = tmp_path_factory.mktemp("training")
    run = make.samples(folder / "samples", np.ones((2, 2), int))
    comparison, runs = make.measure([run])
    (entry,) = read_entries(comparison, runs)
    return entry


def trained(entry: Entry, rows: list[dict[str, Any]]) -> Section:
    training = Ancestor(RunFolder(Path("nowhere")), {"kind": "rl"})
    training.__dict__["rows"] = rows
    section = of_training([replace(entry, trainings=[training])])
    assert section is not None
    return section


def steps(**quantities: Any) -> list[dict[str, Any]]:
    count = len(next(iter(quantities.values())))
    return [{"step": i + 1, **{k: float(v[i]) for k, v in quantities.items()}} for i in range(count)]


def test_what_training_measured_has_a_figure_each(entry: Entry) -> None:
    noise = np.linspace(0.1, 0.9, 40)
    section = trained(
        entry,
        steps(
            reward=noise, accuracy=noise / 2, clip_fraction=noise, grad_norm=noise, kl=noise, kl_start=noise,
            entropy=noise, answer_tokens=noise, truncated=noise, loss=noise, eval_pass1=noise,
        ),
    )  # fmt: skip
    titles = [figure.title for figure in section.figures]
    assert titles == [
        "rl: reward", "rl: accuracy", "rl: held-out pass@1", "rl: KL to the start", "rl: KL during an update",
        "rl: clip fraction", "rl: gradient norm", "rl: loss", "rl: entropy", "rl: answer length", "rl: truncated",
    ]  # fmt: skip
    assert section.smoothed
    reward, held_out = section.figures[0], section.figures[2]
    assert reward.caption.endswith("Bold: the moving mean over 5 steps; faint: each step.")
    assert len(held_out.plot.data) == 1
    assert reward.data.columns == ("model", "step", "reward", "moving_mean")
    at = {row[1]: row[2:] for row in reward.data.rows}
    assert at[20] == pytest.approx((noise[19], noise[17:22].mean()))
    assert held_out.data.rows[0][3] is None


def test_held_out_pass_at_the_largest_k_stands_behind_that_at_1(entry: Entry) -> None:
    share = [0.2, 0.4]
    section = trained(entry, steps(eval_pass8=share, eval_pass1=share, eval_pass16=share, loss=share))
    titles = [figure.title for figure in section.figures]
    assert titles == ["rl: held-out pass@1", "rl: held-out pass@16", "rl: loss"]
    assert section.figures[1].caption == "Share of held-out problems that 16 samples solve."


def test_equal_reward_and_accuracy_share_a_figure(entry: Entry) -> None:
    right = [0.1, 0.5, 0.3]
    titles = [f.title for f in trained(entry, steps(reward=right, accuracy=right)).figures]
    assert titles == ["rl: reward and accuracy"]
    titles = [f.title for f in trained(entry, steps(reward=right, accuracy=[0.1, 0.5, 0.4])).figures]
    assert titles == ["rl: reward", "rl: accuracy"]


def test_what_is_zero_is_said_and_not_drawn(entry: Entry) -> None:
    section = trained(entry, steps(reward=[0.1, 0.2], loss=[-6e-8, 1e-9], clip_fraction=[0, 0], kl=[0, 0]))
    assert [f.title for f in section.figures] == ["rl: reward"]
    assert "Of rl, zero at every step and not drawn: KL during an update, clip fraction." in section.lead
    assert "The loss of rl is below a millionth at every step" in section.lead
    assert not section.smoothed
    assert [f.title for f in trained(entry, steps(loss=[0.3, 0.2])).figures] == ["rl: loss"]


def test_phases_that_nobody_sees_join_the_others(entry: Entry) -> None:
    spent = {"seconds_generate": [60.0], "seconds_select": [0.1], "seconds_update": [38.0], "seconds": [100.0]}
    (figure,) = trained(entry, steps(**spent)).figures
    assert {bar.name: bar.x[0] for bar in figure.plot.data} == pytest.approx(
        {"generate": 60, "update": 38, "other": 2.0}
    )
    assert figure.caption.endswith("Other has those below 0.5% everywhere: select.")
    assert ("samples", "select", 0.1) in figure.data.rows
