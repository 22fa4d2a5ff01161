import io
from pathlib import Path

from rich.console import Console
from tests.measures.small_runs import drawn, stored

from reachlab.measures.chance_rate import measure_chance
from reachlab.measures.config import ChanceConfig
from reachlab.measures.measured_run import Intervals, MeasuredRun
from reachlab.measures.results import measure_run
from reachlab.reporting.run_table import meaning, print_measures
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task


def printed(store: SampleStore, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_measures(measure_run(MeasuredRun(store, Intervals(100))), 0.95, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_row_a_quantity_and_a_column_a_k(tmp_path: Path) -> None:
    asked = load_task("chain,length=2").problems("test", 6)
    samples = [drawn(p.id, i, f"0+7={7 + i % 9}", right=i % 9 == 0) for p in asked for i in range(300)]
    store = SampleStore(stored(tmp_path / "run [1]", samples[:2], asked).folder)
    store.write_part(samples[2:])
    before = printed(store)
    lines = [line.split() for line in before.splitlines()]
    assert ["k", "1", "4", "16", "32", "128", "300"] in lines
    (row,) = (line for line in lines if line[:1] == ["pass@k"])
    assert (row[1], row[-1]) == ("11.3", "100.0")
    assert before.startswith("run [1]: 6 problems, 1,800 samples; shares in percent, 95% intervals")
    assert "1,746 of 1,800 samples are equal to another of their problem; 29,106 equal pairs" in before
    assert "no luck by answer space: not measured; `reachlab chance" in before
    assert "maj@k counts drawn subsets, which adds a standard error of " in before
    measure_chance(ChanceConfig(run=str(store.folder.path)))
    after = printed(store)
    assert "luck@k" in after
    assert "uniform guessing 1%, pass@300 95.1%" in after
    assert "no luck" not in after
    assert all(len(line) <= 80 for line in printed(store, 80).splitlines())


def test_each_row_is_explained_and_equal_ones_stand_once(tmp_path: Path) -> None:
    asked = load_task("chain,length=2").problems("test", 4)
    samples = [drawn(p.id, i, f"0+7={i % 9}", right=i % 9 == 7, logprob=-5.0) for p in asked for i in range(20)]
    words = " ".join(printed(stored(tmp_path / "run", samples, asked), 80).split())
    assert "pass@k: the chance that at least one of k samples is right" in words
    assert "maj@k: " in words
    assert words.count("same numbers as best@k") == 1
    assert "no luck" in words.lower()


def test_a_name_is_not_said_twice() -> None:
    assert meaning("pass@k", "pass@k: the chance.") == "pass@k: the chance."
    assert meaning("distinct texts", "How many.") == "distinct texts: how many."
