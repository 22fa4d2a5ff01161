import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from itertools import islice

import pytest
import reasoning_gym
from reasoning_gym.factory import DATASETS

from reachlab.errors import ReachlabError
from reachlab.tasks.base import split_of
from reachlab.tasks.gym import HASH_SEEDED, Gym
from reachlab.tasks.judging import Judge

NO_ORACLE = {
    "boxnet": "only a plan can be scored, and none comes with the entry",
    "graph_color": "any proper colouring is right, and none comes with the entry",
    "propositional_logic": "any valid conclusion is right, and none comes with the entry",
    "rubiks_cube": "any solving sequence is right, and none comes with the entry",
    "rush_hour": "any solving sequence is right, and none comes with the entry",
}
NEEDS_SETTINGS = {"composite": "a mixture of datasets that its settings must list"}


@pytest.mark.parametrize("name", sorted({*DATASETS} - {*NEEDS_SETTINGS} - HASH_SEEDED))
def test_every_dataset_poses_a_problem_and_scores_its_own_answer(name: str) -> None:
    task = Gym(name)
    problem = task.draw(random.Random(3), listed=True)
    stored = replace(problem, answer=json.loads(json.dumps(problem.answer)))  # as a run's folder keeps it
    answer = task.solve(stored, random.Random(0))
    assert (answer is None) == (name in NO_ORACLE)
    if answer is not None:
        assert task.verify(stored, answer).status == "correct"
        assert task.verify(stored, f"So <answer>0</answer>, no: <answer>{answer}</answer>").status == "correct"


def test_items_are_those_of_reasoning_gym() -> None:
    for name in ("chain_sum", "gsm_symbolic", "list_functions"):  # the last two prepare their items
        number = random.Random(5).getrandbits(31)
        theirs = reasoning_gym.create_dataset(name, seed=number, size=1)[0]
        assert Gym(name).draw(random.Random(5), listed=False).prompt == theirs["question"]


QUESTIONS = """
import hashlib, json, random
from reasoning_gym.factory import DATASETS
from reachlab.tasks import gym
hash_seeded, gym.HASH_SEEDED = gym.HASH_SEEDED, frozenset()
slow = {"composite", "intermediate_integration", "knight_swap"}
draw = lambda name, seed: gym.Gym(name).draw(random.Random(seed), listed=True).id
print(json.dumps({name: [draw(name, seed) for seed in (1,)] for name in sorted(set(DATASETS) - slow)}))
"""


@pytest.mark.slow
def test_only_the_datasets_named_follow_pythons_hash_seed() -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", QUESTIONS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
        )
        for seed in ("1", "2")
    ]
    one, two = (json.loads(run.communicate()[0]) for run in runs)
    assert {name for name in one if one[name] != two[name]} == HASH_SEEDED


def test_a_dataset_that_follows_the_hash_seed_wants_it_fixed() -> None:
    code = (
        "import random; from reachlab.tasks.gym import Gym; t = Gym('ransom_note'); "
        "p = t.draw(random.Random(0), listed=True); "
        "print(p.id, t.verify(p, t.solve(p, random.Random(0))).status)"
    )
    for seed, says in (("0", "correct"), ("random", "set PYTHONHASHSEED=0")):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
        assert says in (done.stdout if seed == "0" else done.stderr)


def test_splits_never_share_a_question() -> None:
    task = Gym("chain_sum", min_terms=2, max_terms=2, min_digits=1, max_digits=1)
    train, test = task.problems("train", 40), task.problems("test", 20)
    assert not {p.prompt for p in train} & {p.prompt for p in test}
    assert {split_of(p.id) for p in train} == {"train"}
    assert {split_of(p.id) for p in test} == {"test"}
    assert {p.id for p in islice(task.stream("train", 0), 200)} & {p.id for p in test} == set()


def test_a_stream_resumes_where_it_was() -> None:
    task = Gym("gcd")
    assert list(islice(task.stream("train", 7), 10))[6:] == list(islice(task.stream("train", 7, start=6), 4))


def test_the_same_question_has_the_same_id_whatever_drew_it() -> None:
    task = Gym("chain_sum", min_terms=2, max_terms=2, min_digits=1, max_digits=1)
    drawn = [task.draw(random.Random(seed), listed=False) for seed in range(400)]
    by_id = {p.id: p.prompt for p in drawn}
    assert len(by_id) == len({p.prompt for p in drawn}) < 400


def test_votes_are_for_what_is_scored() -> None:
    task = Gym("gcd")
    problem = task.draw(random.Random(0), listed=True)
    gold = str(task.gold(problem))
    texts = (gold, f" {gold}\n", f"so <answer>1</answer> or <answer> {gold} </answer>.", "a\n b", " ")
    assert [task.final_answer(problem, t) for t in texts] == [gold, gold, gold, "a b", None]


def test_partial_credit_is_wrong_with_a_score() -> None:
    task = Gym("chain_sum")
    problem = task.draw(random.Random(0), listed=False)
    verdict = task.verify(problem, f"{task.solve(problem, random.Random(0))} or so")
    assert verdict.status == "wrong"
    assert 0 < verdict.score < 1
    assert task.verify(problem, "").score == 0


def test_a_scorer_that_fails_is_unscored() -> None:
    task = Gym("prime_factorization")
    problem = task.draw(random.Random(0), listed=False)
    with Judge(task, workers=1) as judge:
        junk, right = judge.verify([(problem, "junk"), (problem, str(task.solve(problem, random.Random(0))))])
    assert junk.status == "unscored"
    assert "ValueError" in junk.reason
    assert right.status == "correct"


def test_settings_reach_the_dataset() -> None:
    easy = Gym("chain_sum", min_terms=2, max_terms=2).draw(random.Random(0), listed=False)
    hard = Gym("chain_sum", min_terms=6, max_terms=6).draw(random.Random(0), listed=False)
    assert (
        str(easy.prompt).count(" + ") + str(easy.prompt).count(" - "),
        len(str(hard.prompt)) > len(str(easy.prompt)),
    ) == (1, True)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("gsm_symbolc", {}, "no dataset 'gsm_symbolc'; near it: gsm_symbolic"),
        ("qqqqqq", {}, "no dataset 'qqqqqq'"),
        (
            "chain_sum",
            {"min_term": 3},
            "no setting 'min_term'; near it: min_terms, .*; there are: min_terms, max_terms",
        ),
        ("chain_sum", {"seed": 3}, "no setting 'seed'"),
        ("chain_sum", {"size": 3}, "no setting 'size'"),
        ("chain_sum", {"min_terms": 0}, "refuses the settings"),
        ("chain_sum", {"min_terms": "three"}, "refuses the settings"),
        ("composite", {}, "refuses the settings.*at least one dataset"),
    ],
)
def test_bad_names_and_settings(name: str, settings: dict[str, object], says: str) -> None:
    with pytest.raises(ReachlabError, match=says) as caught:
        Gym(name, **settings)
    assert "\n" not in str(caught.value)


def test_reasoning_is_not_the_answer() -> None:
    task = Gym("basic_arithmetic")
    (problem,) = task.problems("test", 1)
    right = str(task.gold(problem))
    for text, status in (
        (f"<think><answer>x</answer></think><answer>{right}</answer>", "correct"),
        (f"<think>x</think>{right}", "correct"),
        (f"<think><answer>{right}</answer></think><answer>x</answer>", "wrong"),
        (f"<think>it is {right}", "wrong"),
    ):
        assert task.verify(problem, text).status == status
        assert (task.final_answer(problem, text) == right) == (status == "correct")
