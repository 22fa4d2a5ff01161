import os
from pathlib import Path

import numpy as np
import pytest
from tests.tiny import names
from transformers import PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_tokenizer
from reachlab.models.tokenizer import train_tokenizer
from reachlab.training.corpus import packed
from reachlab.training.corpus.packed import check_room, open_packed, pack
from reachlab.training.corpus.survey import Corpus, survey

TEXTS = [f"{i} plus {i} is {i + i}\n" * (1 + i % 3) for i in range(60)]


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Sixty files, some held out."""
    folder = tmp_path / "text"
    folder.mkdir()
    for i, text in enumerate(TEXTS):
        (folder / f"{i:02}").write_text(text)
    return survey(f"text:{folder}", share=0.2)


@pytest.fixture(scope="module")
def bpe() -> PreTrainedTokenizerBase:
    return train_tokenizer("bpe", TEXTS, 300)


def documents(ids_N: np.ndarray, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The texts between end tokens."""
    *rows, after = np.split(ids_N, np.flatnonzero(ids_N == tokenizer.eos_token_id) + 1)
    assert not len(after), "the last token is an end"
    return [tokenizer.decode(row[:-1]) for row in rows]


def test_all_documents_are_there_each_closed_by_an_end_token(
    corpus: Corpus, bpe: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "AT_ONCE", 300)  # several rounds of encoding
    found = open_packed(pack(corpus, bpe, tmp_path / "tokens"))
    assert found.train_N.dtype == np.uint16
    assert isinstance(found.train_N, np.memmap)
    assert documents(found.train_N, bpe) == list(corpus.train())
    assert documents(found.held_out_N, bpe) == [text for text, held_out in corpus.split() if held_out]
    assert len(names(tmp_path / "tokens")) == 2


def test_a_large_vocabulary_takes_wider_numbers(
    corpus: Corpus, bpe: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = open_packed(pack(corpus, bpe, tmp_path))
    monkeypatch.setattr(type(bpe), "__len__", lambda _: (1 << 16) + 1)
    wide = open_packed(pack(corpus, bpe, tmp_path))
    assert wide.train_N.dtype == np.uint32
    assert np.array_equal(narrow.train_N, wide.train_N)


def test_tokens_are_made_once(corpus: Corpus, bpe: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    folder = tmp_path / "tokens"
    first = pack(corpus, bpe, folder)
    before = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    bpe.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / "config.json").write_text("{}")
    assert pack(corpus, load_tokenizer(tmp_path / "saved"), folder) == first, "a run that goes on loads its tokenizer"
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == before


def test_other_text_another_tokenizer_or_share_have_files_of_their_own(
    corpus: Corpus, bpe: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    folder = tmp_path / "tokens"
    found = {pack(corpus, bpe, folder), pack(corpus, train_tokenizer("char", TEXTS), folder)}
    found.add(pack(survey(corpus.spec, share=0.3), bpe, folder))
    (tmp_path / "text" / "00").write_text("another")
    found.add(pack(survey(corpus.spec, share=0.2), bpe, folder))
    assert len(found) == 4


@pytest.mark.parametrize("harm", ["flip", "cut", "gone", "description"])
def test_damaged_tokens_are_made_again(harm: str, corpus: Corpus, bpe: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    description = pack(corpus, bpe, tmp_path / "tokens")
    file = description.with_suffix(".bin")
    right = file.read_bytes()
    if harm == "flip":
        file.write_bytes(right[:7] + bytes([right[7] ^ 1]) + right[8:])
    elif harm == "cut":
        file.write_bytes(right[:-2])
    elif harm == "gone":
        file.unlink()
    else:
        description.write_text("{")
    assert pack(corpus, bpe, tmp_path / "tokens") == description
    assert file.read_bytes() == right
    assert documents(open_packed(description).train_N, bpe) == list(corpus.train())


def test_a_disk_that_is_full_leaves_nothing(
    corpus: Corpus, bpe: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReachlabError, match=r"tokens-\w+\.bin: not written: No space left on device"):
        pack(corpus, bpe, tmp_path / "tokens")
    assert names(tmp_path / "tokens") == []


def test_no_room_for_a_window(corpus: Corpus, bpe: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    tokens = len(open_packed(pack(corpus, bpe, tmp_path / "tokens")).train_N)
    check_room(corpus, bpe, tokens)
    with pytest.raises(ReachlabError, match=f"{tokens} tokens to learn from, fewer than one window of --length"):
        check_room(corpus, bpe, tokens + 1)
