"""Drawing a piece of a run: an engine answers, a judge judges, samples come out."""

from collections.abc import Callable, Sequence

from reachlab.sampling.config import Decoding
from reachlab.sampling.draws import sample_seed
from reachlab.sampling.engines.engine import Engine
from reachlab.tasks.base import Task
from reachlab.tasks.judging import Judge
from reachlab.types import Problem, Sample

Key = tuple[int, int]
"""A sample of a run: its problem's place in the list, and its index among that problem's samples."""


class Drawer:
    """An engine and a judge for one run's problems. `draw` may be called from several threads."""

    def __init__(
        self,
        engine: Engine,
        task: Task,
        problems: Sequence[Problem],
        decoding: Decoding,
        seed: int,
        *,
        verify_timeout: float,
        verifiers: int | None = None,
    ):
        self.engine, self.problems, self.decoding, self.seed = engine, problems, decoding, seed
        self.judge = Judge(task, workers=verifiers, timeout_s=verify_timeout)

    def draw(self, piece: Sequence[Key], progress: Callable[[int], None] | None = None) -> list[Sample]:
        """Draw and judge these samples, in this order; those of a problem stand together.

        Raises:
            ReachlabError: the engine cannot go on, or the judge cannot start.
        """
        asked = sorted({p for p, _ in piece})
        place = {p: i for i, p in enumerate(asked)}
        seeds: list[list[int]] = [[] for _ in asked]
        for p, s in piece:
            seeds[place[p]].append(sample_seed(self.seed, self.problems[p].id, s))
        answers = self.engine.answer([self.problems[p].asked for p in asked], seeds, self.decoding, progress)
        flat = [answer for row in answers for answer in row]
        judged = self.judge.judge([(self.problems[p], a.text) for (p, _), a in zip(piece, flat, strict=True)])
        flat_seeds = [seed for row in seeds for seed in row]
        return [
            Sample(
                problem_id=self.problems[p].id,
                index=s,
                text=answer.text,
                tokens=answer.tokens,
                finish=answer.finish,
                logprob=answer.logprob,
                seed=seed,
                engine=self.engine.name,
                verdict=said.verdict,
                steps=said.steps,
                final_answer=said.final_answer,
            )
            for (p, s), answer, seed, said in zip(piece, flat, flat_seeds, judged, strict=True)
        ]

    def close(self) -> None:
        """End the engine and the judge's processes."""
        self.engine.close()
        self.judge.close()
