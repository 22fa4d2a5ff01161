"""Reachlab's verifier of math and multiple choice as verl's reward function.

    reward.custom_reward_function.path=pkg://reachlab.integrations.verl.reward
    reward.custom_reward_function.name=compute_score

It needs no verl and works with any of its trainers.
"""

from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.answers.grading import gold_of, grade


def compute_score(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: Any = None, **more: Any
) -> dict[str, Any]:
    """1 for a right answer and 0 for a wrong one, as `score` and `acc`.

    Args:
        data_source: for the error. solution_str: the model's text.
        ground_truth: the answer, as text or number: ``72``, ``\\frac{1}{2}``, ``B``.
        extra_info: verl's. more: verl's; neither says anything about the answer.

    Raises:
        ReachlabError: there is no answer, or it cannot be judged by: such a row has no reward that means something.

    Example:
        >>> compute_score("gsm8k", "So it is \\\\boxed{72}.", "72")
        {'score': 1.0, 'acc': 1.0}
    """
    if not isinstance(ground_truth, str | int | float) or isinstance(ground_truth, bool) or not str(ground_truth):
        raise ReachlabError(f"reward of {data_source}: ground_truth={ground_truth!r:.60} is no answer to compare with")
    graded = grade(gold_of(str(ground_truth)), solution_str)
    if graded.status not in ("correct", "wrong"):
        raise ReachlabError(f"reward of {data_source}: ground_truth={ground_truth!r:.60}: {graded.reason}")
    right = float(graded.status == "correct")
    return {"score": right, "acc": right}
