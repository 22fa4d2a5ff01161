"""The commands as a user meets them: what they print, where, and with which exit code."""

import json
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields, is_dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Command
from tests.pairing.matching_runs import SAMPLING, asked, stored
from tests.tiny import ENVIRONMENT, TASK, reachlab, rows_of

from reachlab.cli.headings import CLASSES
from reachlab.commands.options import options_of
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.training.rl_config import RLConfig

COMMANDS = (
    "tasks", "pretrain", "distill", "rl", "sample", "import", "export", "verify", "compare", "report", "power", "study",
    "moe",
)  # fmt: skip
SIX = ("--problems", "6", "--samples", "30", "--max-tokens", "8", "--rows", "16", "--part", "15")


@pytest.fixture(scope="module")
def run(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of samples made by a command in a process of its own; leave it as it is."""
    out = tmp_path_factory.mktemp("runs") / "base"
    done = reachlab("sample", "--model", checkpoint, "--task", TASK, "--out", out, *SIX)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}: 180 samples stored, 180 drawn now\n"
    return out


def test_the_same_task_in_another_spelling_is_the_same_run(
    run: Path, checkpoint: Path, command: Command, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "run")
    shutil.copytree(run, tmp_path / "other")
    words = ("sample", "--model", checkpoint, "--out", tmp_path / "run", *SIX, "--task")
    code, out, err = command(*words, f"{TASK}, division = .2")
    assert (code, out) == (0, f"{tmp_path / 'run'}: 180 samples stored, 0 drawn now\n"), err
    code, _, err = command(*words, f"{TASK},max_number=14")
    assert code == 2
    assert "holds a run with another configuration: task was" in err
    document = json.loads((tmp_path / "other" / "run.json").read_text())
    document["config"]["task"] += ",template=plain,blind=false"
    (tmp_path / "other" / "run.json").write_text(json.dumps(document))
    code, out, err = command("compare", run, tmp_path / "other", "--resamples", "50")
    assert code == 0, err
    assert "task settings" not in out


def test_help_names_every_command_and_each_has_an_example(command: Command) -> None:
    code, out, _ = command("--help")
    assert code == 0
    for name in COMMANDS:
        assert name in out
        code, help_, _ = command(name, "--help")
        assert code == 0
        assert f"reachlab {name}" in help_
        assert "Examples\n  reachlab " in help_


@pytest.mark.parametrize(
    "words",
    [(), ("chess",), ("sample",), ("sample", "--temprature", "1"), ("compare", "--k", "x"), ("study", "nothing")],
)
def test_a_command_line_that_makes_no_sense(words: tuple[str, ...], command: Command) -> None:
    code, _, err = command(*words)
    assert code == 2
    assert "Traceback" not in err


def test_tasks_are_listed_and_shown(command: Command) -> None:
    code, out, _ = command("tasks")
    assert code == 0
    assert "countdown" in out
    assert "gym:gsm_symbolic" in out
    code, out, _ = command("tasks", "--json")
    assert {"countdown", "chain", "gym", "math"} <= {row["task"] for row in json.loads(out)}
    code, out, _ = command("tasks", TASK, "--problems", "2", "--json")
    shown = json.loads(out)
    assert len(shown) == 2
    assert shown[0]["prompt"].endswith(":")
    code, out, _ = command("tasks", TASK, "--problems", "2")
    assert shown[0]["id"].split("=")[0].split()[0] in out


def test_brackets_in_a_prompt_are_no_markup(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "math.jsonl"
    file.write_text(json.dumps({"question": "[/b] is [red]x[/red]?", "answer": "1"}) + "\n")
    code, out, err = command("tasks", f"math:{file}", "--split", "all", "--problems", "1")
    assert code == 0, err
    assert "[/b]" in out
    assert "[red]x[/red]" in out


def truncated(folder: Path) -> str:
    file = folder / "truncated.jsonl"
    file.write_text('{"question": "1+1?", "answer": "2"}\n{"question": "2+2?", "ans')
    return f"math:{file}"


def empty(folder: Path) -> str:
    (folder / "empty.jsonl").write_text("")
    return f"math:{folder / 'empty.jsonl'}"


def missing_field(folder: Path) -> str:
    (folder / "field.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n{"question": "2+2?"}\n')
    return f"math:{folder / 'field.jsonl'}"


def duplicate(folder: Path) -> str:
    row = '{"id": "a", "question": "1+1?", "answer": "2"}\n'
    (folder / "duplicate.jsonl").write_text(row + row)
    return f"math:{folder / 'duplicate.jsonl'}"


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (truncated, "truncated.jsonl:2"),
        (empty, "empty.jsonl"),
        (missing_field, "field.jsonl:2"),
        (duplicate, "duplicate.jsonl:2"),
        (lambda folder: f"math:{folder / 'none.jsonl'}", "none.jsonl"),
        (lambda _: "countdown,numbers=9", "numbers=9"),
        (lambda _: "countdown,nubmers=3", "nubmers"),
        (lambda _: "chess", "unknown task family 'chess'"),
        (lambda _: "gym:chess", "chess"),
    ],
)
def test_a_damaged_task_is_one_line_and_exit_code_2(
    make: Any, place: str, command: Command, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    code, printed, err = command("sample", "--model", checkpoint, "--task", make(tmp_path), "--out", out)
    assert (code, printed) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert place in err
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--samples", "0"), "samples=0 must be 1 or more"),
        (("--temperature", "-1"), "temperature=-1.0 must be 0 or more"),
        (("--top-p", "2"), "top_p=2.0 must be above 0 and at most 1"),
        (("--max-tokens", "0"), "max_tokens=0 must be 1 or more"),
        (("--shard", "2/2"), "shard='2/2' must be i/n"),
        (("--device", "cuda:99"), "device 'cuda:99' is not usable here"),
    ],
)
def test_a_setting_that_cannot_be(
    words: tuple[str, ...], says: str, command: Command, checkpoint: Path, tmp_path: Path
) -> None:
    base = ("sample", "--model", checkpoint, "--task", TASK, "--out", tmp_path / "run")
    code, printed, err = command(*base, *words)
    assert (code, printed, err.count("\n")) == (2, "", 1)
    assert says in err
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_without_a_tokenizer(command: Command, checkpoint: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(checkpoint, tmp_path / "bare"))
    (bare / "tokenizer.json").unlink()
    for words in (
        ("sample", "--model", bare, "--task", TASK),
        ("distill", "--model", bare, "--task", TASK, "--teacher", "solver"),
        ("rl", "--model", bare, "--task", TASK),
    ):
        code, _, err = command(*words, "--out", tmp_path / "run")
        assert (code, err.count("\n")) == (2, 1)
        assert err.startswith(f"error: {bare}: a checkpoint without a tokenizer; copy tokenizer.json")
        assert not (tmp_path / "run").exists()


def test_a_run_of_another_configuration(command: Command, checkpoint: Path, run: Path) -> None:
    before = rows_of(run)
    words = ("sample", "--model", checkpoint, "--task", TASK, "--out", run, *SIX)
    code, _, err = command(*words, "--temperature", "0.5")
    assert (code, err.count("\n")) == (2, 1)
    assert "decoding.temperature was 1.0, now 0.5" in err
    assert rows_of(run) == before
    code, out, _ = command(*words)
    assert (code, out) == (0, f"{run}: 180 samples stored, 0 drawn now\n")


@pytest.mark.slow
def test_a_sampling_process_killed_and_started_again(checkpoint: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    words: list[str | Path] = ["sample", "--model", checkpoint, "--task", TASK, "--out", out, *SIX]
    command = [sys.executable, "-m", "reachlab", *words]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    parts = random.randint(1, 10)  # another moment every time the tests run
    while process.poll() is None and len(list(out.glob("samples/part-*"))) < parts:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = reachlab(*words)
    assert done.returncode == 0, done.stderr
    assert rows_of(out) == rows_of(run)


def test_k_larger_than_n(command: Command, run: Path) -> None:
    code, printed, err = command("compare", run, "--k", "31")
    assert (code, printed, err.count("\n")) == (2, "", 1)
    assert "31" in err
    assert "30" in err


@pytest.mark.parametrize("verb", ["compare", "report"])
def test_runs_that_are_none(verb: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for words in ((), (tmp_path / "nothing",), (tmp_path / "empty",)):
        code, _, err = command(verb, *words)
        assert code == 2
        assert err.count("\n") == 1 or not words


def test_compare_prints_a_table_and_json(command: Command, run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    code, out, _ = command("compare", run, other, "--resamples", "100")
    assert code == 0
    assert "base" in out
    assert "other" in out
    code, out, _ = command("compare", run, other, "--resamples", "100", "--k", "1", "30", "--json")
    assert code == 0
    assert isinstance(json.loads(out), dict)


def test_runs_are_compared_on_problems_that_ask_the_same(command: Command, tmp_path: Path) -> None:
    base, other = tmp_path / "base", tmp_path / "other"
    problems = asked()
    stored(base, problems)
    renamed = [replace(p, id=str(5 - at)) for at, p in enumerate(problems)]
    stored(other, renamed, right=2, config={"decoding": {**SAMPLING, "temperature": 1.0}})
    for words in (
        ("compare", base, other),
        ("report", base, other, "--out", tmp_path / "r.html"),
        ("power", base, other),
    ):
        code, out, err = command(*words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "base and other are not about the same problems: of 6 ids in both, 6 with another question" in err
    code, out, err = command("compare", base, other, "--match", "question", "--resamples", "100")
    assert code == 0
    assert err == "note: other: 6 of 6 problems found in base by question\n"
    assert re.search(r"what differs, and is not the model\s+.*\s+temperature +0.6 \(base\) *\n +1.0 \(other\)", out)
    code, out, _ = command("compare", base, other, "--match", "question", "--resamples", "100", "--json")
    found = json.loads(out)
    assert found["conditions"] == [{"what": "temperature", "values": {"base": "0.6", "other": "1.0"}}]
    assert found["matching"]["match"] == "question"
    assert found["problem_ids"] == [str(i) for i in range(6)]
    assert code == command("power", base, other, "--match", "question")[0] == 0
    page = tmp_path / "r.html"
    assert command("report", base, other, "--match", "question", "--resamples", "100", "--out", page)[0] == 0
    html = page.read_text()
    told = [
        html.index(text) for text in ("6 of 6 problems found", "What differs, and is not the model", 'id="summary"')
    ]
    assert told == sorted(told)


def test_report_writes_a_page(command: Command, run: Path, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "report.html"
    code, out, err = command("report", run, "--out", page, "--resamples", "100", "--title", "A <title>")
    assert code == 0, err
    assert out.strip() == str(page)
    assert "A &lt;title&gt;" in page.read_text()


def test_models_are_named_by_option(command: Command, run: Path, tmp_path: Path) -> None:
    other, page = tmp_path / "other=1", tmp_path / "report.html"
    shutil.copytree(run, other)
    words = (run, other, "--names", "A base", "GRPO <1>")
    code, _, err = command("report", *words, "--out", page, "--resamples", "100")
    assert code == 0, err
    html = page.read_text()
    assert "<h1>A base and GRPO &lt;1&gt; on countdown: " in html
    # The page says the command that wrote it, which says the names again.
    said = re.search(r'<code id="stage-\d+">(<span>reachlab report .*?)</code>', html)
    assert said is not None
    command_line = unescape(re.sub("<[^>]*>", "", said[1]))
    assert shlex.split(command_line)[1:] == ["report", *map(str, words), "--resamples", "100", "--out", str(page)]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("a",), "--names: 1 names for 2 models; give one each"),
        (("a", "b=c"), "--names: 'b=c' is no name of a model: it may not be empty or hold = / \\ :"),
        (("a", " "), "--names: ' ' is no name of a model"),
        (("a", "a"), "two models have the same name"),
    ],
)
def test_names_that_name_nothing(
    names: tuple[str, ...], says: str, command: Command, run: Path, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "other")
    code, _, err = command("compare", run, tmp_path / "other", "--names", *names)
    assert (code, err.count("\n")) == (2, 1)
    assert says in err


def test_verify_says_what_changed(command: Command, run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    code, out, _ = command("verify", copy)
    assert (code, out) == (0, f"{copy}: no verdict changed\n")
    store = SampleStore(RunFolder(copy))
    assert rows_of(copy) == rows_of(run)
    part = Path(store.parts()[0])
    part.write_bytes(part.read_bytes()[:-10])
    code, _, err = command("verify", copy)
    assert (code, err.count("\n")) == (2, 1)
    assert f"{part}: not a readable part" in err


def test_samples_from_elsewhere(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    rows = [{"question": f"{i}+{i}?", "answer": str(2 * i), "response": f"It is {2 * i + (i == 3)}."} for i in range(4)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, err = command("import", file, "--out", tmp_path / "run", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found[0]["samples"], found[0]["problems"], found[0]["correct"]) == (4, 4, 3)
    with file.open("a") as damaged:
        damaged.write('{"question": "9')
    code, _, err = command("import", file, "--out", tmp_path / "other")
    assert (code, err.count("\n")) == (2, 1)
    assert "answers.jsonl:5" in err
    assert not (tmp_path / "other").exists()


def test_a_whole_pipeline_by_hand(command: Command, tmp_path: Path) -> None:
    base, student, pods = tmp_path / "base", tmp_path / "student", tmp_path / "pods"
    shape = ("--hidden", "32", "--layers", "1", "--heads", "2", "--threads", "1")
    steps = ("--steps", "2")
    words: list[tuple[str | Path, ...]] = [
        ("pretrain", "--data", TASK, "--out", base, *shape, *steps, "--batch", "4"),
        ("distill", "--model", base, "--teacher", "solver", "--task", TASK, "--out", student, *steps, "--batch", "4"),
        ("rl", "--model", base, "--task", TASK, "--out", pods, *steps, "--prompts", "2", "--rollouts", "4")
        + ("--keep", "2", "--rule", "max_variance", "--max-tokens", "4"),
    ]
    for line in words:
        code, out, err = command(*line)
        assert code == 0, err
        assert out == f"model in {line[line.index('--out') + 1]}/model\n"
    again = [word if word != TASK else f"{TASK.replace(',', ' , ')}, mistakes=.5" for word in words[2]]
    code, out, err = command(*again)  # a default spelled out is no other task
    assert (code, out) == (0, f"model in {pods}/model\n"), err
    code, _, err = command(*(word if word != TASK else f"{TASK},mistakes=0.25" for word in words[2]))
    assert (code, "task was" in err) == (2, True)
    for model in (base, student, pods):
        code, out, err = command(
            "sample", "--model", model, "--task", TASK, "--problems", "3", "--samples", "4", "--max-tokens", "4",
            "--out", tmp_path / "samples" / model.name,
        )  # fmt: skip
        assert code == 0, err
    runs = [tmp_path / "samples" / name for name in ("base", "student", "pods")]
    code, out, err = command("report", *runs, "--out", tmp_path / "report.html", "--resamples", "50")
    assert code == 0, err


def test_help_of_rl_names_every_group_and_every_setting(command: Command) -> None:
    code, out, _ = command("rl", "--help")
    assert code == 0
    groups = [field for field in fields(RLConfig) if is_dataclass(field.default)]
    assert {group.name for group in groups} >= {"objective", "selection", "budget", "evaluation", "weights"}
    for group in groups:
        assert CLASSES[type(group.default).__name__] in out
    settings = [f.name for group in groups for f in fields(type(group.default))]  # type: ignore[arg-type]
    assert {option.name for option in options_of(RLConfig)} >= {*settings}
    for option in options_of(RLConfig):
        assert option.typed[:20] in " ".join(out.split()), option.name


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--algorithm", "nonsense"), "nonsense"),
        (("--rule", "worst", "--keep", "2"), "worst"),
        (("--track", "paper"), "paper"),
        (("--rollouts", "8", "--keep", "4"), "needs a --rule"),
        (
            ("--algorithm", "dapo", "--rule", "max_variance", "--keep", "4", "--budget", "waves"),
            "add --overlong-buffer 0",
        ),
        (
            ("--algorithm", "ppo", "--rule", "random", "--keep", "4", "--advantage-normalisation", "all"),
            "needs --advantage-normalisation kept",
        ),
        (("--reward", "nowhere:f"), "reward 'nowhere:f' cannot be imported"),
    ],
    ids=["algorithm", "rule", "tracker", "keep", "waves", "normalise", "reward"],
)
def test_rl_that_cannot_be(
    words: tuple[str, ...], says: str, command: Command, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    code, printed, err = command("rl", "--model", checkpoint, "--task", TASK, "--out", out, *words)
    assert (code, printed) == (2, "")
    assert says in err
    assert "Traceback" not in err
    assert not out.exists()


def test_advice_writes_nothing(
    command: Command, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reachlab.regime.advise.RESAMPLES", 1)
    code, out, err = command(
        "rl", "--advise", "--model", checkpoint, "--task", TASK, "--prompts", "2", "--rollouts", "8", "--keep", "2",
        "--rule", "max_variance", "--max-tokens", "4", "--threads", "1", "--out", "run",
    )  # fmt: skip
    assert code == 0, err
    assert "one more rollout" in out
    assert "PODS 8 → 2" in out
    assert re.search(r"the better of GRPO \d+ and GRPO \d+", " ".join(out.split()))
    assert not list(tmp_path.iterdir())


def test_a_small_map_of_when_selection_pays(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "regime"
    words = ("--keep", "4", "--widths", "2", "4", "--ratios", "0.5", "3", "--steps", "8", "--seeds", "6")
    code, printed, err = command("study", "regime", *words, "--prompts", "4", "--out", out)
    assert code == 0, err
    assert "PODS 16 → 4" in printed
    assert printed.endswith(f"the map is {out / 'regime.html'}\n")
    assert json.loads((out / "regime.json").read_text())["config"]["widths"] == [2, 4]
    code, printed, err = command("study", "regime", "--widths", "1", "--out", tmp_path / "none")
    assert (code, printed, err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "none").exists()


def test_a_reader_that_leaves_early_is_no_error() -> None:
    script = f"{sys.executable} -m reachlab tasks | head -c 10"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert "Traceback" not in done.stderr


def test_an_interrupted_command_says_how_to_go_on(
    command: Command, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SampleStore, "write_part", interrupt)
    code, _, err = command("sample", "--model", checkpoint, "--task", TASK, "--out", tmp_path / "run", *SIX)
    assert code == 130
    assert err == "stopped; run the same command again to go on\n"


def test_a_defect_keeps_its_traceback(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("reachlab.tasks.listing.list_tasks", defect)
    with pytest.raises(ZeroDivisionError):
        command("tasks")


def test_an_option_by_its_old_name(command: Command) -> None:
    words = ["rl", "--model", "m", "--task", "countdown", "--out", "o", "--rule", "random", "--keep", "4"]
    for old in (["--lot", "2"], ["--lot=2"]):
        code, _, err = command(*words, "--rollouts", "8", *old)
        assert code == 2
        assert "--lot is called --random-keep now" in err
        assert "--random-keep makes the gradient that of all rollouts: add --advantage-normalisation all" in " ".join(
            err.split()
        )
