"""HELM's scenario_state.json: a request state a request, with an instance, its references, and completions.

``{"request_states": [{"instance": {"input": {"text": "..."}, "references": [{"output": {"text": "12"}, "tags":
["correct"]}], "id": "id1"}, "request": {"prompt": "..."}, "result": {"completions": [{"text": "..."}]}}]}``.

Options are asked for by letter, which `output_mapping` gives back. Requests that only weigh a reference are refused;
one that failed was not answered. Trials with other worked examples ask the same; a perturbed question is another.

Source: https://github.com/stanford-crfm/helm, `src/helm/benchmark/adaptation/request_state.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.apart import Apart
from reachlab.imports.formats.base import Format
from reachlab.imports.gold import is_worked, one_answer
from reachlab.imports.record import LoggedAnswer, Record, finish_of, id_of, present
from reachlab.tasks.choice_rows import choice_from


@dataclass(frozen=True)
class Helm(Apart, Format):
    """A row a request."""

    name = "helm"
    tool = "HELM, scenario_state.json"
    row = (
        "HELM, scenario_state.json",
        "each of `completions`",
        "references with the tag `correct`",
        "",
    )
    apart_by = ("request.model",)

    def recognises(self, row: Any) -> bool:
        """An instance and the request that was made of it."""
        return isinstance(row, dict) and {"instance", "request", "train_trial_index"} <= row.keys()

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A request."""
        if present(row.get("reference_index")) or present(row.get("request_mode")):
            raise ReachlabError(f"{place}: a choice by log-likelihoods: nothing was written that could be judged")
        instance, mapping = row["instance"], row.get("output_mapping")
        question = instance["input"]["text"]
        right = [r["output"]["text"] for r in instance.get("references") or () if "correct" in (r.get("tags") or ())]
        gold = one_answer(right)
        choice = None
        letters = [letter for letter, option in (mapping or {}).items() if option == gold]
        if len(letters) == 1:
            choice = choice_from(question, dict(mapping), letters[0], place)
        changed = (instance.get("perturbation") or {}).get("name")
        identity = id_of(instance.get("id"))
        yield Record(
            answers=tuple(_completions(row.get("result"))),
            question=question,
            gold=gold,
            worked=is_worked(gold),
            choice=choice,
            id=f"{identity}-{changed}" if changed else identity,
            run=self.run_of(row),
        )


def _completions(result: Any) -> Iterable[LoggedAnswer]:
    if not result or not result.get("success", True):
        yield LoggedAnswer(text=None)
        return
    for completion in result["completions"]:
        ended = completion.get("finish_reason")
        yield LoggedAnswer(
            text=completion["text"], finish=finish_of(ended.get("reason") if isinstance(ended, dict) else ended)
        )
