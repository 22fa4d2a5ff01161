from pathlib import Path

import pytest
from tests.studies.conftest import RunStages

from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.studies import recipe
from reachlab.studies.config import VisualConfig
from reachlab.studies.visual import RECIPE, run_visual
from reachlab.tasks.scenes import Scenes


@pytest.mark.slow
def test_from_nothing_to_a_report_and_again(
    tmp_path: Path, one_after_the_other: RunStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of the study, with next to no training, in this process."""
    monkeypatch.setattr(recipe, "run_stages", one_after_the_other)
    config = VisualConfig(out=str(tmp_path / "visual"), problems=4, samples=6, scale=0.001)
    page = run_visual(config)
    assert 'id="pictures-3"' in page.read_text()
    runs = [SampleStore(RunFolder(tmp_path / "visual" / "samples" / name)) for name in recipe.runs_of(RECIPE)]
    assert [run.folder.name for run in runs] == ["base", "grpo", "pods", "distilled", "base-blind", "distilled-blind"]
    assert all(run.outcomes().n_P.tolist() == [6] * 4 for run in runs)
    assert all(p.images[0].startswith("noise:") for p in runs[-1].problems())
    assert len({tuple(p.id for p in run.problems()) for run in runs}) == 1
    weights = {p: p.stat().st_mtime_ns for p in (tmp_path / "visual").rglob("*.safetensors")}
    assert len(weights) == 4
    run_visual(config)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "visual").rglob("*.safetensors")} == weights


def test_answers_have_room() -> None:
    """No right answer is longer than `answer_tokens`, its end included."""
    from random import Random

    from reachlab.models.tokenizer import encode, train_tokenizer

    scenes = Scenes()
    texts = [scenes.solve(p, Random(0)) for p in scenes.problems("train", 400)]
    tokenizer = train_tokenizer("number", [*texts, scenes.alphabet()])
    longest = max(len(ids) + 1 for ids in encode(tokenizer, texts))
    assert longest <= RECIPE.answer_tokens <= longest + 4
