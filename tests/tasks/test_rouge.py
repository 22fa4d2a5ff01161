import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.tasks.rouge import longest_common, rouge_l, words

WORDS = st.lists(st.sampled_from("abcd"), max_size=12)


def by_table(left: list[str], right: list[str]) -> int:
    """The usual table."""
    row = [0] * (len(right) + 1)
    for a in left:
        above, row = row, [0]
        for j, b in enumerate(right):
            row.append(above[j] + 1 if a == b else max(above[j + 1], row[j]))
    return row[-1]


@given(WORDS, WORDS)
def test_the_longest_common_subsequence_equals_the_table(left: list[str], right: list[str]) -> None:
    assert longest_common(left, right) == longest_common(right, left) == by_table(left, right)


def test_long_texts() -> None:
    left = [str(i * i % 97) for i in range(700)]
    right = [str(i * i * i % 89) for i in range(500)]
    assert longest_common(left, right) == by_table(left, right)


def test_the_example_of_rouge_score() -> None:
    wanted = words("The quick brown fox jumps over the lazy dog")
    assert rouge_l(words("The quick brown dog jumps on the log."), wanted) == pytest.approx(0.5882352941176471)


def test_words() -> None:
    assert words("Janet's $2.50, x_1!") == ["janet", "s", "2", "50", "x", "1"]
    assert words("小明有3个苹果") == ["小", "明", "有", "3", "个", "苹", "果"]
    assert words("= ?") == ["=", "?"]
    assert rouge_l([], ["a"]) == rouge_l(["a"], []) == 0.0
    assert rouge_l(["a"], ["a"]) == 1.0
