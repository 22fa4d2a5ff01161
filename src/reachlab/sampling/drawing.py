"""Drawing a piece of a run: an engine answers, a judge judges, samples come out."""

from collections.abc import Sequence

from reachlab.engines.config import Decoding
from reachlab.engines.engine import Engine, EngineAnswer, Progress
from reachlab.engines.rng import sample_seed
from reachlab.storable import storable
from reachlab.tasks.base import Task
from reachlab.tasks.judging import Judge
from reachlab.types import FILTERED, Judged, Problem, Sample, Verdict

FILTERED_OUT = Judged(Verdict.unscored("a server's content filter stopped it"))
"""What is said of an answer that the model did not end."""
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

    def draw(self, piece: Sequence[Key], progress: Progress | None = None) -> list[Sample]:
        """Draw and judge these samples, in this order; those of a problem stand together.

        Raises:
            ReachlabError: the engine cannot go on, or the judge cannot start.
        """
        problems = sorted({p for p, _ in piece})
        place = {p: i for i, p in enumerate(problems)}
        seeds: list[list[int]] = [[] for _ in problems]
        for key in piece:
            seeds[place[key[0]]].append(self.seed_of(key))
        answers = self.engine.answer([self.problems[p].asked for p in problems], seeds, self.decoding, progress)
        return self.judged(piece, [answer for row in answers for answer in row])

    def seed_of(self, key: Key) -> int:
        """The seed of a sample."""
        return sample_seed(self.seed, self.problems[key[0]].id, key[1])

    def judged(self, keys: Sequence[Key], answers: Sequence[EngineAnswer]) -> list[Sample]:
        """These samples with these answers, and what the judge says of them.

        Raises:
            ReachlabError: the judge cannot start.
        """
        texts = [storable(answer.text) for answer in answers]  # judged as it is stored
        pairs = [(self.problems[p], text) for (p, _), text in zip(keys, texts, strict=True)]
        verdicts = iter(
            self.judge.judge([pair for pair, a in zip(pairs, answers, strict=True) if a.finish != FILTERED])
        )
        judged = [FILTERED_OUT if answer.finish == FILTERED else next(verdicts) for answer in answers]
        return [
            Sample(
                problem_id=self.problems[key[0]].id,
                index=key[1],
                text=text,
                tokens=answer.tokens,
                finish=answer.finish,
                logprob=answer.logprob,
                seed=self.seed_of(key) if self.engine.seeded else None,
                engine=self.engine.name,
                verdict=one.verdict,
                steps=one.steps,
                final_answer=one.final_answer,
                tokens_hash=answer.tokens_hash,
            )
            for key, answer, text, one in zip(keys, answers, texts, judged, strict=True)
        ]

    def close(self) -> None:
        """End the engine and the judge's processes."""
        self.engine.close()
        self.judge.close()
