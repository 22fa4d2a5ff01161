"""Every Eval Ever: a record of the run, and beside it a line a sample, laid out as the datastore is.

    OUT/data/TASK/DEVELOPER/MODEL/UUID.json            who, what model, how it was asked, pass@1 with its interval
    OUT/data/TASK/DEVELOPER/MODEL/UUID_samples.jsonl   question, reference, answer, whether it is right

The UUID is made of the run's id, so a second export replaces the first. What the schema has no place for, and an import
needs, is one text of each line's `metadata`. A line needs a score and right or wrong: an unscored sample has 0, false
and its reason under `error`, and is not in pass@1. A problem without samples has no line.

Source: https://github.com/evaleval/every_eval_ever, `eval.schema.json` and `instance_level_eval.schema.json`, 0.3.0.
"""

import hashlib
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import reachlab
from reachlab.engines import KINDS
from reachlab.errors import ReachlabError
from reachlab.exports.config import ExportConfig
from reachlab.exports.jsonl import as_line
from reachlab.exports.pass_at_1 import Score, pass_at_1
from reachlab.exports.sample_rows import Row, RunOrigin, SampleRows
from reachlab.exports.written_files import whole_file
from reachlab.hub import COMMIT, parse

VERSION = "0.3.0"
RESULT = "pass@1"
OURS = "reachlab"
"""The name in a line's `metadata`, and in the record's details, of what is ours."""
HERE = frozenset(kind.name for kind in KINDS if not kind.served)
"""Engines that run a model on the machine that asks."""
UNFIT = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class Names:
    """What things are called: the task, the model, the record, and its files, seen from the folder."""

    task: str
    model: str
    record: str
    files: str


def write(rows: SampleRows, config: ExportConfig, advance: Callable[[int], None]) -> list[str]:
    """Write both files, the record last; `advance` is told of samples.

    Raises:
        ReachlabError: they cannot be written, or another file lies there.
    """
    names = names_of(rows.origin, config)
    out = config.out.rstrip("/")
    if Path(out).is_file():
        raise ReachlabError(f"--out {out}: a file; --format eee writes a folder")
    samples = f"{names.files}_samples.jsonl"
    score = pass_at_1(rows.store)
    digest, lines, engines = hashlib.sha256(), 0, Counter[str]()
    with whole_file(f"{out}/{samples}") as path, path.open("wb") as file:
        for row in rows:
            if row["sample"] is None:
                continue
            line = as_line(instance(row, names))
            file.write(line)
            digest.update(line)
            lines += 1
            engines[row["engine"]] += 1
            advance(1)
    record = aggregate(rows.origin, names, config, score, engines.most_common(1)[0][0])
    record["detailed_evaluation_results"] = {
        "format": "jsonl",
        "file_path": samples,
        "hash_algorithm": "sha256",
        "checksum": digest.hexdigest(),
        "total_rows": lines,
    }
    with whole_file(f"{out}/{names.files}.json") as path:
        path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return [f"{out}/{names.files}.json", f"{out}/{samples}"]


def names_of(origin: RunOrigin, config: ExportConfig) -> Names:
    """What a run's things are called."""
    task = _task_name(origin.task or "") or "unknown"
    model = config.model_id or _model_id(origin)
    developer, _, name = model.partition("/")
    number = uuid.UUID(bytes=bytes.fromhex(origin.id)[:16], version=4)
    place = "/".join(UNFIT.sub("_", part).strip(".") or "unknown" for part in (task, developer, name))
    return Names(task, model, f"{task}/{model}/{origin.id}", f"data/{place}/{number}")


def _task_name(spec: str) -> str:
    """A task without its settings; of one that reads a file, the file's name."""
    family, _, rest = spec.partition(",")[0].partition(":")
    if not rest:
        return family
    name = rest.rstrip("/").rpartition("/")[2].partition("#")[0]
    return UNFIT.sub("_", re.sub(r"(\.(jsonl?|parquet|gz|csv))+$", "", name)) or family


def _model_id(origin: RunOrigin) -> str:
    """DEVELOPER/NAME of a model of the hub or of a server; of a folder nobody knows the developer."""
    named = origin.model or ""
    name = parse(named)
    served = str(origin.config.get("model", "")).startswith("served: ")
    if name is not None and "/" in name.repo and (served or COMMIT.fullmatch(name.revision)):
        return name.repo
    return f"unknown/{UNFIT.sub('_', named.rstrip('/').rpartition('/')[2]) or UNFIT.sub('_', origin.name)}"


def instance(row: Row, names: Names) -> dict[str, Any]:
    """A sample's line."""
    prompt = {"raw": row["question"], "reference": _references(row["answer"])}
    text = json.dumps(prompt, sort_keys=True, separators=(",", ":"))
    choices = row["metadata"].get("choices")
    right, unscored = row["verdict"] == "correct", row["verdict"] == "unscored"
    answers = []
    if row["final_answer"] is not None:
        answers.append(
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": row["final_answer"],
                "extraction_method": f"{OURS} {names.task}",
                "is_terminal": True,
            }
        )
    # Where a run lay on its writer's disk is nobody's business.
    config = {k: v for k, v in json.loads(row["run_config"]).items() if k != "facts"}
    ours = row | {"run_config": json.dumps(config, sort_keys=True, ensure_ascii=False), "model": names.model}
    del ours["text"]
    return {
        "schema_version": VERSION,
        "evaluation_id": names.record,
        "model_id": names.model,
        "evaluation_name": names.task,
        "evaluation_result_id": RESULT,
        "sample_id": row["problem_id"],
        "sample_hash": hashlib.sha256(text.encode()).hexdigest(),
        "interaction_type": "single_turn",
        "input": {
            **prompt,
            "formatted": row["prompt"],
            "choices": choices if choices and all(isinstance(c, str) for c in choices) else None,
        },
        "output": {"raw": [row["text"]]},
        "answer_attribution": answers,
        # What it adds to pass@1: partial credit is no part of that.
        "evaluation": {"score": float(right), "is_correct": right},
        "error": (row["reason"] or "unscored") if unscored else None,
        "metadata": {"sample": str(row["sample"]), OURS: json.dumps(ours, ensure_ascii=False)},
    }


def _references(answer: Any) -> list[str]:
    if answer is None:
        return []
    listed = answer if isinstance(answer, list) and all(isinstance(a, str) for a in answer) else [answer]
    return [a if isinstance(a, str) else json.dumps(a, sort_keys=True) for a in listed]


def aggregate(origin: RunOrigin, names: Names, config: ExportConfig, score: Score, engine: str) -> dict[str, Any]:
    """The run's record, without where its samples are."""
    run = origin.config
    details = {name: _text(run[name]) for name in ("split", "problems", "samples", "seed") if name in run}
    model = {"model_availability": "unknown", "deployment_type": "self_deployed" if engine in HERE else "unknown"}
    if isinstance(run.get("model"), str):
        model["weights"] = run["model"]
    return {
        "schema_version": VERSION,
        "evaluation_id": names.record,
        "retrieved_timestamp": str(int(time.time())),
        "source_metadata": {
            "source_name": origin.name,
            "source_type": "evaluation_run",
            "source_organization_name": config.organization,
            "evaluator_relationship": config.relationship,
        },
        "eval_library": {
            "name": OURS,
            "version": str(origin.provenance.get("versions", {}).get(OURS, reachlab.__version__)),
        },
        "model_info": {
            "name": names.model.partition("/")[2],
            "id": names.model,
            "developer": names.model.partition("/")[0],
            "inference_engine": {"name": engine},
            "additional_details": model,
        },
        "evaluation_results": [
            {
                "evaluation_result_id": RESULT,
                "evaluation_name": names.task,
                "source_data": {
                    "dataset_name": names.task,
                    "source_type": "other",
                    "additional_details": details,
                },
                "metric_config": _metric(),
                "score_details": _score(score),
                "generation_config": _generation(run),
            }
        ],
    }


def _metric() -> dict[str, Any]:
    return {
        "evaluation_description": "share of scored samples that are right, the mean over problems",
        "metric_id": "pass_at_k",
        "metric_name": "pass@1",
        "metric_kind": "pass_rate",
        "metric_unit": "proportion",
        "metric_parameters": {"k": 1},
        "lower_is_better": False,
        "score_type": "continuous",
        "min_score": 0,
        "max_score": 1,
    }


def _score(score: Score) -> dict[str, Any]:
    uncertainty: dict[str, Any] = {"num_samples": score.problems}
    if score.error is not None:
        uncertainty["standard_error"] = {"value": score.error, "method": "over problems"}
    if score.interval is not None:
        low, high = score.interval
        uncertainty["confidence_interval"] = {
            "lower": low,
            "upper": high,
            "confidence_level": score.level,
            "method": score.method,
        }
    counts = ("problems", "scored", "correct", "unscored", "unscored_problems")
    details = {name: str(getattr(score, name)) for name in counts}
    return {"score": score.value, "details": details, "uncertainty": uncertainty}


def _generation(run: dict[str, Any]) -> dict[str, Any]:
    """How answers were drawn; what the schema has no name for is text."""
    decoding = dict(run.get("decoding") or {})
    names = ("temperature", "top_p", "top_k", "max_tokens")
    arguments: dict[str, Any] = {name: decoding.pop(name) for name in names if decoding.get(name) is not None}
    ask = dict(run.get("ask") or {})
    if isinstance(ask.get("template"), str):
        arguments["prompt_template"] = ask.pop("template")
    rest = {**decoding, **ask, **({"adaptive": run["adaptive"]} if run.get("adaptive") else {})}
    return {"generation_args": arguments, "additional_details": {name: _text(value) for name, value in rest.items()}}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
