from pathlib import Path

import pyarrow as pa
import pytest

from reachlab.measures.agreement import agreement
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Finish, Problem, Sample, Verdict

# Drawn tokens, finish, the sampler's log-probability; then our tokens and log-probability.
Row = tuple[int, Finish, float | None, int | None, float | None]
ROWS: list[Row] = [
    (4, "length", -8.0, 4, -8.02),  # 0.005 a token
    (2, "length", -3.0, 2, -2.9),  # 0.05 a token
    (5, "stop", -5.0, 5, -5.0),
    (6, "stop", -6.0, 5, -5.5),  # cut otherwise
    (3, "stop", -6.0, 0, None),  # cannot be scored
    (3, "stop", -6.0, None, None),  # not scored yet
    (3, "stop", None, 3, -4.0),  # no log-probability of its own
]


def store_of(folder: Path, rows: list[Row], engine: str = "transformers") -> SampleStore:
    store = SampleStore(RunFolder(folder))
    store.write_problems([Problem(id="a", prompt="p", answer=None)])
    store.write_part(
        [
            Sample(
                problem_id="a", index=i, text="t", tokens=tokens, finish=finish, logprob=logprob, seed=i, engine=engine,
                verdict=Verdict.wrong(),
            )
            for i, (tokens, finish, logprob, _, _) in enumerate(rows)
        ]
    )  # fmt: skip
    tokens, logprobs = [row[3] for row in rows], [row[4] for row in rows]
    columns = {"logprob:me": pa.array(logprobs, pa.float32()), "tokens:me": pa.array(tokens, pa.int32())}
    store.add_columns(store.parts()[0], columns)
    return store


def test_every_answer_is_in_one_of_the_counts(tmp_path: Path) -> None:
    found = agreement(store_of(tmp_path, ROWS), "me", open_ended=False)
    assert found is not None
    assert (found.compared, found.apart, found.retokenised, found.open_ended) == (3, 1, 1, 0)
    assert found.highest == pytest.approx(0.05, abs=1e-6)
    assert found.mean == pytest.approx((0.005 + 0.05 + 0) / 3, abs=1e-6)
    words = found.words()
    for said in ("1.8e-02 nats", "5.0e-02 at most", "over 3 answers", "(1 by more than 0.01)", "1 have other tokens"):
        assert said in words


def test_other_tokens_of_the_same_number_are_noticed(tmp_path: Path) -> None:
    store = store_of(tmp_path, ROWS)
    known = [False, True, None, True, None, None, None]
    store.add_columns(store.parts()[0], {"retokenised:me": pa.array(known, pa.bool_())})
    found = agreement(store, "me", open_ended=False)
    assert found is not None
    assert (found.compared, found.apart, found.retokenised) == (2, 0, 2)


def test_what_ended_at_a_stop_string_is_left_out_and_counted(tmp_path: Path) -> None:
    found = agreement(store_of(tmp_path, ROWS), "me", open_ended=True)
    assert found is not None
    assert (found.compared, found.retokenised, found.open_ended) == (2, 0, 2)
    assert "of 2 a stop string or the end of text was the end" in found.words()
    found = agreement(store_of(tmp_path / "2", ROWS[2:]), "me", open_ended=True)
    assert found is not None
    assert (found.compared, found.mean, found.highest) == (0, 0.0, 0.0)
    assert "no answer to compare" in found.words()


def test_nothing_to_compare(tmp_path: Path) -> None:
    assert agreement(store_of(tmp_path / "1", ROWS, engine="import"), "me", open_ended=False) is None
    assert agreement(store_of(tmp_path / "2", ROWS), "other", open_ended=False) is None
    assert agreement(store_of(tmp_path / "3", ROWS[4:]), "me", open_ended=False) is None
