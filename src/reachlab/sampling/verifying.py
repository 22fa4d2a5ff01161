"""`reachlab verify`: judge a run's stored answers again, with its own task.

For a verifier that was mended, answers it could not decide in time, or a run older than what the task now says of an
answer: its steps and what it comes down to. Texts, seeds and log-probabilities stay as they are.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reachlab.errors import ReachlabError
from reachlab.progress import track
from reachlab.runs import RunFolder
from reachlab.sampling.completing import judge_answers, prefixed
from reachlab.sampling.config import VerifyConfig
from reachlab.store.judged import note_judged
from reachlab.store.samples import SampleStore
from reachlab.tasks.judging import Judge
from reachlab.tasks.registry import check_known, load_task, prefix_of
from reachlab.types import Judged, Problem, Sample


def verify(config: VerifyConfig) -> dict[str, int]:
    """Judge again and store the verdicts; returns how many went from one verdict to another, as "wrong -> correct".

    Raises:
        ReachlabError: not a run of samples, or its task is not known.
    """
    folder = RunFolder(config.run)
    document = folder.read_json("run.json")
    about = document.get("config", {})
    if about.get("verdicts") == "file":
        raise ReachlabError(
            f"{config.run}: its verdicts are the log's own, which judging again would destroy; import the log again "
            "without --verdicts file to have ours"
        )
    spec = config.task or about.get("task")
    if spec == "logged":
        raise ReachlabError(f"{config.run}: its log holds no right answers; say by which task with --task")
    if not spec:
        raise ReachlabError(f"{config.run}: the run does not say its task; give --task")
    _check_problems(config.run, str(about.get("task") or ""), str(spec))
    if not config.task:
        check_known(str(spec), document.get("facts", {}))
    task = load_task(str(spec))
    store = SampleStore(folder)
    folder.sweep()
    problems = {p.id: p for p in store.problems()}
    changes: Counter[str] = Counter()
    parts = store.parts()
    if parts:
        note_judged(folder, task, config.timeout)  # before: a killed command has judged some
    with (
        Judge(task, workers=config.workers, timeout_s=config.timeout) as judge,
        track("verify", len(parts)) as advance,
    ):
        for part in parts:
            rows = store.part(part)
            if strange := next((r.problem_id for r in rows if r.problem_id not in problems), None):
                raise ReachlabError(f"{part}: problem {strange!r} is not in the run's problems.jsonl")
            judged = _judge(judge, rows, problems, only_unscored=config.only_unscored)
            for i, verdict in judged.items():
                if rows[i].verdict.status != verdict.verdict.status:
                    changes[f"{rows[i].verdict.status} -> {verdict.verdict.status}"] += 1
            store.rejudge(part, judged)
            advance()
    if parts and not config.only_unscored:
        note_judged(folder, task, config.timeout, alone=True)
    if (cut := prefixed(task)) is not None and not config.only_unscored:
        judge_answers(store, cut, timeout_s=config.timeout, workers=config.workers, again=True)
    return dict(changes)


def _check_problems(run: str, problems: str, spec: str) -> None:
    """See that what a run holds is what the task `spec` judges: answers, or the rest of questions.

    Raises:
        ReachlabError: it is not.
    """
    own = prefix_of(problems) if problems else None
    if prefix_of(spec) != own:
        holds = "answers to whole questions" if own is None else f"the rest of questions, cut at prefix={own}"
        raise ReachlabError(f"{run}: holds {holds}, which {spec} does not judge; leave --task out")


def _judge(
    judge: Judge, rows: Sequence[Sample], problems: Mapping[str, Problem], *, only_unscored: bool
) -> dict[int, Judged]:
    """What is said of the chosen rows. Of the others, what the task did not say (or was not asked in its day) is asked
    again; those of which nothing is new are not among them."""
    pairs = [(problems[r.problem_id], r.text) for r in rows]
    there = [i for i, r in enumerate(rows) if r.judgeable]
    chosen = [i for i in there if not only_unscored or rows[i].verdict.status == "unscored"]
    judged = dict(zip(chosen, judge.judge(pairs[i] for i in chosen), strict=True))
    rest = [i for i in there if i not in judged]
    before = {i: Judged(rows[i].verdict, rows[i].steps, rows[i].final_answer) for i in rest}
    unchecked = [i for i in rest if rows[i].steps is None]
    for i, steps in zip(unchecked, judge.check_steps(pairs[i] for i in unchecked), strict=True):
        judged[i] = replace(before[i], steps=steps)
    unread = [i for i in rest if rows[i].final_answer is None]
    for i, answer in zip(unread, judge.final_answers(pairs[i] for i in unread), strict=True):
        judged[i] = replace(judged.get(i, before[i]), final_answer=answer)
    return judged
