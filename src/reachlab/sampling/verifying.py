"""`reachlab verify`: judge a run's stored answers again, with its own task.

For a verifier that was mended, or answers it could not decide in time. Texts, seeds and log-probabilities stay as they
are.
"""

from collections import Counter

from reachlab.errors import ReachlabError
from reachlab.progress import track
from reachlab.runs import RunFolder
from reachlab.sampling.config import VerifyConfig
from reachlab.sampling.store import SampleStore
from reachlab.tasks.judging import Judge
from reachlab.tasks.registry import load_task


def verify(config: VerifyConfig) -> dict[str, int]:
    """Judge again and store the verdicts; returns how many went from one verdict to another, as "wrong -> correct".

    Raises:
        ReachlabError: not a run of samples, or its task is not known.
    """
    folder = RunFolder(config.run)
    spec = config.task or folder.read_json("run.json")["config"].get("task")
    if not spec:
        raise ReachlabError(f"{config.run}: the run does not say its task; give --task")
    task = load_task(spec)
    store = SampleStore(folder)
    problems = {p.id: p for p in store.problems()}
    changes: Counter[str] = Counter()
    parts = store.parts()
    with (
        Judge(task, workers=config.workers, timeout_s=config.timeout) as judge,
        track("verify", len(parts)) as advance,
    ):
        for part in parts:
            rows = store.part(part)
            if strange := next((r.problem_id for r in rows if r.problem_id not in problems), None):
                raise ReachlabError(f"{part}: problem {strange!r} is not in the run's problems.jsonl")
            chosen = [i for i, r in enumerate(rows) if not config.only_unscored or r.verdict.status == "unscored"]
            verdicts = [r.verdict for r in rows]
            judged = judge.verify([(problems[rows[i].problem_id], rows[i].text) for i in chosen])
            for i, verdict in zip(chosen, judged, strict=True):
                if verdict.status != verdicts[i].status:
                    changes[f"{verdicts[i].status} -> {verdict.status}"] += 1
                verdicts[i] = verdict
            store.rejudge(part, verdicts)
            advance()
    return dict(changes)
