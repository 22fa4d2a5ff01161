import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from tests.models.chats import INSTRUCT, made

from reachlab.reporting.entries import read_entries
from reachlab.reporting.first_prompts import first_prompts
from reachlab.types import Chat, Problem

CHAT = Chat(({"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1 <b>"}))


def prompts(make: Any, tmp_path: Path, prompt: Any, *folders: Path | None) -> Any:
    problems = [Problem(id="p0", prompt=prompt, answer="2")]
    runs = [
        make.samples(tmp_path / f"m{at}", np.array([[0, 1]]), problems=problems, model_path=folder)
        for at, folder in enumerate(folders)
    ]
    return first_prompts(read_entries(*make.measure(runs)))


def test_plain_text_is_what_the_models_got(tmp_path: Path, make: SimpleNamespace) -> None:
    (found,) = prompts(make, tmp_path, "1+1=", None, None)
    assert (found.names, found.system, found.pieces) == (("m0", "m1"), "", (("", "1+1="),))
    assert found.note == "This text is what the model got."


def test_messages_are_messages_where_the_model_is_gone(tmp_path: Path, make: SimpleNamespace) -> None:
    (found,) = prompts(make, tmp_path, CHAT, tmp_path / "gone")
    assert found.system == "Be brief."
    assert found.pieces == (("system", "Be brief."), ("user", "1 + 1 <b>"))
    assert "is not here to show" in found.note


def test_messages_are_written_by_the_models_own_template(tmp_path: Path, make: SimpleNamespace) -> None:
    folder = made(INSTRUCT[0], tmp_path)[1]
    (tmp_path / "empty").mkdir()
    written, shown = prompts(make, tmp_path, CHAT, Path(folder), tmp_path / "empty")
    ((role, text),) = written.pieces
    assert role == ""
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n1 + 1 <b><|im_end|>")
    assert written.note == f"Written by the chat template of {folder}."
    assert (shown.names, shown.pieces[1]) == (("m1",), ("user", "1 + 1 <b>"))  # a folder that holds no tokenizer


def test_what_a_log_does_not_say_is_not_claimed(tmp_path: Path, make: SimpleNamespace) -> None:
    run = make.samples(tmp_path / "a", np.array([[0, 1]]))
    document = run.read_json("run.json") | {"kind": "import"}
    run.write("run.json", json.dumps(document))
    (found,) = first_prompts(read_entries(*make.measure([run])))
    assert found.note == "The question as the log has it; what else the model was told, the log does not say."
