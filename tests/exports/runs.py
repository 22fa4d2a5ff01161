"""Runs to export, with all that a store can hold."""

import random
from pathlib import Path
from typing import Any

from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Chat, Problem, Sample, StepCheck, Verdict

CONFIG: dict[str, Any] = {
    "task": "math",
    "model": "fa4e37cd317e7b19dc19b26b024ade88",
    "decoding": {"temperature": 0.7, "top_p": 0.95, "top_k": 0, "max_tokens": 64, "stop": ["\n\n"]},
    "ask": {"template": "plain"},
    "split": "test",
    "problems": 3,
    "samples": 4,
    "seed": 0,
}
TEXTS = ("4", "", "a\u2028b\u2029c\x85d\x0be", "NUL \x00 in it", "\\ud83d", "日本 \U0001f600", '{"a": [1]}', "a\r\nb\n")


def build(out: Path, problems: list[Problem], parts: list[list[Sample]], **config: Any) -> RunFolder:
    folder = RunFolder(out)
    folder.claim("sample", {**CONFIG, **config}, {"model_path": "runs/base", "problem_seed": 0})
    store = SampleStore(folder)
    store.write_problems(problems)
    for part in parts:
        store.write_part(part)
    return folder


def a_sample(problem: str, index: int, text: str = "4", **changed: Any) -> Sample:
    made: dict[str, Any] = {
        "problem_id": problem,
        "index": index,
        "text": text,
        "tokens": len(text),
        "finish": "stop",
        "logprob": -1.5,
        "seed": 2**62 + index,
        "engine": "transformers",
        "verdict": Verdict.correct(),
    }
    return Sample(**(made | changed))


def a_run(out: Path, seed: int = 0, **config: Any) -> RunFolder:
    """Chats, pictures, answers of all kinds, texts that break readers, overlapping parts, a problem without samples."""
    rng = random.Random(seed)
    problems = [
        Problem(id="q 1\u2028", prompt="2+2?\u2029", answer="4", metadata={"question": "2+2?", "level": 3}),
        Problem(id="number", prompt=Chat(({"role": "user", "content": "3+3?"},)), answer=6, metadata={}),
        Problem(
            id="code",
            prompt=Chat(
                ({"role": "system", "content": "x"}, {"role": "user", "content": "f", "name": "n"}), {"thinking": False}
            ),
            answer={"tests": ["assert f()"], "entry": None},
            images=('scene:{"kind": "x"}',),
            metadata={"choices": ["a", "b"], "none": None, "\x00": ["\u2028"]},
        ),
        Problem(id="json text", prompt="", answer='{"a": 1}'),
        Problem(id="nobody knows", prompt="?", answer=None, metadata={"bare": "??"}),
        Problem(id="not asked", prompt="!", answer=["x", "y"]),
    ]
    samples = []
    for problem in problems[:-1]:
        for index in range(rng.randint(1, 4)):
            verdict = rng.choice(
                [
                    Verdict.correct(),
                    Verdict.wrong("no \u2028", 0.1),
                    Verdict.unscored("not answered"),
                    Verdict.unscored("timed out"),
                ]
            )
            samples.append(
                a_sample(
                    problem.id,
                    index * rng.choice([1, 7]) if index else 0,
                    "" if verdict.reason == "not answered" else rng.choice(TEXTS),
                    finish=rng.choice(["stop", "length"]),
                    logprob=rng.choice([None, -0.1, -123.456]),
                    seed=rng.choice([None, 0, 2**63 - 1]),
                    verdict=verdict,
                    steps=rng.choice([None, StepCheck(0, 0), StepCheck(1, 3)]),
                    final_answer=rng.choice([None, "4", "\u2028"]),
                )
            )
    rng.shuffle(samples)
    kept = {(s.problem_id, s.index): s for s in reversed(samples)}
    samples = list(kept.values())
    return build(out, problems, [samples[:5], samples[3:]], **config)
