"""Numbers that others published, to their last printed digit, from how many samples of each problem were right.

Sources of the counts: scored outputs that CRUXEval published (github.com/facebookresearch/cruxeval), whose file
says its own pass@1 and pass@5; the logs of Tree of Thoughts (github.com/princeton-nlp/tree-of-thought-llm), Game of 24,
puzzles 901 to 1,000 by GPT-4 with the standard prompt and with a chain of thought.
"""

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Command

import reachlab
from reachlab.boundary.comparison import Findings

CRUXEVAL = (
    "0a1a000aa0aa050a70000000aa057aa00000aa0aa0080500aa0300409a0aaa0a000a0000a040000a0000030002aa30aa9910"
    "aa0aa00aaa8a0000a0a0a0a2a00a0004a0050040a80aa0aa0030a00080000000aaa00000a0a0a01000a000aa0a0401a04000"
    "000a0a7a00000a08aa00000000300006000a009001a5000aa2000a010400400a0a0a00aa0903aa0a00007200070000000033"
    "a00000a0a10aaa03a0000a69aaa00a0a020aa00a0a9a0a00a5aa00a06060000a0a000a0000000a800a0100aa0a00a002aa00"
    "0aa3a500a00000a10090aaa00040a8aa0000000aaaa000a0050a002a10000a000a0aa040000a2000a0a000aa0a000aa00000"
    "0005a01a0a0a000a009aa00a000008400a200a0a0a0000a0aa0a00a70054039601a000000000000a00a260003a00a00a0000"
    "708aaaaa0a00a000002000000400aa000000a30007aa100080a0a0814a00000aa00008a0000aa0aa000a00a0a00aa0aa400a"
    "00a000a001a00003a0001900000a0000a0006600a09060a060a00000aa500a04aa0500000aaa88000001a00aaa0303000a00"
)
"""Of 10 samples of each of 800 problems, in hexadecimal."""
STANDARD = (
    "1 0 0 0 2 0 0 2 2 1 0 0 0 1 0 0 0 56 0 0 5 0 0 0 0 0 1 42 0 0 0 0 0 0 61 0 0 29 1 2 0 0 0 1 1 "
    "22 0 4 0 0 0 0 0 1 5 0 40 0 0 0 0 2 0 26 0 43 0 0 0 0 3 0 0 0 0 0 29 60 69 0 0 0 0 0 0 0 0 0 87 "
    "0 2 0 0 0 0 22 0 12 0 99"
)
CHAIN = (
    "21 1 1 7 5 2 0 0 0 8 6 0 1 0 0 2 1 25 0 0 0 13 1 4 24 0 0 21 2 3 1 0 0 0 52 0 1 29 3 0 0 0 0 0 "
    "4 0 14 1 0 1 0 0 0 3 3 17 10 0 0 0 0 1 0 8 0 13 0 2 0 0 2 0 0 0 2 0 6 0 11 0 0 0 4 0 0 5 0 1 26 "
    "0 0 0 0 15 0 6 0 4 9 1"
)
"""Of 100 samples of each of 100 puzzles."""


def table(counts: list[int], n: int) -> np.ndarray:
    """A table of n samples with so many right ones a row."""
    return np.arange(n) < np.array(counts)[:, None]


def game_of_24(*order: str) -> Findings:
    counts = {name: [int(c) for c in text.split()] for name, text in (("standard", STANDARD), ("chain", CHAIN))}
    return reachlab.compare_matrices({name: table(counts[name], 100) for name in order}, resamples=500)


def test_cruxeval() -> None:
    right_PN = table([int(c, 16) for c in CRUXEVAL], 10)
    assert right_PN.shape == (800, 10)
    (model,) = reachlab.compare_matrices({"published": right_PN}, resamples=50).models
    assert f"{100 * model.curve.values[0]:.4f}" == "34.2125"
    assert f"{100 * model.curve.values[4]:.5f}" == "40.28671"


def test_game_of_24() -> None:
    """The chain of thought is right less often and solves more: the published 7.3 % and 4.0 %, 33 and 49 of 100."""
    found = game_of_24("chain", "standard")
    chain, standard = found.models
    assert [f"{100 * m.curve.values[0]:.2f}" for m in (chain, standard)] == ["4.03", "7.34"]
    assert [len(m.solved) for m in (chain, standard)] == [49, 33]
    assert [m.curve.values[-1] for m in (chain, standard)] == pytest.approx([0.49, 0.33])
    (pair,) = found.pairs
    assert pair.crossing.k == 6
    assert pair.verdict.label == "narrower"
    (pair,) = game_of_24("standard", "chain").pairs
    assert pair.crossing.k is None
    assert pair.verdict.label == "wider"
    assert [len(ids) for ids in (pair.coverage.both, pair.coverage.gained, pair.coverage.lost)] == [23, 26, 10]


def test_the_command_prints_them(command: Command, tmp_path: Path) -> None:
    """Through a file of each kind."""
    standard, chain = (table([int(c) for c in text.split()], 100) for text in (STANDARD, CHAIN))
    np.savetxt(tmp_path / "standard.csv", standard, fmt="%d", delimiter=",")
    np.save(tmp_path / "chain.npy", chain)
    np.savez(tmp_path / "crux.npz", published=table([int(c, 16) for c in CRUXEVAL], 10))
    code, out, err = command(
        "compare", "--matrix", tmp_path / "chain.npy", tmp_path / "standard.csv", "--resamples", "100"
    )
    assert (code, err) == (0, "")
    for said in ("100 problems, k up to 100, base chain", "4.0%", "7.3%", "49.0%", "33.0%", "k = 6"):
        assert said in out
    code, out, err = command("compare", "--matrix", tmp_path / "crux.npz", "--k", "1", "5", "--resamples", "100")
    assert (code, err) == (0, "")
    assert "34.2%" in out
