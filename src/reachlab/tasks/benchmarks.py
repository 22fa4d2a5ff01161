"""Published benchmarks by name: where their data is, how the field asks them, and how it samples.

``math500`` takes the data from ``math500.jsonl`` in the folder that the environment variable REACHLAB_DATA names, if it
lies there, or else from the hub through the library `datasets`; ``math500:FILE`` from a file. The sampling settings are
those of arXiv 2504.13837, section 3: temperature 0.6, top-p 0.95, at most 16,384 tokens; `reachlab sample` takes them
where it is told no others. One more benchmark is one row here.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reachlab.tasks.rows import DATASETS

PAPER: Mapping[str, Any] = MappingProxyType({"temperature": 0.6, "top_p": 0.95, "max_tokens": 16_384})


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One row: the family that poses and judges it, its data on the hub as ``ID@SUBSET#SPLIT``, and its template, with
    which a model is asked in plain text."""

    what: str
    family: str = "math"
    hub: str
    template: str = "boxed"
    decoding: Mapping[str, Any] = field(default_factory=lambda: PAPER)

    def settings(self, name: str) -> dict[str, Any]:
        """What the family is told, where the user says nothing else."""
        folder = os.environ.get("REACHLAB_DATA")
        for ending in (".jsonl", ".jsonl.gz", ".json", ".parquet") if folder else ():
            if folder and (file := Path(folder) / f"{name}{ending}").is_file():
                return {"argument": str(file)}
        return {"argument": f"{DATASETS}{self.hub}"}


BENCHMARKS = {
    "gsm8k": Benchmark(what="GSM8K, 1,319 school problems", hub="openai/gsm8k@main#test"),
    "math500": Benchmark(what="MATH-500", hub="HuggingFaceH4/MATH-500#test"),
    "minerva": Benchmark(what="Minerva Math, 272 problems of science", hub="math-ai/minervamath#test"),
    "olympiad": Benchmark(what="OlympiadBench, open-ended, text, English", hub="math-ai/olympiadbench#test"),
    "aime24": Benchmark(what="AIME 2024, 30 problems", hub="HuggingFaceH4/aime_2024#train"),
    "aime25": Benchmark(what="AIME 2025, 30 problems", hub="math-ai/aime25#test"),
    "amc23": Benchmark(what="AMC 2023, 40 problems", hub="math-ai/amc23#test"),
    "gpqa": Benchmark(
        what="GPQA Diamond, 198 questions of science, four options",
        hub="Idavidrein/gpqa@gpqa_diamond#train",
        template="choice",
    ),
    "mmlu_pro": Benchmark(
        what="MMLU-Pro, 12,032 questions, up to ten options", hub="TIGER-Lab/MMLU-Pro#test", template="choice"
    ),
    "mathvista": Benchmark(
        what="MathVista, testmini, free-form questions",
        family="visual",
        hub="AI4Math/MathVista#testmini",
    ),
    "mathvision": Benchmark(what="MathVision, free-form questions", family="visual", hub="MathLLMs/MathVision#test"),
    "geometry3k": Benchmark(what="Geometry3K, to train on", family="visual", hub="hiyouga/geometry3k#train"),
    "humaneval": Benchmark(
        what="HumanEval, 164 functions", family="code", hub="openai/openai_humaneval#test", template="plain"
    ),
    "mbpp": Benchmark(
        what="MBPP, test part, 500 functions",
        family="code",
        hub="google-research-datasets/mbpp@full#test",
        template="code",
    ),
    "livecodebench": Benchmark(
        what="LiveCodeBench, code generation",
        family="code",
        hub="livecodebench/code_generation_lite#test",
        template="code",
    ),
}
