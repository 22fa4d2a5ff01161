from reachlab.commands.words import with_words
from reachlab.option_names import RENAMED_OPTIONS, present_words
from reachlab.training.config import DistillConfig
from reachlab.training.rl_config import RLConfig


def test_an_old_name_is_the_new_one_and_is_said() -> None:
    said: list[str] = []
    words = ["--model", "m", "--pass-tokens=64", "--kl", "0.1", "--out", "--lot"]
    assert present_words("rl", words, said.append) == [
        *("--model", "m", "--micro-batch-tokens=64", "--kl-coef", "0.1", "--out", "--random-keep")
    ]
    assert said[0] == "--pass-tokens is called --micro-batch-tokens now; the old name goes with the next version"
    assert len(said) == 3
    assert present_words("sample", words, said.append) == words


def test_an_old_name_may_have_underscores() -> None:
    said: list[str] = []
    assert present_words("rl", ["--pass_tokens", "5", "--pass_tokens=6_4"], said.append) == [
        *("--micro-batch-tokens", "5", "--micro-batch-tokens=6_4")
    ]
    assert said[0] == "--pass_tokens is called --micro-batch-tokens now; the old name goes with the next version"
    assert present_words("study", ["own", "--rl_words=--pass_tokens 5"], said.append)[1] == "--rl_words=--pass_tokens 5"
    assert len(said) == 3
    taken = with_words(RLConfig(model="m", task="t"), "--pass_tokens 5", "--rl-words")
    assert taken.pass_tokens == 5


def test_words_for_another_command_are_looked_at_and_left() -> None:
    said: list[str] = []
    words = ["rollouts", "--select", "--lot 2 --normalise all"]
    assert present_words("study", words, said.append) == words
    assert [line.split(" is")[0] for line in said] == ["--lot", "--normalise"]
    assert present_words("study", ["own", "--distill-words=--clip 2"], said.append) == [
        "own",
        "--distill-words=--clip 2",
    ]
    assert len(said) == 3
    assert present_words("study", ["own", "--rl-words", "--lot '"], said.append)[-1] == "--lot '"
    assert present_words("study", ["own", "--rl-words"], said.append) == ["own", "--rl-words"]


def test_studies_take_words_under_old_names() -> None:
    taken = with_words(
        RLConfig(model="m", task="t"), "--rollouts 8 --keep 4 --rule random --lot 2 --normalise all", "--select"
    )
    assert (taken.selection.random_keep, taken.selection.normalise) == (2, "all")
    assert taken == with_words(
        RLConfig(model="m", task="t"),
        "--rollouts 8 --keep 4 --rule random --random-keep 2 --advantage-normalisation all",
        "--select",
    )
    student = DistillConfig(model="m", teacher="solver", task="t", out="o")
    assert with_words(student, "--clip 2 --method muon --accumulate 2", "--distill-words").optimizer.clip == 2


def test_every_old_name_leads_to_an_option() -> None:
    values = {"--method": "muon", "--normalise": "all", "--aggregate": "sum"}
    configs = {
        "rl": RLConfig(model="m", task="t", prompts=8),
        "distill": DistillConfig(model="m", teacher="solver", task="t", out="o", batch=4),
    }
    for command, config in configs.items():
        for old in RENAMED_OPTIONS[command]:
            words = f"{old} {values.get(old, '1')}"
            if old == "--lot":
                words += " --normalise all --keep 2 --rule random"
            assert with_words(config, words, "--words")
