"""Problems that only a log knows: nobody here can say what is right, so no answer is judged.

What a run of imported samples has for a task where the log holds no right answers, or where the log's own labels are
the verdicts. `reachlab verify --task TASK` judges it with another.
"""

from reachlab.errors import ReachlabError
from reachlab.tasks.base import FiniteTask, Split
from reachlab.types import Problem, Verdict

UNJUDGED = "the log holds no right answer"


class Logged(FiniteTask):
    """Problems without a verifier."""

    answer_decides = False
    all_problems: list[Problem]

    def __init__(self) -> None:
        self.spec = "logged"
        self.all_problems = []

    def problems(self, split: Split, n: int | None = None, seed: int = 0) -> list[Problem]:
        """None.

        Raises:
            ReachlabError: always; problems come along with their answers.
        """
        raise ReachlabError("task 'logged' is of imported samples, and has no problems of its own")

    def key(self, problem: Problem) -> str:
        """The question, or the id where the log does not hold it."""
        return str(problem.metadata.get("question") or problem.id)

    def question(self, problem: Problem) -> str:
        """The question, where the log holds it apart from the prompt."""
        return str(problem.metadata.get("question") or self.bare(problem))

    def gold(self, problem: Problem) -> None:
        """Nothing is held against a gold answer."""

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Unscored, always."""
        return Verdict.unscored(UNJUDGED)
