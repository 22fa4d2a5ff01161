"""Small runs whose numbers are known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Problem, Sample, StepCheck, Verdict

PLAIN = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}


def drawn(problem: str, index: int, text: str, *, right: bool = False, **changed: Any) -> Sample:
    """A sample as an engine draws it; its seed is its own."""
    known: dict[str, Any] = {
        "problem_id": problem,
        "index": index,
        "text": text,
        "tokens": len(text),
        "finish": "stop",
        "logprob": -1.0,
        "seed": int.from_bytes(problem.encode()[-5:]) * 1000 + index,
        "engine": "transformers",
        "verdict": Verdict.correct() if right else Verdict.wrong(),
        "steps": StepCheck(1, 1) if right else StepCheck(0, 1),
        "final_answer": text[-1:] or None,
    }
    return Sample(**{**known, **changed})


def stored(
    path: Path,
    samples: Sequence[Sample],
    problems: Sequence[Problem] | None = None,
    decoding: dict[str, Any] | None = PLAIN,
    **config: Any,
) -> SampleStore:
    """A run of these samples, two to a part."""
    folder = RunFolder(path)
    folder.claim("sample", {"task": "chain,length=2", "decoding": decoding, **config})
    store = SampleStore(folder)
    ids = dict.fromkeys(s.problem_id for s in samples)
    store.write_problems(problems or [Problem(id=i, prompt=f"{i}?", answer={"value": i}) for i in ids])
    for start in range(0, len(samples), 2):
        store.write_part(samples[start : start + 2])
    return store
