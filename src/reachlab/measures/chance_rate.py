"""`reachlab chance`: judge every stored answer against the gold answer of another problem, and keep what was right.

What it means is in `boundary/chance.py`. The counts are kept beside the run as `guess.json`, whole or not at all,
with all they depend on: the same command again reads them, and a run that has other samples since is judged anew.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.chance import LuckGroup, Space, answer_spaces, luck_groups, luck_table, partners
from reachlab.errors import ReachlabError
from reachlab.measures.config import ChanceConfig
from reachlab.measures.table import percent
from reachlab.progress import track
from reachlab.runs import RunFolder
from reachlab.storable import encoded
from reachlab.store.samples import SampleStore, hash_problems
from reachlab.tasks.base import Task
from reachlab.tasks.judging import Judge
from reachlab.tasks.registry import check_known, load_task
from reachlab.types import FILTERED, Problem

Ints = NDArray[np.int64]

FILE = "guess.json"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ChanceRate:
    """What a run's answers got right of other problems, by shuffle and problem, (S, P).

    ``partner_SP`` is the problem whose gold answer judged (-1: there was none), ``n_SP`` the scored answers, ``c_SP``
    the right ones, ``unscored_SP`` those that could not be judged; ``spaces`` has each problem's own gold answer's.
    """

    spaces: tuple[Space, ...]
    partner_SP: Ints
    n_SP: Ints
    c_SP: Ints
    unscored_SP: Ints

    @property
    def left_out(self) -> int:
        """Problems whose answers nobody could judge: no other of their kind has another gold answer."""
        return int((self.partner_SP < 0).all(axis=0).sum())

    @property
    def most(self) -> int:
        """The largest k: the fewest scored answers of a problem in a shuffle; 0 where there are none."""
        return int(self.n_SP[self.n_SP > 0].min(initial=self.n_SP.max(initial=0)))

    def table(self, ks: tuple[int, ...]) -> NDArray[np.float64]:
        """luck@k of each problem that was judged, the mean over shuffles: (P', K)."""
        table_SPK = luck_table(self.n_SP, self.c_SP, ks)
        judged_P = (self.n_SP > 0).any(axis=0)
        found_PK: NDArray[np.float64] = np.nanmean(table_SPK[:, judged_P], axis=0)
        return found_PK

    def groups(self, ks: tuple[int, ...]) -> tuple[LuckGroup, ...]:
        """luck@k by answer space, with that of uniform guessing."""
        return luck_groups(self.spaces, self.partner_SP, self.n_SP, self.c_SP, ks)

    def rows(self) -> list[dict[str, str]]:
        """A table: a row an answer space, with its luck beside that of uniform guessing."""
        ks = (1, self.most) if self.most > 1 else (1,)
        rows = []
        for group in self.groups(ks):
            row = {
                "gold answer": group.label,
                "problems": f"{group.problems:,}",
                "judged": f"{group.scored:,}",
                "right": f"{group.right:,}",
            }
            for at, k in enumerate(ks):
                row[f"luck@{k:,}"] = percent(group.luck_K[at])
                row[f"uniform@{k:,}"] = "–" if group.uniform_K is None else percent(group.uniform_K[at])
            rows.append(row)
        return rows

    def to_dict(self, ks: tuple[int, ...] = ()) -> dict[str, Any]:
        """Plain numbers at the given k, each at most `most`; without any, at powers of two and at `most`."""
        ks = ks or tuple(sorted({*(2**i for i in range(self.most.bit_length())), self.most} - {0}))
        scored = int(self.n_SP.sum())
        return {
            "shuffles": len(self.n_SP),
            "scored": scored,
            "right": int(self.c_SP.sum()),
            "unscored": int(self.unscored_SP.sum()),
            "problems_left_out": self.left_out,
            "rate": float(self.c_SP.sum() / scored) if scored else None,
            "ks": list(ks),
            "luck": self.table(ks).mean(axis=0).tolist() if scored else [],
            "groups": [
                {
                    "label": group.label,
                    "size": group.size,
                    "problems": group.problems,
                    "scored": group.scored,
                    "right": group.right,
                    "rate": group.rate,
                    "luck": group.luck_K.tolist(),
                    "uniform": None if group.uniform_K is None else group.uniform_K.tolist(),
                }
                for group in (self.groups(ks) if scored else ())
            ],
        }


def measure_chance(config: ChanceConfig) -> ChanceRate:
    """Judge the run's answers against other problems' gold answers, or read what an earlier call found.

    Raises:
        ReachlabError: not a run of samples, its task is not known, or no two problems have different gold answers.
    """
    store = SampleStore(RunFolder(config.run))
    problems = store.problems()
    spec = _task_of(store)
    settings = {name: getattr(config, name) for name in ("shuffles", "samples", "seed", "timeout")}
    depends = {**_depends(store, problems), "settings": settings}
    kept = _kept(store)
    store.folder.sweep()
    if kept is not None and kept[0] == depends:
        return kept[1]
    check_known(spec, store.folder.read_json("run.json").get("facts", {}))
    found = _judge(store, load_task(spec), problems, config)
    document = {
        "depends": depends,
        "problems": [p.id for p in problems],
        "spaces": [asdict(space) for space in found.spaces],
        "partner": found.partner_SP.tolist(),
        "scored": found.n_SP.tolist(),
        "right": found.c_SP.tolist(),
        "unscored": found.unscored_SP.tolist(),
    }
    store.folder.write(FILE, json.dumps(document) + "\n")
    return found


def read_chance(store: SampleStore) -> tuple[ChanceRate | None, str]:
    """What `measure_chance` has kept of this run, or None and why."""
    store = store.original()
    kept = _kept(store)
    if kept is None:
        return None, f"not measured; `reachlab chance {store.folder.url}` does"
    depends = {name: value for name, value in kept[0].items() if name != "settings"}
    if depends != _depends(store, store.problems()):
        return None, f"measured on other samples; `reachlab chance {store.folder.url}` measures again"
    return kept[1], ""


def _task_of(store: SampleStore) -> str:
    spec = store.folder.read_json("run.json").get("config", {}).get("task")
    if not spec:
        raise ReachlabError(f"{store.folder.url}: the run does not say its task, so nothing can judge its answers")
    return str(spec)


def _depends(store: SampleStore, problems: list[Problem]) -> dict[str, str]:
    """What the counts depend on beside the settings. Samples are known by their parts' names and the run's identity."""
    names = "\n".join(path.rsplit("/", 1)[-1] for path in store.parts())
    run = json.dumps(store.folder.read_json("run.json").get("config"), sort_keys=True)
    return {
        "samples": hashlib.blake2b(encoded(f"{names}\n{run}"), digest_size=16).hexdigest(),
        "problems": hash_problems(problems),
    }


def _kept(store: SampleStore) -> tuple[Mapping[str, Any], ChanceRate] | None:
    if not store.folder.exists(FILE):
        return None
    found = store.folder.read_json(FILE)
    try:
        spaces = tuple(Space(**space) for space in found["spaces"])
        tables = [np.array(found[name], np.int64) for name in ("partner", "scored", "right", "unscored")]
        if any(table.ndim != 2 or table.shape != (len(tables[0]), len(spaces)) for table in tables):
            raise ValueError("tables of different shapes")
        if not isinstance(found["depends"], dict):
            raise TypeError("depends is no object")
        partner_SP, n_SP, c_SP, unscored_SP = tables
        return found["depends"], ChanceRate(
            spaces=spaces, partner_SP=partner_SP, n_SP=n_SP, c_SP=c_SP, unscored_SP=unscored_SP
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ReachlabError(
            f"{store.folder.file(FILE)}: not what `reachlab chance` keeps ({error}); delete it"
        ) from error


def _judge(store: SampleStore, task: Task, problems: list[Problem], config: ChanceConfig) -> ChanceRate:
    """Judge part after part, so that texts lie in memory one part at a time."""
    golds = [task.gold(p) for p in problems]
    # A task without one right answer: what its verifier needs says which problems differ.
    keys = [
        json.dumps(p.answer, sort_keys=True, default=str) if gold is None else gold
        for p, gold in zip(problems, golds, strict=True)
    ]
    spaces = tuple(answer_spaces(["" if g is None else g for g in golds]))
    rng = np.random.default_rng(config.seed)
    partner_SP = np.stack([partners(keys, spaces, rng) for _ in range(config.shuffles)])
    if (partner_SP < 0).all():
        raise ReachlabError(f"{store.folder.url}: no two of its problems have different gold answers to judge by")
    place = {p.id: at for at, p in enumerate(problems)}
    table, row_N = store.numbered(["finish"])
    end = config.samples or int(table["sample"].to_numpy().max()) + 1
    if plan := store.plan():
        end = min(end, plan.looks[0])  # which samples come later depends on which came right
    theirs_N = np.array(table["finish"].to_pylist()) != FILTERED  # the models' own, and not what a filter left
    chosen_N = (table["sample"].to_numpy() < end) & theirs_N
    total = int((partner_SP[:, row_N[chosen_N]] >= 0).sum())
    counts = dict(zip(("correct", "wrong", "unscored"), np.zeros((3, *partner_SP.shape), np.int64), strict=True))
    seen: set[tuple[int, int]] = set()
    with Judge(task, workers=config.workers, timeout_s=config.timeout) as judge, track("chance", total) as advance:
        for path in store.parts():
            part = store.read_part(path, ["problem_id", "sample", "text", "finish"]).to_pylist()
            rows = [(place[r["problem_id"]], r["sample"], r["text"]) for r in part if r["finish"] != FILTERED]
            rows = [r for r in rows if r[:2] not in seen and r[1] < end]
            seen.update(r[:2] for r in rows)
            for s, partner_P in enumerate(partner_SP.tolist()):
                asked = [(p, text) for p, _, text in rows if partner_P[p] >= 0]
                pairs = [(problems[partner_P[p]], text) for p, text in asked]
                told = 0

                def tell(done: int) -> None:
                    nonlocal told
                    advance(done - told)
                    told = done

                for (p, _), verdict in zip(asked, judge.verify(pairs, tell), strict=True):
                    counts[verdict.status][s, p] += 1
    return ChanceRate(
        spaces=spaces,
        partner_SP=partner_SP,
        n_SP=counts["correct"] + counts["wrong"],
        c_SP=counts["correct"],
        unscored_SP=counts["unscored"],
    )
