"""What `reachlab study own` takes. No torch here: the command line reads this."""

from dataclasses import dataclass
from typing import Literal

from reachlab.engines import UnservedName
from reachlab.errors import ReachlabError
from reachlab.limits import check_numbers
from reachlab.tasks.asking import AskConfig

SIZES = ("max_tokens", "problems", "samples", "steps", "pods_steps", "distill_steps")
"""What the time decides where the user does not. With all of them given nothing is measured."""


@dataclass(frozen=True, kw_only=True)
class OwnConfig:
    """The paper's experiment on a checkpoint of yours: RL and distilling from it, two controls, what each added."""

    model: str
    """The checkpoint: its folder, or a training run's."""
    task: str
    """What is trained and measured on; held-out problems measure, training problems train."""
    test_task: str = ""
    """What is measured on, where that is a task of its own, such as a benchmark; all problems of its file."""
    ask: AskConfig = AskConfig()
    out: str = "runs/own"
    """Folder of all its runs."""
    hours: float = 0.5
    """Time it may take on this machine. What a token and a step cost is measured first, and the sizes below follow."""
    teacher: str = "solver"
    """Whose answers are distilled: `solver`, the task's own, or a run of samples of its training problems."""
    teacher_model: str = ""
    """A bigger checkpoint, sampled on training problems, whose right answers are distilled."""
    max_tokens: int = 0
    """Longest answer; 0 gives room for 19 of 20 of the base's answers, and for the solver's."""
    problems: int = 0
    """Held-out problems that all models answer; 0 fits the time, like the sizes below."""
    samples: int = 0
    """Answers a problem and model; the largest k."""
    steps: int = 0
    """RL steps of GRPO, and of RL with a random reward."""
    pods_steps: int = 0
    """RL steps of PODS, which draws four times the rollouts; 0 takes as much time as GRPO's."""
    distill_steps: int = 0
    """Steps of distilling. The continuation on the base's own answers learns as many tokens."""
    prompts: int = 0
    """Problems an RL step."""
    rollouts: int = 0
    """Rollouts a problem that GRPO and PODS learn from."""
    temperature: float = 1.0
    """Of the answers that are measured, the teacher's and the base's own; rollouts are drawn as `reachlab rl` does."""
    seed: int = 0
    """Decides every draw."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the models compute in."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU where there is one."""
    engine: UnservedName = "transformers"
    """What draws the answers that are measured, the teacher's and the base's own."""
    launch: str = ""
    """What training commands are started with, for several GPUs, e.g. "accelerate launch --multi_gpu --num_processes 8
    --mixed_precision no"."""
    sample_words: str = ""
    """More words for every `reachlab sample`, e.g. --sample-words="--rows 64"."""
    rl_words: str = ""
    """More words for every `reachlab rl`, e.g. --rl-words="--lora-rank 32"."""
    distill_words: str = ""
    """More words for every `reachlab distill`."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not 0 < self.hours < float("inf"):
            raise ReachlabError(f"hours={self.hours} must be above 0")
        for name in (*SIZES, "prompts", "rollouts"):
            if getattr(self, name) < 0:
                raise ReachlabError(f"{name}={getattr(self, name)} must be 0 (chosen by the time) or more")
        if self.rollouts == 1:
            raise ReachlabError("rollouts=1: GRPO compares rollouts of one problem; give 2 or more")
        if not 0 < self.temperature < float("inf"):
            raise ReachlabError(
                f"temperature={self.temperature} must be above 0: all answers to a problem would be the same"
            )
        if self.teacher_model and self.teacher != "solver":
            raise ReachlabError("--teacher and --teacher-model are two teachers: give one")

    @property
    def fixed(self) -> bool:
        """Whether the user has said all sizes."""
        return all(getattr(self, name) for name in SIZES)
