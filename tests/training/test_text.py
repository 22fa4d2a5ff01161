import threading
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.chats import INSTRUCT, made
from transformers import PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.chat import end_tokens
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.tasks.asking import Asking
from reachlab.tasks.registry import load_task
from reachlab.tasks.templates import TEMPLATES
from reachlab.training.text import (
    Document,
    Tokens,
    ahead,
    attempts,
    document_batches,
    pad,
    solutions,
    teacher_samples,
)
from reachlab.types import Sample, Verdict

ROWS = st.lists(
    st.tuples(st.lists(st.integers(3, 9), min_size=1, max_size=5), st.lists(st.integers(3, 9), min_size=1, max_size=5)),
    min_size=1,
    max_size=4,
)


@given(ROWS, st.none() | st.integers(1, 12), st.booleans())
def test_rows_are_prompt_then_answer_then_padding(
    rows: list[tuple[list[int], list[int]]], length: int | None, answer_only: bool
) -> None:
    batch = pad([p for p, _ in rows], [a for _, a in rows], 0, length, answer_only)
    width = batch.ids_BT.shape[1]
    for b, (prompt, answer) in enumerate(rows):
        row = (prompt + answer)[:length]
        assert batch.ids_BT[b].tolist() == row + [0] * (width - len(row))
        assert batch.attention_BT[b].tolist() == [t < len(row) for t in range(width)]
        first = len(prompt) if answer_only else 0
        assert batch.learn_BT[b].tolist() == [first <= t < len(row) for t in range(width)]
    assert any(batch.attention_BT[:, -1].tolist())


@given(st.integers(1, 9), st.integers(1, 12))
def test_pieces_of_a_batch_are_the_batch(rows: int, pieces: int) -> None:
    ids = torch.arange(rows * 3).view(rows, 3)
    parts = Tokens(ids, ids > 0, ids > 1).split(pieces)
    assert len(parts) == min(rows, pieces)
    assert torch.equal(torch.cat([p.ids_BT for p in parts]), ids)
    assert torch.equal(torch.cat([p.learn_BT for p in parts]), ids > 1)


@given(st.integers(1, 9), st.integers(1, 12))
def test_shares_of_a_batch_are_the_batch(rows: int, world: int) -> None:
    ids = torch.arange(rows * 3).view(rows, 3)
    batch = Tokens(ids, ids >= 0, ids % 2 > 0)
    shares = [batch.share(rank, world) for rank in range(world)]
    assert all(len(share.ids_BT) for share in shares)
    learned = torch.cat([share.ids_BT[share.learn_BT] for share in shares])
    assert torch.equal(learned, batch.ids_BT[batch.learn_BT])


def test_a_batch_is_a_function_of_seed_and_step(tokenizer: PreTrainedTokenizerBase) -> None:
    task = load_task("countdown,numbers=3")
    batches = document_batches(attempts(task, 3), tokenizer, 4, 64, answer_only=False)
    later = batches(5)
    for step in range(5):
        batches(step)
    again = batches(5)
    assert torch.equal(later.ids_BT, again.ids_BT)
    assert torch.equal(later.learn_BT, again.learn_BT)
    other = document_batches(attempts(task, 4), tokenizer, 4, 64, answer_only=False)(5)
    assert later.ids_BT.tolist() != other.ids_BT.tolist()
    texts = [f"{p}{a}" for p, a, _ in attempts(task, 3)(20, 4)]
    assert tokenizer.batch_decode(later.ids_BT, skip_special_tokens=True) == texts
    ends = later.attention_BT.sum(1) - 1
    assert (later.ids_BT.gather(1, ends[:, None]) == tokenizer.eos_token_id).all()


def test_a_teacher_is_right_and_an_attempt_need_not_be() -> None:
    task = load_task("countdown,numbers=3")
    problems = list(islice(task.stream("train", 0), 60))
    for documents, share in ((solutions(task, 0), (60, 60)), (attempts(task, 0), (15, 45))):
        pairs = documents(0, 60)
        assert [(p, ended) for p, _, ended in pairs] == [(p.prompt, True) for p in problems]
        right = sum(task.verify(p, a).status == "correct" for p, (_, a, _) in zip(problems, pairs, strict=True))
        assert share[0] <= right <= share[1]
        assert documents(13, 7) == pairs[13:20]


def test_no_room_for_an_answer(tokenizer: PreTrainedTokenizerBase) -> None:
    batches = document_batches(solutions(load_task("countdown"), 0), tokenizer, 4, 5, answer_only=True)
    with pytest.raises(ReachlabError, match="no prompt of step 0 leaves room for an answer in --length 5"):
        batches(0)


def test_a_task_without_answers(tmp_path: Path) -> None:
    file = tmp_path / "math.jsonl"
    file.write_text("".join(f'{{"problem": "What is {i} + {i}?", "answer": "{2 * i}"}}\n' for i in range(50)))
    task = load_task(f"math:{file}")
    if task.solve(next(task.stream("train", 0)), Random(0)) is None:
        with pytest.raises(ReachlabError, match="has no answers to learn from; distil from a run of samples"):
            solutions(task, 0)(0, 1)


def _teacher(folder: Path, statuses: list[str]) -> SampleStore:
    """Two problems of each split with one sample a status."""
    task = load_task("countdown,numbers=3")
    store = SampleStore(RunFolder(folder))
    problems = [*task.problems("train", 2), *task.problems("test", 2)]
    store.write_problems(problems)
    store.write_part(
        [
            Sample(
                problem_id=p.id, index=i, text=f"{p.id} {i}", tokens=1, finish="stop", logprob=None, seed=0,
                engine="e", verdict=Verdict(status),  # type: ignore[arg-type]
            )
            for p in problems
            for i, status in enumerate(statuses)
        ]
    )  # fmt: skip
    return store


def test_a_student_sees_right_answers_to_training_problems_only(tmp_path: Path) -> None:
    task = load_task("countdown,numbers=3")
    store = _teacher(tmp_path, ["correct", "wrong", "correct", "unscored"])
    train = task.problems("train", 2)
    wanted = {(p.prompt, f"{p.id} {i}", True) for p in train for i in (0, 2)}
    documents = teacher_samples(store, task, 0)
    epochs = [documents(4 * e, 4) for e in range(6)]
    assert all(set(epoch) == wanted for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert documents(3, 9) == [pair for epoch in epochs for pair in epoch][3:12]
    with pytest.raises(ReachlabError, match=r"no correct sample of a training problem .* --split train"):
        teacher_samples(_teacher(tmp_path / "wrong", ["wrong"]), task, 0)


def test_a_student_is_taught_as_it_is_asked_whatever_its_teacher_was(tmp_path: Path) -> None:
    asked = load_task("chain", Asking(template=TEMPLATES["chat"]))
    store = SampleStore(RunFolder(tmp_path))
    problem = asked.problems("train", 1)[0]
    text = f"So: {asked.solve(problem, Random(0))}"
    store.write_problems([problem])
    said = {"tokens": 1, "finish": "stop", "logprob": None, "seed": 0, "engine": "e", "verdict": Verdict.correct()}
    store.write_part([Sample(problem_id=problem.id, index=0, text=text, **said)])  # type: ignore[arg-type]
    assert teacher_samples(store, asked, 0)(0, 1) == [(problem.prompt, text, True)]
    plain = load_task("chain")
    bare = plain.bared(problem)
    assert teacher_samples(store, plain, 0)(0, 1) == [(bare.prompt, plain.solve(bare, Random(0)), True)]


def test_only_an_answer_that_ended_teaches_where_to_end(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    task = load_task("countdown,numbers=3")
    problems = [p for p in task.problems("train", 40) if "+" in str(task.solve(p, Random(0)))][:2]
    store = SampleStore(RunFolder(tmp_path))
    store.write_problems(problems)
    said = {"tokens": 1, "logprob": None, "seed": 0, "engine": "e", "verdict": Verdict.correct()}
    texts = [str(task.solve(p, Random(0))) for p in problems]
    store.write_part(
        [
            Sample(problem_id=p.id, index=0, text=text, finish=finish, **said)  # type: ignore[arg-type]
            for p, text, finish in zip(problems, texts, ("stop", "length"), strict=True)
        ]
    )
    documents = teacher_samples(store, load_task("countdown,numbers=3", Asking()), 0)
    batch = document_batches(documents, tokenizer, 2, 64, answer_only=True)(0)
    learned = [ids[learn].tolist() for ids, learn in zip(batch.ids_BT, batch.learn_BT, strict=True)]
    for (_, text, ended), ids in zip(documents(0, 2), learned, strict=True):
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
        assert ids.count(tokenizer.eos_token_id) == ended == (ids[-1] == tokenizer.eos_token_id)
        assert ended == (text == texts[0])


def test_rows_that_are_cut_are_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    documents = [Document("12 11 9 3=36:", "11*3=33"), Document("7+5=", "12"), Document("7+5=", "12", ended=False)]
    make = partial(document_batches, lambda start, n: documents[:n], tokenizer, 3, answer_only=True)
    lengths = [13 + 7 + 1, 4 + 2 + 1, 4 + 2]
    for length in (5, 6, 7, 20, 21):
        assert make(length=length)(0).cut == sum(own > length for own in lengths)
    assert pad([[3]], [[4]], 0).cut is None


def test_an_answer_in_a_chat_ends_with_what_ends_a_turn(tmp_path: Path) -> None:
    tokenizer, folder = made(next(shape for shape in INSTRUCT if shape.name == "gemma-2-2b-it"), tmp_path)
    ends = end_tokens(tokenizer, folder)
    for name, end in (("chat", "<end_of_turn>"), ("plain", "<eos>")):
        task = load_task("chain", Asking(template=TEMPLATES[name]))
        tokens = document_batches(solutions(task, 0), tokenizer, 2, 2000, answer_only=True, ends=ends)(0)
        last = tokens.ids_BT.gather(1, tokens.attention_BT.sum(1)[:, None] - 1)[:, 0]
        assert tokenizer.convert_ids_to_tokens(last.tolist()) == [end, end]
        learned = tokenizer.decode(tokens.ids_BT[0][tokens.learn_BT[0]])
        problem = next(task.stream("train", 0))
        assert learned == f"{task.solve(problem, Random(0))}{end}"


def _row(t: int) -> Tokens:
    ids = torch.tensor([[t]])
    return Tokens(ids, ids > 0, ids > 0)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 5), st.integers(0, 12))
def test_batches_made_ahead_come_in_order(start: int, n: int) -> None:
    assert [b.ids_BT.item() for b in ahead(_row, start, start + n)] == list(range(start, start + n))


def test_an_error_ahead_is_heard_where_it_belongs_and_the_thread_ends() -> None:
    def make(t: int) -> Tokens:
        if t == 3:
            raise ReachlabError("line 3 is damaged")
        return _row(t)

    before = threading.active_count()
    batches = ahead(make, 0, 10)
    with pytest.raises(ReachlabError, match="line 3 is damaged"):
        list(batches)
    left = ahead(_row, 0, 100)
    next(left)
    left.close()
    assert threading.active_count() == before
