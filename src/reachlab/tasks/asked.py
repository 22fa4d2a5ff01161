"""Any task, asked in a way of one's own: each problem's prompt is the bare question in a template, or in a chat.

The questions, their order, splits and ids are the task's own, so that two models that are asked differently are
compared problem by problem. A problem says in its `metadata` how an answer to it is to be read: ``bare`` is the
question, where the task's own problems do not keep it; ``tags`` that the answer was asked for between <answer> tags, of
which the last counts; ``opens`` what of the answer the prompt itself has begun (``<think>``); ``said`` where in the
prompt words stand that are not the template's, if one of them could be the name of a special token. So a run can be
judged again by its task alone, and its problems asked once more in another way.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.answers.reasoning import after_reasoning
from reachlab.tasks.asking import Asking
from reachlab.tasks.base import Split, Task
from reachlab.tasks.templates import TEMPLATES, fill, filled
from reachlab.types import Chat, Filled, Problem, StepCheck, Text, Verdict

MARKS = ("bare", "tags", "opens", "said")
"""What is kept in an asked problem's `metadata`."""
NAMED = re.compile(r"[<\[]")
"""What names of special tokens begin with."""
MOST_DRAWN = 10_000
"""Training problems that are looked at for worked examples."""


class Asked(Task):
    """`task`, asked as `asking` says."""

    def __init__(self, task: Task, asking: Asking):
        self.task, self.asking = task, asking
        self.template = asking.template or TEMPLATES["plain"]
        self.spec, self.finite, self.isolated = task.spec, task.finite, task.isolated
        self.verify_limit_s, self.answer_decides = task.verify_limit_s, task.answer_decides
        self.bounded_score = task.bounded_score
        few = (task.next_question,) if self._plain_shots else ()
        stop = (*self.template.stop, *few)
        self.decoding = {**({"stop": stop} if stop else {}), **task.decoding}

    @property
    def _plain_shots(self) -> bool:
        return not self.template.chat and bool(self.asking.shots or self.asking.examples)

    # -- asking -----------------------------------------------------------------------------------------------------

    def problems(self, split: Split, n: int | None = None, seed: int = 0) -> list[Problem]:
        """The task's, as they are asked."""
        return [self.ask(problem) for problem in self.task.problems(split, n, seed)]

    def stream(self, split: Split, seed: int, start: int = 0) -> Iterator[Problem]:
        """The task's, as they are asked."""
        return map(self.ask, self.task.stream(split, seed, start))

    def ask(self, problem: Problem) -> Problem:
        """A problem of the task's own, as it is asked.

        Raises:
            ReachlabError: too few worked examples, or a picture in one.
        """
        shots = self._shots(problem) if self.asking.shots or self.asking.examples else []
        prompt = self._prompt(problem, shots)
        about: dict[str, Any] = {name: value for name, value in problem.metadata.items() if name != "said"}
        if isinstance(prompt, Filled):
            if any(NAMED.search(prompt, *span) for span in prompt.said):
                about["said"] = [list(span) for span in prompt.said]
            prompt = str(prompt)
        if prompt == problem.prompt:
            return problem if about == problem.metadata else replace(problem, metadata=about)
        if "<answer>" in self._said(problem) and not self.task.reads_tags:
            about["tags"] = True
        if opens := self.asking.opens or self.template.opens:
            about["opens"] = opens
        asked = replace(problem, prompt=prompt, metadata=about)
        if self.task.bare(asked) != problem.prompt:
            asked = replace(asked, metadata={**about, "bare": problem.prompt})
        return asked

    def again(self, problem: Problem, text: str) -> tuple[Problem, str]:
        """A problem that was asked in another way, as this task asks it, and an answer to it in the form asked for."""
        plain = self.bared(problem)
        asked = self.ask(plain)
        if problem.metadata.get("tags") and not asked.metadata.get("tags"):
            text = self.read(problem, text)
        elif asked.metadata.get("tags") and not problem.metadata.get("tags"):
            text = self.task.answer_as(plain, text, self._said(plain))
        if (before := str(problem.metadata.get("opens", ""))) and not asked.metadata.get("opens"):
            text = text if before in text else f"{before}{text}"
        elif (after := str(asked.metadata.get("opens", ""))) and not before:
            text = text.removeprefix(after) if text.startswith(after) else f"{_close(after)}\n\n{text}"
        return asked, text

    def bared(self, problem: Problem) -> Problem:
        """A problem as the task itself poses it, however it was asked."""
        question = self.task.bare(problem)
        if problem.prompt == question:
            return problem
        about = {name: value for name, value in problem.metadata.items() if name not in MARKS}
        return replace(problem, prompt=question, metadata=about)

    def _prompt(self, problem: Problem, shots: list[tuple[Problem, str]]) -> Text:
        template = self.template
        if template.chat:
            system = self.asking.system
            messages = [{"role": "system", "content": system}] if system else []
            # Examples are what was said before: the question as the user puts it, and the answer to it.
            last = len(template.messages) - 1
            for place, (role, text) in enumerate(template.messages):
                for example, answer in shots if place == last else ():
                    messages.append({"role": role, "content": fill(text, self._values(example))})
                    messages.append({"role": "assistant", "content": answer})
                messages.append({"role": role, "content": fill(text, self._values(problem))})
            return Chat(tuple(messages), dict(self.asking.options))
        if not shots:
            return filled(template.text, self._values(problem))
        begin, _, end = self.task.worked.partition("{answer}")
        blocks = [f"{fill(begin, self._values(example))}{answer}{end}" for example, answer in shots]
        text = "".join([*blocks, fill(begin, self._values(problem)).rstrip(" ")])
        return Filled(text, [(0, len(text))])

    def _values(self, problem: Problem) -> dict[str, str]:
        question = str(problem.prompt)
        return {
            "question": question,
            "plain": self.task.plain.replace("{question}", question),
            "instructed": self.task.instructed(problem),
            "system": self.asking.system or self.template.system,
        }

    def _said(self, problem: Problem) -> str:
        """All that is said beside the question."""
        values = self._values(replace(problem, prompt=""))
        texts = (self.template.text, *(text for _, text in self.template.messages))
        return "\n".join([self.asking.system, *(fill(text, values) for text in texts)])

    # -- worked examples --------------------------------------------------------------------------------------------

    def _shots(self, problem: Problem) -> list[tuple[Problem, str]]:
        """The worked examples before a problem, never the problem itself."""
        asking, key = self.asking, self.task.key(problem)
        if problem.images:
            raise ReachlabError(f"{self.spec}: worked examples would need pictures of their own; leave --shots out")
        if asking.examples:
            question = " ".join(str(problem.prompt).split())
            return [
                (replace(problem, prompt=asked), answer)
                for asked, answer in asking.examples
                if " ".join(asked.split()) != question
            ]
        return [pair for known, pair in self._worked if known != key][: asking.shots]

    @cached_property
    def _worked(self) -> list[tuple[str, tuple[Problem, str]]]:
        """Training problems with their solutions, by key: one more than are shown, for one may be the one asked."""
        wanted = self.asking.shots + 1
        found: dict[str, tuple[Problem, str]] = {}
        drawn = len(self.task.problems("train")) if self.task.finite else MOST_DRAWN
        for number, problem in enumerate(islice(self.task.stream("train", 0), drawn)):
            if (key := self.task.key(problem)) in found:
                continue
            solution = self.task.solve(problem, random.Random(f"shots {number}"))
            if solution is None:
                continue
            found[key] = problem, self.task.answer_as(problem, solution, self._said(problem))
            if len(found) == wanted:
                return list(found.items())
        raise ReachlabError(
            f"{self.spec}: --shots {self.asking.shots} takes {wanted} training problems with solutions, and there are "
            f"{len(found)}; bring examples with --shots-file"
        )

    # -- answers ----------------------------------------------------------------------------------------------------

    def read(self, problem: Problem, text: str) -> str:
        """What the task's verifier gets of an answer."""
        if opens := str(problem.metadata.get("opens", "")):
            text = f"{opens}{text}"
        if self.task.reads_tags or not (opens or problem.metadata.get("tags")):
            return text
        region = after_reasoning(text)
        said = text[region.start : region.end]
        if not problem.metadata.get("tags"):
            return said
        before, close, _ = said.rpartition("</answer>")
        return before.rpartition("<answer>")[2].strip() if close else said

    def verify(self, problem: Problem, text: str) -> Verdict:
        """The task's."""
        return self.task.verify(self.bared(problem), self.read(problem, text))

    def check_steps(self, problem: Problem, text: str) -> StepCheck | None:
        """The task's."""
        return self.task.check_steps(self.bared(problem), self.read(problem, text))

    def final_answer(self, problem: Problem, text: str) -> str | None:
        """The task's."""
        return self.task.final_answer(self.bared(problem), self.read(problem, text))

    def solve(self, problem: Problem, rng: random.Random) -> str | None:
        """The task's, in the form asked for."""
        return self._worded(problem, self.task.solve(self.bared(problem), rng))

    def attempt(self, problem: Problem, rng: random.Random) -> str | None:
        """The task's, in the form asked for."""
        return self._worded(problem, self.task.attempt(self.bared(problem), rng))

    def _worded(self, problem: Problem, text: str | None) -> str | None:
        if text is None:
            return None
        plain = self.bared(problem)
        answer = self.task.answer_as(plain, text, self._said(plain))
        opens = str(problem.metadata.get("opens", ""))
        return f"{text}\n{_close(opens)}\n\n{answer}" if opens else answer

    # -- the task's own ---------------------------------------------------------------------------------------------

    def key(self, problem: Problem) -> str:
        """The task's."""
        return self.task.key(self.bared(problem))

    def gold(self, problem: Problem) -> str | None:
        """The task's."""
        return self.task.gold(self.bared(problem))

    def bare(self, problem: Problem) -> str:
        """The task's."""
        return self.task.bare(problem)

    def question(self, problem: Problem) -> str:
        """The task's."""
        return self.task.question(problem)

    def shown_answer(self, problem: Problem) -> Any:
        """The task's."""
        return self.task.shown_answer(problem)

    def alphabet(self) -> str | None:
        """The task's."""
        return self.task.alphabet()


def _close(opens: str) -> str:
    return opens.replace("<", "</", 1)
