"""The answers' script on a served page, whose list does not say of each answer what it is, run by itself."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reachlab.reporting import assets

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="no node here")
SCRIPT = Path(assets.__file__).parent / "assets" / "answers.js"
INDEX = {"models": ["base", "rl"], "starts": [0, 1], "n": [[3, 1], [2, 1]], "unscored": [[0, 0], [1, 0]]}
ANSWER = [0, "wrong", {"reason": "no box"}, "seven"]
CHUNKS = [[{"models": [[ANSWER], [[0, "correct", {}, "six"]]]}], [{"models": [[ANSWER], [ANSWER]]}]]
CALL = """
const answers = makeAnswers({ index: INDEX, chunk: async (at) => CHUNKS[at] }), said = [];
(async () => {
  for (const [state, problems] of ASKED)
    await answers.search(state, problems, () => true, (found, read) => said.push([found, answers.looked(read)]));
  console.log(JSON.stringify(said));
})();
"""


def searched(*asked: tuple[dict[str, str], list[int]]) -> Any:
    """What is found, and what is said, of each state of the form and problems."""
    constants = {"INDEX": INDEX, "CHUNKS": CHUNKS, "ASKED": asked}
    code = SCRIPT.read_text() + "".join(f"const {name} = {json.dumps(value)};" for name, value in constants.items())
    done = subprocess.run([str(NODE), "-e", code + CALL], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_what_was_not_read_is_said_and_reasons_are_those_of_the_answers() -> None:
    rest = "drawn; “Search every answer in the runs” below finds the rest."
    assert searched(
        ({"a": "seven"}, [0, 1]),
        ({"a": "seven"}, [1]),
        ({"reason": "no box"}, [0, 1]),
        ({"reason": "another"}, [0, 1]),
        ({"a": "six", "who": "base"}, [0]),
        ({"end": "stop"}, [1]),
    ) == [
        [[0, 1], f"4 answers looked at, the first of each problem, of 8 {rest}"],
        [[1], "2 answers looked at."],
        [[0, 1], f"3 answers looked at, the first of each problem, of 8 {rest}"],
        [[], f"0 answers looked at, the first of each problem, of 8 {rest}"],
        [[], f"1 answer looked at, the first of each problem, of 3 {rest}"],
        [[1], "2 answers looked at."],
    ]
