from typing import Any

from reachlab.reporting.entries import read_entries
from reachlab.reporting.making import Extra
from reachlab.reporting.run_section import run_section


def test_the_section_has_settings_stages_and_prompts(demo: Any) -> None:
    found = run_section(read_entries(*demo), Extra(rows={"time of grpo": "3 s"}, command=("report", "x")))
    assert [table.caption for table in found.unusual][-1] == "Also"
    assert found.unusual[-1].rows == (("time of grpo", ("3 s",)),)
    sampling = next(table for table in found.every if "drawn by" in dict(table.rows))
    assert "transformers" in dict(sampling.rows)["drawn by"][0]
    assert found.settings == sum(len(table.rows) for table in found.every) > 20
    assert found.stages[-1].words == ("report", "x")
    assert [prompt.names for prompt in found.prompts] == [("base", "grpo", "pods", "distilled")]
