import re

from tests.docs.blocks import ROOT

from reachlab.cli.meanings import SAID

COMMANDS = "\n".join(path.read_text() for path in sorted((ROOT / "src" / "reachlab" / "cli").glob("*.py")))


def test_each_meaning_is_printed_and_each_that_is_printed_is_there() -> None:
    printed = re.findall(r"print_meaning\((.*?)\)", COMMANDS)
    assert {name for words in printed for name in re.findall(r'"(\w+)"', words)} == SAID.keys()
    for said in SAID.values():
        assert said.endswith(".")
        assert "  " not in said
