"""The list of measures: what is in it, and the table that docs make of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from reachlab.errors import ReachlabError
from reachlab.measures import MEASURES, load_measures, markdown

DOCS = (Path(__file__).parents[2] / "docs" / "boundary.md").read_text()


def test_a_measure_is_called_as_it_is_listed() -> None:
    assert [measure.name for measure in load_measures()] == list(MEASURES)
    assert len({measure.title for measure in load_measures()}) == len(MEASURES)
    with pytest.raises(ReachlabError, match="no measure is called 'luckk'; choose one of support, "):
        MEASURES["luckk"]


def test_the_docs_have_the_table() -> None:
    _, _, after = DOCS.partition("<!-- generated: measures -->\n\n")
    table, _, _ = after.partition("\n<!-- end -->")
    assert table == markdown()


def test_the_list_is_light() -> None:
    """It can be read without numpy, torch or pyarrow."""
    code = "import sys, reachlab.measures; print({'numpy', 'torch', 'pyarrow', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
