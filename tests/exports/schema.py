"""What Every Eval Ever asks of a record and of a line, in our own words: schema 0.3.0.

A field is required unless its name ends in ``?``; another field than these is refused where the schema refuses it
(`CLOSED`). Text values are all that a `details` object may hold.
"""

import re
from typing import Any

TEXT, NUMBER, WHOLE, FLAG, DETAILS = "text", "number", "whole", "flag", "details"
PATH = re.compile(
    r"data/[^/]+/[^/]+/[^/]+/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}_samples\.jsonl"
)
CLOSED = ("record", "line", "record.evaluation_results.generation_config.generation_args")
MODEL = {
    "name": TEXT,
    "id": TEXT,
    "developer?": TEXT,
    "inference_engine?": {"name?": TEXT, "version?": TEXT},
    "additional_details": DETAILS,
}
RESULT = {
    "evaluation_result_id?": TEXT,
    "evaluation_name": TEXT,
    "source_data": {"dataset_name": TEXT, "source_type": {"other"}, "additional_details?": DETAILS},
    "metric_config": {
        "lower_is_better": FLAG,
        "score_type?": {"binary", "continuous", "levels"},
        "min_score": NUMBER,  # required because the score is continuous
        "max_score": NUMBER,
    },
    "score_details": {
        "score": NUMBER,
        "details?": DETAILS,
        "uncertainty?": {
            "standard_error?": {"value": NUMBER, "method?": TEXT},
            "confidence_interval?": {"lower": NUMBER, "upper": NUMBER, "confidence_level?": NUMBER, "method?": TEXT},
            "num_samples?": WHOLE,
        },
    },
    "generation_config?": {
        "generation_args?": {
            "temperature?": NUMBER,
            "top_p?": NUMBER,
            "top_k?": NUMBER,
            "max_tokens?": WHOLE,
            "prompt_template?": TEXT,
        },
        "additional_details?": DETAILS,
    },
}
RECORD = {
    "schema_version": TEXT,
    "evaluation_id": TEXT,
    "retrieved_timestamp": TEXT,
    "source_metadata": {
        "source_type": {"documentation", "evaluation_run"},
        "source_organization_name": TEXT,
        "evaluator_relationship": {"first_party", "third_party", "collaborative", "other"},
    },
    "eval_library": {"name": TEXT, "version": TEXT},
    "model_info": MODEL,
    "evaluation_results": [RESULT],
    "detailed_evaluation_results?": {
        "format": {"jsonl"},
        "file_path": PATH,
        "hash_algorithm?": {"sha256", "md5"},
        "checksum?": TEXT,
        "total_rows?": WHOLE,
    },
}
LINE = {
    "schema_version": TEXT,
    "evaluation_id": TEXT,
    "model_id": TEXT,
    "evaluation_name": TEXT,
    "evaluation_result_id?": TEXT,
    "sample_id": TEXT,
    "sample_hash?": TEXT,
    "interaction_type": {"single_turn"},
    "input": {"raw": TEXT, "reference": [TEXT], "formatted?": TEXT, "choices?": [TEXT]},
    "output": {"raw": [TEXT]},
    "answer_attribution": [
        {
            "turn_idx": WHOLE,
            "source": TEXT,
            "extracted_value": TEXT,
            "extraction_method": TEXT,
            "is_terminal": FLAG,
        }
    ],
    "evaluation": {"score": NUMBER, "is_correct": FLAG},
    "error?": TEXT,
    "metadata?": DETAILS,
}


def faults(value: Any, wanted: Any, where: str) -> list[str]:
    """What is wrong with a value, each with its place."""
    if isinstance(wanted, list):
        if not isinstance(value, list):
            return [f"{where}: no list"]
        return [fault for item in value for fault in faults(item, wanted[0], where)]
    if isinstance(wanted, dict):
        return _object(value, wanted, where)
    if isinstance(wanted, set):
        right = value in wanted
    elif isinstance(wanted, re.Pattern):
        right = bool(wanted.fullmatch(value))
    elif wanted == DETAILS:
        right = isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    else:
        kinds: Any = {TEXT: str, NUMBER: (int, float), WHOLE: int, FLAG: bool}[wanted]
        right = isinstance(value, kinds) and isinstance(value, bool) == (wanted == FLAG)
    return [] if right else [f"{where}: {value!r:.60}"]


def _object(value: Any, wanted: dict[str, Any], where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: no object"]
    known = {name.rstrip("?") for name in wanted}
    found = [f"{where}: field {name}" for name in value if name not in known and where in CLOSED]
    for name, inner in wanted.items():
        bare = name.rstrip("?")
        if bare in value and not (name.endswith("?") and value[bare] is None):
            found += faults(value[bare], inner, f"{where}.{bare}")
        elif not name.endswith("?"):
            found.append(f"{where}: no {bare}")
    return found
