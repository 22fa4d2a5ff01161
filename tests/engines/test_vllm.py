"""The real vLLM, in its own environment (`make vllm`), on tiny checkpoints; and one run over three engines."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.engines.served import serving
from tests.tiny import ENVIRONMENT, TASK, loud, reachlab, rows_of, tiny_tokenizer

from reachlab.models.build import build_model
from reachlab.models.checkpoint import save_model
from reachlab.models.config import ModelConfig

BIN = Path(__file__).parents[2] / ".venv-vllm" / "bin"
HERE = {**ENVIRONMENT, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
SMALL = '{"enforce_eager": true, "max_model_len": 64, "max_num_seqs": 32}'

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not (BIN / "vllm").exists(), reason="no .venv-vllm: make vllm"),
]


def checkpoint(folder: Path) -> Path:
    """A tiny model whose heads are as wide as vLLM's kernels want them."""
    config = ModelConfig(
        family="qwen3", hidden=64, layers=2, heads=2, kv_heads=2, intermediate=64, positions=64, tokenizer="char"
    )  # fmt: skip
    tokenizer = tiny_tokenizer()
    model = loud(build_model(config, tokenizer, seed=0), 0.15)
    # How a checkpoint may like to be sampled: always the likeliest, and never twice. It must not decide.
    model.generation_config.update(
        do_sample=True, top_k=1, min_p=0.5, repetition_penalty=3.0, temperature=0.01, top_p=0.01
    )
    save_model(folder, model, tokenizer)
    return folder


def words(model: Path, out: Path, *more: str) -> list[str]:
    common = ("sample", "--model", model, "--task", TASK, "--problems", "8", "--max-tokens", "12", "--out", out)
    return [*map(str, common), *more]


def vllm(*command: str) -> None:
    found = subprocess.run(
        [BIN / "python", "-m", "reachlab", *command], env=HERE, capture_output=True, text=True, timeout=300, check=False
    )
    assert found.returncode == 0, found.stderr[-3000:]
    assert "Traceback" not in found.stderr, found.stderr[-3000:]


def test_in_process(tmp_path: Path) -> None:
    """Its answers are as likely under the model as it says, and no two seeds draw alike."""
    model = checkpoint(tmp_path / "model")
    # A step of fewer tokens than the prompts under way have: a CPU's generator cannot take back what a part drew.
    tight = SMALL.replace("}", ', "max_num_batched_tokens": 64}')
    vllm(*words(model, tmp_path / "a", "--samples", "24", "--engine", "vllm", "--vllm-args", tight))
    rows = rows_of(tmp_path / "a")
    assert len(rows) == 8 * 24
    assert {row["engine"] for row in rows} == {"vllm"}
    assert len({row["seed"] for row in rows}) == len(rows)
    assert json.loads((tmp_path / "a" / "run.json").read_text())["config"]["dtype"] == "float32"
    assert len({row["text"] for row in rows}) > 30
    assert {row["finish"] for row in rows} <= {"stop", "length"}
    scored = reachlab("score", tmp_path / "a", "--model", model, "--name", "self", timeout=200)
    assert scored.returncode == 0, scored.stderr
    # Where the text is all that was drawn: an untrained model writes special tokens too, which no text shows.
    whole = [row for row in rows_of(tmp_path / "a") if row["tokens"] == row["tokens:self"]]
    assert len(whole) > 50
    for row in whole:
        assert row["logprob"] == pytest.approx(row["logprob:self"], abs=0.02)


def test_without_seeds_and_log_probabilities(tmp_path: Path) -> None:
    """Each start draws with random numbers of its own: two halves of the same problems' samples are not the same."""
    model, out = checkpoint(tmp_path / "model"), tmp_path / "run"
    fast = ("--samples", "24", "--part", "12", "--engine", "vllm", "--vllm-args", SMALL)
    for shard in ("0/2", "1/2"):
        vllm(*words(model, out, *fast, "--no-request-seeds", "--no-logprobs", "--shard", shard))
    rows = rows_of(out)
    assert len(rows) == 8 * 24
    assert {(row["seed"], row["logprob"]) for row in rows} == {(None, None)}
    texts = {half: sorted(row["text"] for row in rows if (row["sample"] < 12) == half) for half in (True, False)}
    assert texts[True] != texts[False]
    assert len({row["text"] for row in rows}) > 30


def test_one_run_over_three_engines(tmp_path: Path) -> None:
    """Begun with the embedded engine and killed, continued by a vLLM server and interrupted, finished under Ray."""
    model, out = checkpoint(tmp_path / "model"), tmp_path / "run"
    same = words(model, out, "--samples", "500", "--rows", "16", "--part", "40")
    process = subprocess.Popen([sys.executable, "-m", "reachlab", *same], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    _wait_for(process, out, 8)
    process.kill()
    process.wait()
    begun = len(rows_of(out))
    # The build for CPUs installs its command under a name that the command itself does not know: the module, then.
    server: list[str | Path] = [BIN / "python", "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    server += ["--port", "{port}", "--enforce-eager", "--max-model-len", "64"]
    with serving(server, "/health", tmp_path / "serve.log", **HERE) as url:
        there = (*same, "--engine", "openai", "--base-url", url, "--concurrency", "16")
        # Shells in the background ignore interrupts, and hand that on to all that they start, pytest too.
        process = subprocess.Popen(
            [sys.executable, "-m", "reachlab", *there],
            env=ENVIRONMENT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        _wait_for(process, out, -(-begun // 40) + 8)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    continued = len(rows_of(out))
    finished = reachlab(*same, "--ray", "local", "--workers", "2", "--worker-cpus", "0.5", timeout=200)
    assert finished.returncode == 0, finished.stderr
    rows = rows_of(out)
    assert len({(row["problem_id"], row["sample"]) for row in rows}) == len(rows) == 4000
    engines = Counter(row["engine"] for row in rows)
    served = {row["text"] for row in rows if row["engine"] == "openai:vllm"}
    assert len(served) > 30  # and not the one likeliest a problem
    assert engines == {"transformers": 4000 - (continued - begun), "openai:vllm": continued - begun}
    assert min(begun, continued - begun, 4000 - continued) > 0
    report = reachlab("report", out, "--out", tmp_path / "page.html", "--resamples", "100")
    assert report.returncode == 0, report.stderr
    said = f"openai:vllm {engines['openai:vllm']:,} · transformers {engines['transformers']:,}"
    assert said in (tmp_path / "page.html").read_text()


def _wait_for(process: "subprocess.Popen[bytes]", out: Path, parts: int) -> None:
    until = time.monotonic() + 120
    while len(list(out.glob("samples/*.parquet"))) < parts:
        assert process.poll() is None, "it ended too soon"
        assert time.monotonic() < until
        time.sleep(0.01)
