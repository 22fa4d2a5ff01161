"""Every format says in one line what is wrong with a row of its own, whatever stands in it."""

from pathlib import Path
from typing import Any

import pytest

from reachlab.checks.log_format import check_log_format
from reachlab.imports.formats import FORMATS
from reachlab.imports.formats.base import Format

CHAT: list[dict[str, Any]] = [
    {"role": "user", "content": "2+2?"},
    {"role": "assistant", "content": [{"type": "text", "text": "4"}]},
]
CHOICE = {"message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}
HUMAN = {"role": "HUMAN", "prompt": "2+2?"}
GOOD: dict[str, list[dict[str, Any]]] = {
    "reachlab": [
        {
            "problem_id": "a",
            "sample": 0,
            "prompt": None,
            "messages": CHAT[:1],
            "chat_options": {"thinking": False},
            "answer": "4",
            "answer_kind": "json",
            "text": "4",
            "verdict": "correct",
            "score": 1.0,
            "reason": "",
            "final_answer": "4",
            "steps": 1,
            "valid_steps": 1,
            "tokens": 1,
            "finish": "stop",
            "logprob": -0.5,
            "seed": 1,
            "engine": "vllm",
            "metadata": {"question": "2+2?"},
            "images": ['scene:{"kind": "x"}'],
            "image_hashes": ["d62318adc05ff62220bb6a23ea5c257f"],
            "problem_index": 0,
            "run_id": "1",
            "run_config": '{"kind": "sample", "config": {}, "facts": {}, "columns": {}}',
        }
    ],
    "every-eval-ever": [
        {
            "evaluation_id": "e",
            "model_id": "o/m",
            "evaluation_name": "n",
            "evaluation_result_id": "acc",
            "sample_id": "a",
            "input": {"raw": "2+2?", "reference": ["B"], "choices": ["3", "4"]},
            "output": {"raw": ["4"]},
            "messages": None,
            "evaluation": {"score": 1.0, "is_correct": True},
            "error": None,
        },
        {"evaluation_id": "e", "sample_id": "a", "input": {"raw": "2+2?"}, "messages": CHAT, "evaluation": {}},
    ],
    "lm-eval": [
        {
            "doc_id": 0,
            "doc": {"question": "2+2?", "choices": ["3", "four"]},
            "target": "1",
            "arguments": {"gen_args_0": {"arg_0": "2+2?", "arg_1": {"until": []}}},
            "resps": [["4"]],
            "metrics": ["em"],
            "em": 1,
        },
        {"doc_id": 0, "doc": {}, "target": 4, "arguments": [["2+2?", {}]], "resps": [["4"]], "acc": 1},
    ],
    "inspect": [
        {
            "id": 1,
            "epoch": 1,
            "input": CHAT,
            "target": ["B"],
            "choices": ["red", "blue"],
            "messages": CHAT,
            "output": {"choices": [CHOICE]},
            "scores": {"match": {"value": {"correct": 1}}},
            "attachments": {"x": "y"},
        }
    ],
    "lighteval": [
        {
            "doc": {"query": "2+2?", "choices": ["3", "four"], "gold_index": [1], "id": "1"},
            "model_response": {"text": ["4"]},
            "metric": {"em": 1.0},
        }
    ],
    "lighteval-old": [{"example": "2+2?", "predictions": "['4']", "gold": ["4"], "choices": [], "metrics": {"em": 1}}],
    "evalplus": [{"task_id": "x/0", "solution": "def f(): pass", "base_status": "pass", "plus_status": "fail"}],
    "livecodebench": [
        {"question_id": "a", "question_content": "q", "output_list": ["x"], "graded_list": [[True]], "test_id": 1},
        {"question_id": "a", "id": "s1", "output_list": [["x"]], "pred_list": ["1"], "graded_list": [True]},
    ],
    "openai-batch": [
        {
            "custom_id": "a",
            "response": {"status_code": 200, "body": {"choices": [CHOICE, {"text": "4"}]}},
            "error": None,
        },
        {"custom_id": "a", "response": {"body": {"output": [{"type": "message", "content": CHAT[1]["content"]}]}}},
        {"custom_id": "a", "result": {"type": "succeeded", "message": {"content": [{"type": "text", "text": "4"}]}}},
        {"key": "a", "response": {"candidates": [{"content": {"parts": [{"text": "4"}]}, "finishReason": "STOP"}]}},
    ],
    "openai-evals": [
        {
            "run_id": "r",
            "event_id": 1,
            "sample_id": "s",
            "type": "match",
            "data": {"correct": True, "expected": ["4"], "sampled": "4"},
        }
    ],
    "helm": [
        {
            "instance": {
                "input": {"text": "2+2?"},
                "references": [{"output": {"text": "4"}, "tags": ["correct"]}],
                "id": "i",
                "perturbation": {"name": "typos"},
            },
            "request": {"model": "m"},
            "train_trial_index": 0,
            "output_mapping": {"A": "4", "B": "5"},
            "result": {"success": True, "completions": [{"text": "4", "finish_reason": {"reason": "stop"}}]},
        }
    ],
    "opencompass": [
        {"origin_prompt": [HUMAN], "prediction": ["4"], "gold": ["4"], "correct": [True], "id": "0"},
        {"prompt": [HUMAN], "origin_prediction": "4", "references": "4", "correct": True},
    ],
    "evalscope": [
        {"index": 0, "model": "m", "model_output": {"choices": [CHOICE]}, "messages": CHAT, "target": "4"},
        {
            "index": 0,
            "input": "2+2?",
            "target": "4",
            "sample_score": {"score": {"prediction": "4", "value": {"acc": 1}}, "group_id": 0},
        },
        {
            "index": 0,
            "raw_input": {"question": "2+2?"},
            "choices": [CHOICE | {"review": {"gold": "4", "result": True}}],
            "model_spec": {"model_id": "m"},
        },
    ],
    "cruxeval": [{"sample": "s0", "raw_generations": ["1"], "raw_scored_generations": [True]}],
    "tree-of-thought": [{"idx": 1, "ys": ["a"], "infos": [{"r": 1}]}, {"idx": 1, "ys": ["a"], "accs": [True]}],
    "bigcode": [{"number": 0, "generations": ["a"]}],
    "open-r1": [
        {
            "problem": "2+2?",
            "answer": "4",
            "solution": "\\boxed{4}",
            "generations": ["a"],
            "correctness_math_verify": [True],
            "finish_reasons": ["stop"],
            "uuid": "u",
        }
    ],
    "nemo-skills": [
        {
            "problem": "2+2?",
            "expected_answer": ["4"],
            "generation": ["4"],
            "symbolic_correct": [True],
            "judgement": "Judgement: Yes",
            "finish_reason": "stop",
        }
    ],
    "verl": [
        {"input": "user\n2+2?\nassistant\n", "output": "4", "gts": {"ground_truth": "4"}, "score": 1.0, "step": 1}
    ],
    "skyrl": [
        {
            "input_prompt": "<|im_start|>user\n2+2?<|im_end|>\n",
            "output_response": "4",
            "score": [0.0, 1.0],
            "env_extras": {"reward_spec": {"ground_truth": "4"}},
        }
    ],
    "trl": [
        {"step": 1, "prompt": CHAT[:1], "completion": CHAT[1:], "solution": "4", "accuracy_reward": 1.0, "advantage": 0}
    ],
    "chat": [{"messages": CHAT, "answer": "4", "id": 1, "correct": True, "model": "m"}],
    "fields": [
        {
            "question": CHAT[:1],
            "answer": "4",
            "id": 1,
            "responses": [{"text": "4", "score": 1}, CHAT, "x"],
            "is_correct": [True, 0, None],
            "choices": ["4", "5"],
        }
    ],
}


@pytest.mark.parametrize("kind", [kind for kind in FORMATS.values() if kind.name in GOOD], ids=lambda kind: kind.name)
def test_a_malformed_row_is_one_line(kind: type[Format]) -> None:
    check_log_format(kind, GOOD[kind.name])


def test_every_format_is_checked() -> None:
    """Here, or in its own test, as CONTRIBUTING.md has it."""
    files = {name: f"test_{kind.__module__.rpartition('.')[2]}.py" for name, kind in FORMATS.items()}
    own = {name: Path(__file__).with_name(file) for name, file in files.items()}
    checked = {name for name, file in own.items() if file.exists() and "check_log_format(" in file.read_text()}
    assert checked | set(GOOD) == set(own)
