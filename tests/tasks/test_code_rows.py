import ast
import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.program_rows import CALLS, COMMENT, EVAL, LIVE, MBPP, MORE, PLUS

from reachlab.errors import ReachlabError
from reachlab.tasks.code_rows import PRELUDE, read_problem, read_problems, under_test


@pytest.mark.parametrize(
    ("setup", "tests", "names"),
    [
        ("import math\ndef near(a, b): return 1", "assert near(f(x=g(1)), len([2])) and math.sin(1)", ["f", "g"]),
        ("", "import numpy as np\nfor i, (a, b) in enumerate([]):\n    assert np.all(f(*a) == b)", ["f"]),
        ("", "assert list(map(f, [1])) == [x for x in g()]", ["g", "f"]),
        ("", "try:\n    f(1)\nexcept ValueError as error:\n    assert str(error)", ["f"]),
        ("", "assert 1 == 1", []),
    ],
)
def test_names_under_test(setup: str, tests: str, names: list[str]) -> None:
    assert sorted(under_test(ast.parse(setup), ast.parse(tests))) == sorted(names)
    assert under_test(ast.parse(setup), ast.parse(tests))[:1] == names[:1]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "x"}, "no tests; wanted"),
        ({**EVAL, "prompt": ""}, "no text in field prompt"),
        ({**EVAL, "test": "def check(c):\n    pass"}, "assert nothing"),
        ({**EVAL, "test": "assert True"}, "assert nothing"),
        ({**EVAL, "test": "def check(c):\n    assert 1 == 1"}, "never call area"),
        ({**EVAL, "test": "def check(c):\n    c(1)\n    assert True"}, "assert nothing"),
        ({**EVAL, "test": "def check(c):\n    print(c(1))"}, "assert nothing"),
        ({**EVAL, "test": "def check():\n    assert area(1)"}, "takes no function"),
        ({**EVAL, "test": "def test_area():\n    assert area(1) == 3"}, "assert nothing"),
        ({**EVAL, "test": "if __name__ == '__main__':\n    assert area(1) == 3"}, "assert nothing"),
        ({**EVAL, "test": "from solution import x\ndef check(c):\n    assert c(1)"}, "import solution, which is not"),
        ({**EVAL, "test": "import unittest\nclass TestCases(unittest.TestCase):\n    def test(self):\n"
          "        self.assertEqual(area(1), 3)"}, "test cases of unittest"),
        ({**EVAL, "plus_input": [1]}, "lists of lists of arguments"),
        ({**EVAL, "plus_input": []}, "lists of lists of arguments"),
        ({**EVAL, "plus_input": [[1]], "canonical_solution": None}, "text wanted beside"),
        ({**EVAL, "plus_input": [[1]], "task_id": "Mbpp/2"}, "lists where tuples and sets are meant"),
        ({**EVAL, "test": "def check(:"}, "not Python"),
        ({**MBPP, "test_list": ["assert 1 == 1"]}, "no call of a function"),
        ({**MBPP, "test_list": ["add(1, 2)"]}, "assert nothing"),
        ({**MBPP, "test_list": ["assert add(1, 2) ="]}, "the tests are not Python"),
        ({**MBPP, "test_setup_code": "import"}, "the setup are not Python"),
        ({**MBPP, "test_imports": ["import pandas"]}, "import pandas, which is not"),
        ({**MORE, "test": "import numpy as np\nassert twice(1) == np.add(1, 1)"}, "packages=numpy puts it there"),
        ({**LIVE, "private_test_cases": "rubbish"}, "no list of test cases"),
        ({**LIVE, "public_test_cases": "[]", "private_test_cases": "[]"}, "no test cases"),
        ({**CALLS, "metadata": "{}"}, "no func_name"),
        ({**CALLS, "metadata": "rubbish"}, "field 'metadata': not JSON"),
        ({**CALLS, "metadata": json.dumps({"func_name": "os.system"})}, "no func_name"),
        ({**CALLS, "public_test_cases": json.dumps([{"input": "x", "output": "1", "testtype": "functional"}])},
         "not in JSON"),
        ({"prompt": "x", "tests": [{"input": "1"}]}, "input and output wanted"),
        ({"prompt": "x", "tests": [{"input": [1], "output": 1}]}, "name a `function`"),
        ({"prompt": "x", "function": "f", "tests": [{"input": 1, "output": 1}]}, "a list of arguments"),
    ],
)  # fmt: skip
def test_bad_rows(row: dict[str, Any], says: str) -> None:
    with pytest.raises(ReachlabError, match=f"FILE:1: .*{says}"):
        read_problem(row, "0", "FILE:1")


def test_packed_test_cases_run_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "mark",))

    packed = base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode()
    with pytest.raises(ReachlabError, match="no list of test cases"):
        read_problem({**LIVE, "private_test_cases": packed}, "0", "FILE:1")
    assert not (tmp_path / "mark").exists()


def test_what_a_row_comes_to() -> None:
    problem = read_problem(EVAL, "0", "FILE:1")
    assert problem.answer["setup"] == "import math\n\n\ndef helper(x):\n    return x + 1\n\n"
    assert problem.metadata["begins"] == EVAL["prompt"]
    assert read_problem(COMMENT, "0", "FILE:1").answer["setup"] == "import math\n"
    talk = read_problem({**EVAL, "prompt": "Write area(r)."}, "0", "FILE:1")
    assert "begins" not in talk.metadata
    more = read_problem(MORE, "0", "FILE:1")
    assert more.answer["code"] == MORE["test"]
    assert "assert twice(1) == 2" in str(more.prompt)
    assert "assertion" not in str(more.prompt)
    mbpp = read_problem(MBPP, "0", "FILE:1")
    assert mbpp.answer["before"].strip() == "import math"
    assert mbpp.metadata["entry"] == "add"
    calls = read_problem(CALLS, "0", "FILE:1")
    assert calls.answer["examples"] == [{"input": [[1, 2, 3], 2], "output": 8}]
    assert calls.metadata["entry"] == calls.answer["function"] == "Solution.total"
    assert calls.answer["before"] == PRELUDE
    numpy = read_problem({**PLUS, "test": "import numpy as np\n" + PLUS["test"]}, "0", "FILE:1", ["numpy"])
    assert numpy.answer["names"] == ["inc"]


def test_the_prelude_leaves_the_language_as_it_is() -> None:
    names: dict[str, Any] = {}
    exec(PRELUDE.rpartition("\n")[0], names)  # but for the limit of recursion
    assert names["pow"](3, 2, 5) == 4
    assert names["open"] is open
    assert names["datetime"].datetime(2020, 1, 1)
    assert names["bisect"].bisect([1], 2) == 1
    for name in (
        "List",
        "Optional",
        "defaultdict",
        "Counter",
        "deque",
        "heappush",
        "lru_cache",
        "reduce",
        "inf",
        "stdin",
    ):
        assert name in names


def test_a_file_says_where_it_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(PLUS) + "\n" + json.dumps({**PLUS, "task_id": 2, "test": "assert inc"}) + "\n")
    assert len(read_problems(str(path))) == 2
    path.write_text(json.dumps(PLUS) + "\n" + json.dumps({**PLUS, "task_id": 2, "test": "inc(1)"}) + "\n")
    with pytest.raises(ReachlabError, match=r"rows\.jsonl:2: the tests assert nothing"):
        read_problems(str(path))
