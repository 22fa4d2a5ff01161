from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.training.corpus.survey import survey


def write(folder: Path, texts: list[str]) -> str:
    """A folder with a file a text; its spec."""
    folder.mkdir()
    for i, text in enumerate(texts):
        (folder / f"{i:04}").write_text(text)
    return f"text:{folder}"


TEXTS = [f"document {i} " * (1 + i % 5) for i in range(500)]


def test_the_held_out_share(tmp_path: Path) -> None:
    corpus = survey(write(tmp_path / "a", TEXTS), share=0.1)
    train, sides = list(corpus.train()), list(corpus.split())
    held_out = [text for text, side in sides if side]
    assert [text for text, _ in sides] == TEXTS
    assert [text for text, side in sides if not side] == train
    assert (corpus.documents, corpus.characters) == (500, sum(map(len, TEXTS)))
    assert corpus.held_out_documents == len(held_out)
    assert corpus.held_out_characters == sum(map(len, held_out))
    assert 30 <= len(held_out) <= 70  # binomial: 50, standard deviation 6.7
    assert corpus.remarks() == []


def test_what_is_held_out_does_not_depend_on_the_rest(tmp_path: Path) -> None:
    whole = survey(write(tmp_path / "a", TEXTS), share=0.1)
    some = survey(write(tmp_path / "b", list(reversed(TEXTS[100:]))), share=0.1)
    held_out = {text for text, side in whole.split() if side}
    assert {text for text, side in some.split() if side} == held_out - set(TEXTS[:100])
    assert whole.hash != some.hash


def test_a_copy_of_held_out_text_is_not_trained_on(tmp_path: Path) -> None:
    corpus = survey(write(tmp_path / "a", TEXTS * 2), share=0.1)
    held_out = {text for text, side in corpus.split() if side}
    assert held_out
    assert not held_out & set(corpus.train())
    assert corpus.held_out_documents == 2 * len(held_out)


def test_a_small_corpus_still_holds_one_document_out(tmp_path: Path) -> None:
    texts = [f"text {i:02}" for i in range(20)]
    corpus = survey(write(tmp_path / "a", texts), share=1e-9)
    assert (corpus.held_out_documents, len(list(corpus.train()))) == (1, 19)
    assert corpus.held_out_characters == len("text 00")
    twice = survey(write(tmp_path / "b", texts * 2), share=1e-9)
    assert (twice.held_out_documents, twice.held_out_characters) == (2, 2 * len("text 00"))
    # Not a tenth of the text or more, and not where none is asked for.
    assert survey(write(tmp_path / "c", texts[:9]), share=1e-9).held_out_documents == 0
    assert survey(f"text:{tmp_path / 'a'}", share=0).held_out_documents == 0


@given(order=st.permutations(range(4)))
def test_the_hash_is_of_the_documents_in_their_order(
    order: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("hash")
    first = survey(write(root / "a", ["a", "b", "c", "d"]))
    second = survey(write(root / "b", ["abcd"[i] for i in order]))
    assert (first.hash == second.hash) == (order == [0, 1, 2, 3])


def test_a_sample_is_spread_over_the_training_documents(tmp_path: Path) -> None:
    corpus = survey(write(tmp_path / "a", TEXTS), share=0.1)
    train = list(corpus.train())
    everything = sum(map(len, train))
    sample = list(corpus.sample(everything // 4))
    longest = max(map(len, train))
    assert abs(sum(map(len, sample)) - everything / 4) <= longest
    places = [train.index(text) for text in sample]
    assert places == sorted(set(places))
    assert max(b - a for a, b in zip(places, [*places[1:], len(train)], strict=True)) <= 20
    assert list(corpus.sample(10 * everything)) == train
    assert list(corpus.sample(1)) == train[:1]


def test_what_was_left_out_is_told(tmp_path: Path) -> None:
    spec = write(tmp_path / "a", ["one", " ", "two", ""])
    assert survey(spec).remarks() == [f"{spec}: 2 files or rows left out (the first: {tmp_path}/a/0001: an empty file)"]


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    spec = write(tmp_path / "a", ["", " ", "\n"])
    with pytest.raises(ReachlabError, match=r"0000: an empty file \(and 2 more that cannot be used\)"):
        survey(spec)
    with pytest.raises(ReachlabError, match=r"--held-out 0\.999 leaves none of 1 documents to learn from"):
        survey(write(tmp_path / "b", ["one"]), share=0.999)


def test_text_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    corpus = survey(write(tmp_path / "a", TEXTS[:5]))
    (tmp_path / "a" / "0003").write_text("another")
    with pytest.raises(ReachlabError, match="the text changed while it was read; run the command again"):
        list(corpus.train())
