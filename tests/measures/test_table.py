from reachlab.measures.table import Table, cut, merged, percent


def test_tables_of_one_caption_become_one() -> None:
    one, two = Table("A", ("x",), (("base", ("1",)),)), Table("A", ("x",), (("rl", ("2",)),))
    other = Table("B", (), (("all", ("3",)),))
    found = merged([one, other, two])
    assert [table.caption for table in found] == ["A", "B"]
    assert found[0].rows == (("base", ("1",)), ("rl", ("2",)))
    assert found[0].to_dict() == {"columns": ["x"], "rows": [["base", "1"], ["rl", "2"]]}


def test_texts_say_what_is_missing() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "abc … (1 more characters)"
    assert percent(0.000123) == "0.0123%"
