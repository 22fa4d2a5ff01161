import json
from dataclasses import replace

import pytest
from tests.studies.own.test_plan import config, machine

from reachlab.studies.own.config import OwnConfig
from reachlab.studies.own.stages import own_stages
from reachlab.studies.stages import Stage
from reachlab.tasks.asking import AskConfig


def stages(asked: OwnConfig) -> dict[str, Stage]:
    return {stage.name: stage for stage in own_stages(asked, machine(asked))}


FIXED = config(max_tokens=9, problems=5, samples=4, steps=3, pods_steps=2, distill_steps=6, out="o")


def test_every_stage_needs_stages_that_are_there() -> None:
    for asked in (FIXED, replace(FIXED, teacher_model="big"), replace(FIXED, teacher="runs/t")):
        found = stages(asked)
        assert len(found) == 12 + bool(asked.teacher_model)
        assert all(set(stage.needs) <= set(found) for stage in found.values())


def test_the_controls() -> None:
    found = stages(FIXED)
    grpo, random = (found[name].config for name in ("RL, GRPO", "RL, random reward"))
    assert random == replace(grpo, reward="random", out="o/random")
    continued = found["continue"].command
    assert continued[continued.index("--teacher") + 1] == "o/own-answers"
    assert continued[continued.index("--tokens-of") + 1] == "o/distilled"
    assert continued[continued.index("--answers") + 1] == "all"
    assert "--split train" in " ".join(found["own answers"].command)


@pytest.mark.parametrize(
    ("said", "teacher", "needs"),
    [
        ({}, "solver", ()),
        ({"teacher": "runs/t"}, "runs/t", ()),
        ({"teacher_model": "big"}, "o/teacher-answers", ("teacher answers",)),
    ],
)
def test_teachers(said: dict[str, str], teacher: str, needs: tuple[str, ...]) -> None:
    distil = stages(replace(FIXED, **said))["distil"]  # type: ignore[arg-type]
    assert distil.command[distil.command.index("--teacher") + 1] == teacher
    assert distil.needs == needs


def test_what_is_held_out_is_asked_of_all_models() -> None:
    asked = [s.command for name, s in stages(FIXED).items() if name.startswith("sample ")]
    assert len(asked) == 6
    strip = {tuple(w for i, w in enumerate(c) if c[i - 1] not in ("--model", "--out")) for c in asked}
    assert len(strip) == 1
    assert "--split test" in " ".join(asked[0])
    elsewhere = stages(replace(FIXED, test_task="math500"))["sample grpo"].command
    assert elsewhere[elsewhere.index("--task") + 1] == "math500"
    assert "--split" not in elsewhere


def test_how_the_model_is_asked_goes_to_every_command() -> None:
    kwargs = json.dumps({"enable_thinking": False})
    ask = AskConfig(template="chat", system="Be brief.", chat_template_kwargs=kwargs, shots=2)
    for stage in stages(replace(FIXED, ask=ask)).values():
        assert stage.config.ask == ask
        assert "Be brief." in stage.command
    assert not any("--template" in stage.command for stage in stages(FIXED).values())


def test_a_launcher_starts_what_trains() -> None:
    asked = replace(FIXED, launch="accelerate launch --num_processes 8", device="cuda", engine="vllm",
                    rl_words="--lora-rank 32", sample_words="--rows 64")  # fmt: skip
    for name, stage in stages(asked).items():
        trains = stage.command[0] != "sample"
        assert stage.launch == (("accelerate", "launch", "--num_processes", "8") if trains else ())
        assert ("--lora-rank" in stage.command) == (stage.command[0] == "rl"), name
        assert ("--rows" in stage.command) == ("vllm" in stage.command) == (not trains)
        assert "cuda" in stage.command
