import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Command
from tests.measures.small_runs import drawn, stored
from tests.tasks.hostile import Stepping

from reachlab.errors import ReachlabError
from reachlab.measures import chance_rate as guessing
from reachlab.measures.chance_rate import measure_chance, read_chance
from reachlab.measures.config import ChanceConfig
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task

TASK = "chain,length=2"


def chains(path: Path, texts_of: int = 4, problems: int = 12) -> SampleStore:
    """Answers that all say 7 or 8, to chains with whatever value they have."""
    asked = load_task(TASK).problems("test", problems)
    samples = [drawn(p.id, i, f"0+{7 + i % 2}={7 + i % 2}") for p in asked for i in range(texts_of)]
    return stored(path, samples, asked)


def run_of(store: SampleStore) -> str:
    return str(store.folder.path)


def test_answers_meet_other_gold_answers(tmp_path: Path) -> None:
    store = chains(tmp_path / "run")
    store.write_part(store.part(store.parts()[0])[:1])  # a copy that another worker stored
    found = measure_chance(ChanceConfig(run=run_of(store)))
    values = [p.answer["value"] for p in store.problems()]
    for s, partner_P in enumerate(found.partner_SP):
        for p, partner in enumerate(partner_P.tolist()):
            assert values[partner] != values[p]
            assert found.n_SP[s, p] == 4
            assert found.c_SP[s, p] == 2 * (values[partner] in (7, 8))
    assert Counter(found.partner_SP[0].tolist()) == Counter(range(len(values)))
    assert (found.left_out, found.most, found.unscored_SP.sum()) == (0, 4, 0)
    plain = found.to_dict()
    assert (plain["shuffles"], plain["scored"], plain["ks"]) == (3, 3 * 48, [1, 2, 4])
    assert plain["rate"] == pytest.approx(plain["luck"][0]) == pytest.approx(found.c_SP.sum() / 144)
    assert sum(group["scored"] for group in plain["groups"]) == 144


def test_what_was_measured_is_kept_until_the_samples_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = chains(tmp_path / "run")
    assert read_chance(store) == (None, f"not measured; `reachlab chance {store.folder.url}` does")
    config = ChanceConfig(run=run_of(store))
    first = measure_chance(config).to_dict()
    kept, why = read_chance(store)
    assert kept is not None
    assert (kept.to_dict(), why) == (first, "")
    with monkeypatch.context() as patch:
        patch.setattr(guessing, "_judge", lambda *_: pytest.fail("judged again"))
        assert measure_chance(config).to_dict() == first
    assert measure_chance(ChanceConfig(run=run_of(store), shuffles=2)).to_dict()["shuffles"] == 2
    problem = store.problems()[0].id
    store.write_part([drawn(problem, 4, "0+7=7")])
    assert read_chance(store) == (
        None,
        f"measured on other samples; `reachlab chance {store.folder.url}` measures again",
    )
    assert measure_chance(config).to_dict()["scored"] == 3 * 49
    assert read_chance(store)[0] is not None


def test_the_first_samples_alone(tmp_path: Path) -> None:
    found = measure_chance(ChanceConfig(run=run_of(chains(tmp_path / "run")), samples=1, shuffles=1))
    assert (found.most, int(found.n_SP.sum())) == (1, 12)


def test_an_adaptive_run_is_measured_on_what_every_problem_has(tmp_path: Path) -> None:
    asked = load_task(TASK).problems("test", 6)
    samples = [drawn(p.id, i, "0+7=7") for p in asked for i in range(2 if p is asked[0] else 6)]
    plan = {"looks": [2, 6], "enough": 1, "target_width": None}
    store = stored(tmp_path / "run", samples, asked, adaptive=plan)
    assert measure_chance(ChanceConfig(run=run_of(store), shuffles=1)).n_SP.tolist() == [[2] * 6]


def test_answers_that_harm_the_verifier_are_unscored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Stepping(6)
    monkeypatch.setattr(guessing, "load_task", lambda spec: task)
    samples = [drawn(p.id, i, text) for p in task.all_problems for i, text in enumerate(("raise", "exit", "x:3"))]
    store = stored(tmp_path / "run", samples, task.all_problems)
    found = measure_chance(ChanceConfig(run=run_of(store), shuffles=2, workers=1))
    assert int(found.unscored_SP.sum()) == 2 * 2 * 6
    assert (int(found.n_SP.sum()), int(found.c_SP.sum())) == (12, 2)


@pytest.mark.parametrize("text", ["{", "[]", '{"depends": {}, "spaces": []}', '{"spaces": [{"kind": 1}]}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    store = chains(tmp_path / "run")
    (tmp_path / "run" / "guess.json").write_text(text)
    with pytest.raises(ReachlabError, match=r"guess\.json") as error:
        measure_chance(ChanceConfig(run=run_of(store)))
    assert "\n" not in str(error.value)


def test_one_gold_answer_for_all_has_nothing_to_shuffle(tmp_path: Path) -> None:
    asked = load_task("countdown,numbers=2").problems("test", 1)
    store = stored(tmp_path / "run", [drawn(asked[0].id, 0, "1+1=2")], asked, task="countdown,numbers=2")
    with pytest.raises(ReachlabError, match="no two of its problems have different gold answers"):
        measure_chance(ChanceConfig(run=run_of(store)))
    assert not (tmp_path / "run" / "guess.json").exists()


def test_chains_whose_numbers_are_others_are_never_right(tmp_path: Path) -> None:
    task = load_task("countdown,numbers=3")
    asked = task.problems("test", 10)
    samples = [drawn(p.id, 0, str(p.metadata["solution"])) for p in asked]
    store = stored(tmp_path / "run", samples, asked, task="countdown,numbers=3")
    found = measure_chance(ChanceConfig(run=run_of(store)))
    assert (int(found.c_SP.sum()), int(found.n_SP.sum())) == (0, 30)
    assert [group.label for group in found.groups((1,))] == ["open"]


def test_the_command(command: Command, tmp_path: Path) -> None:
    store = chains(tmp_path / "run")
    code, out, err = command("chance", run_of(store), "--shuffles", "2")
    assert code == 0, err
    assert "integer of 1" in out
    assert "uniform@4" in out
    code, out, _ = command("chance", run_of(store), "--shuffles", "2", "--json")
    assert code == 0
    assert np.isclose(json.loads(out)["groups"][0]["uniform"][0], 0.1)
    for words in (("--shuffles", "0"), ("--timeout", "0"), ("--samples", "-1")):
        code, out, err = command("chance", run_of(store), *words)
        assert (code, out, err.count("\n")) == (2, "", 1)
    code, _, err = command("chance", tmp_path / "nowhere")
    assert (code, err.count("\n")) == (2, 1)
