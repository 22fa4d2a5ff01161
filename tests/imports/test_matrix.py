import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import Command

from reachlab.errors import ReachlabError
from reachlab.imports.matrix import read_matrices

BASE = np.array([[1, 0, 1], [0, 0, 0]])
RL = np.array([[1, 1, 1], [0, 1, 0]])


def test_a_key_a_model_and_the_ids_of_all(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "right.npz", base=BASE, problem_ids=np.array(["a", "b"]), rl=RL.astype(bool))
    found = read_matrices([str(tmp_path / "right.npz")])
    assert [(o.name, o.problem_ids, o.c_P.tolist()) for o in found] == [
        ("base", ("a", "b"), [2, 0]),
        ("rl", ("a", "b"), [3, 1]),
    ]


def test_files_of_all_kinds_in_their_order(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", BASE.astype(float))
    np.savez(tmp_path / "more.npz", two=RL, three=BASE)
    np.savetxt(tmp_path / "four.v2.csv", RL, fmt="%d", delimiter=",")
    np.savetxt(tmp_path / "Five.TSV", RL, delimiter="\t")
    np.savetxt(tmp_path / "six.csv.gz", RL, delimiter=",")
    names = ["four.v2.csv", "more.npz", "one.npy", "Five.TSV", "six.csv.gz"]
    found = read_matrices([str(tmp_path / name) for name in names])
    assert [o.name for o in found] == ["four.v2", "two", "three", "one", "Five", "six"]
    assert [o.c_P.tolist() for o in found] == [[3, 1], [3, 1], [2, 0], [2, 0], [3, 1], [3, 1]]
    assert {o.problem_ids for o in found} == {("0", "1")}


def test_tables_of_one_name_are_called_by_their_place(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    np.savez(tmp_path / "a" / "right.npz", rl=BASE)
    np.savez(tmp_path / "right.npz", base=BASE, rl=RL)
    found = read_matrices([str(tmp_path / "right.npz"), str(tmp_path / "a" / "right.npz")])
    assert [o.name for o in found] == ["base", f"{tmp_path}/right.npz: rl", f"{tmp_path}/a/right.npz: rl"]


def test_ids_that_differ_pair_the_shared_problems(command: Command, tmp_path: Path) -> None:
    (tmp_path / "base.csv").write_text("id,s0,s1\na,1,0\nb,0,0\nc,1,\n")
    (tmp_path / "rl.csv").write_text("c,1,1\nd,0,1\na,,\n")
    words = ("compare", "--matrix", tmp_path / "base.csv", tmp_path / "rl.csv", "--resamples", "100", "--json")
    code, out, err = command(*words)
    assert code == 0
    found = json.loads(out)
    assert found["problem_ids"] == ["c"]
    assert [m["unscored"] for m in found["models"]] == [1, 0]
    # Only the comparison is there: tables hold no texts.
    assert "evidence" not in found
    assert found["support"][0] is None
    assert found["support"][1]["kept"] == 1
    assert found["support"][1]["retention"]["value"] == 1
    assert err.splitlines() == [
        "note: base: 1 of its problems left out, which another table lacks",
        "note: rl: 1 of its problems left out, which another table lacks",
        "note: rl: of the shared problems 1 without a scored sample, left out for all",
    ]


class Sneaky:
    """Reading it back would call something."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return print, ("pickled",)


def test_what_is_pickled_is_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sneaky = np.array([[Sneaky()]], object)
    np.save(tmp_path / "sneaky.npy", sneaky, allow_pickle=True)
    np.savez(tmp_path / "sneaky.npz", rl=sneaky)
    np.savez(tmp_path / "ids.npz", rl=BASE, problem_ids=np.array(["a", "b"], object))
    for name in ("sneaky.npy", "sneaky.npz", "ids.npz"):
        with pytest.raises(ReachlabError, match=f"{name}: holds pickled objects, which are not read"):
            read_matrices([str(tmp_path / name)])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({}, "holds no table; a key a model is wanted"),
        ({"problem_ids": np.arange(2)}, "holds no table; a key a model is wanted"),
        ({"rl": BASE, "problem_ids": np.arange(3)}, "rl: 3 problem ids for 2 rows"),
        ({"rl": BASE, "problem_ids": np.array([[1], [2]])}, "problem_ids must be one row of texts or whole numbers"),
        ({"rl": BASE, "problem_ids": np.array([0.5, 1])}, "problem_ids must be one row of texts or whole numbers"),
        ({"rl": BASE, "ks": np.array([1, 2])}, "ks: a table has two axes"),
        ({"rl": BASE / 2}, r"rl\[0, 0\] is 0.5: 1 is right, 0 wrong"),
        ({"rl": BASE.astype(str)}, "rl: holds <U21, not numbers"),
        ({"base": BASE, "rl": RL[:1]}, "base has 2 rows and .*: rl 1: without problem ids"),
    ],
)
def test_an_npz_that_is_no_table(arrays: dict[str, np.ndarray], says: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "right.npz", **arrays)  # type: ignore[arg-type]
    if not arrays:
        (tmp_path / "right.npz").write_bytes(b"PK\x05\x06" + bytes(18))
        says = "not what numpy.savez writes"
    with pytest.raises(ReachlabError, match=f"right.npz: {says}"):
        read_matrices([str(tmp_path / "right.npz")])


def test_files_that_are_no_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "whole.npy", BASE)
    data = (tmp_path / "whole.npy").read_bytes()
    (tmp_path / "torn.npy").write_bytes(data[:-5])
    (tmp_path / "text.npy").write_text("1,0,1\n")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "renamed.npz").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as other:
        other.writestr("readme.txt", "no array")
    (tmp_path / "right.parquet").write_bytes(b"PAR1")
    for name, says in (
        ("torn.npy", "not readable by numpy"),
        ("text.npy", "not what numpy.save writes"),
        ("empty.npz", "not what numpy.savez writes"),
        ("renamed.npz", "not what numpy.savez writes"),
        ("other.npz", "readme.txt is no array"),
        ("right.parquet", "a table is an .npz, .npy or .csv file"),
        ("nothing.npz", "no such file"),
        ("nothing.npy", "no such file"),
        (".", "a table is an .npz, .npy or .csv file"),
    ):
        with pytest.raises(ReachlabError, match=says):
            read_matrices([str(tmp_path / name)])


@given(st.data())
def test_damaged_files_are_one_line_or_a_table(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    ending = data.draw(st.sampled_from([".npy", ".npz"]))
    path = tmp_path_factory.getbasetemp() / f"damaged{ending}"
    held = io.BytesIO()
    if ending == ".npy":
        np.save(held, BASE.astype(np.uint8))
    else:
        np.savez_compressed(held, rl=BASE.astype(np.uint8))
    found = bytearray(held.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        found[data.draw(st.integers(0, len(found) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(found)
    tables, said = [], ""
    try:
        tables = read_matrices([str(path)])
    except ReachlabError as error:
        said = str(error)
    except MemoryError:  # a header may ask for more than there is
        said = "too large"
    assert (said and "\n" not in said) or all((table.c_P <= table.n_P).all() for table in tables)


def test_power_plans_from_two_tables(command: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "right.npz", base=rng.random((40, 8)) < 0.3, rl=rng.random((40, 8)) < 0.5)
    code, out, err = command("power", "--matrix", tmp_path / "right.npz", "--json")
    assert (code, err) == (0, "")
    assert (json.loads(out)["base"], json.loads(out)["problems"]) == ("base", 40)
    np.savez(tmp_path / "one.npz", base=BASE)
    for words, says in (
        (("--matrix", tmp_path / "one.npz"), "power: takes two models, and 1 are named"),
        ((), "power: takes two models, and 0 are named"),
        ((tmp_path / "one.npz", "--matrix", tmp_path / "one.npz"), "runs or --matrix, not both"),
    ):
        code, out, err = command("power", *words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert says in err


def test_what_a_table_cannot_do_is_one_line(command: Command, tmp_path: Path) -> None:
    np.savez(tmp_path / "right.npz", base=BASE, rl=RL)
    for words, says in (
        (("report", "--matrix", tmp_path / "right.npz", "--out", tmp_path / "page.html"), "a page shows samples"),
        (("compare", tmp_path / "right.npz", "--matrix", tmp_path / "right.npz"), "runs or --matrix, not both"),
        (("compare", "--matrix", tmp_path / "right.npz", "--k", "4"), "k = 4 is outside 1 to 3"),
    ):
        code, out, err = command(*words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert says in err
    assert not (tmp_path / "page.html").exists()
