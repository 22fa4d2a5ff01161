"""Rows of benchmarks of programs, one of each shape."""

import base64
import json
import pickle
import zlib

EVAL = {
    "task_id": "T/0",
    "prompt": 'import math\n\n\ndef helper(x):\n    return x + 1\n\n\ndef area(r):\n    """ Of a circle.\n    """\n',
    "entry_point": "area",
    "canonical_solution": "    return math.pi * r * r\n",
    "test": (
        "def check(candidate):\n    assert candidate(0) == 0\n    for r in range(1, 4):\n"
        "        assert abs(candidate(r) - 3.14159265 * r * r) < 1e-6\n    assert helper(1) == 2 and candidate(9) > 3\n"
    ),
}
MBPP = {
    "task_id": 7,
    "text": "Write a function to add.",
    "code": "def add(a, b):\n    return a + b",
    "test_list": ["assert add(1, 2) == 3", "assert add('a', 'b') == 'ab'", "assert math.isclose(add(.1, .2), .3)"],
    "test_setup_code": "import math",
}
CASES = [
    {"input": "2 3\n", "output": "5\n", "testtype": "stdin"},
    {"input": "1 1\n", "output": "2", "testtype": "stdin"},
]
LIVE = {
    "question_id": "abc_a",
    "question_content": "Add two numbers.",
    "starter_code": "",
    "public_test_cases": json.dumps(CASES[:1]),
    "private_test_cases": base64.b64encode(zlib.compress(pickle.dumps(json.dumps(CASES[1:])))).decode(),
}
CALLS = {
    "question_id": "3",
    "question_content": "Sum a list.",
    "starter_code": "class Solution:\n    def total(self, xs: List[int]) -> int:\n",
    "public_test_cases": json.dumps([{"input": "[1, 2, 3]\n2", "output": "8", "testtype": "functional"}]),
    "private_test_cases": "[]",
    "metadata": json.dumps({"func_name": "total"}),
}
OPERATOR = {
    **CALLS,
    "starter_code": "",
    "metadata": json.dumps({"func_name": "add"}),
    "public_test_cases": json.dumps([{"input": "[1, 2, 3]", "output": "6", "testtype": "functional"}]),
}
PLUS = {
    "task_id": "HumanEval/900",
    "prompt": 'def inc(xs):\n    """ Add one to each. """\n',
    "entry_point": "inc",
    "canonical_solution": "    return [x + 1 for x in xs]\n",
    "test": (
        "from math import inf\n\ndef is_floats(x) -> bool:\n    return isinstance(x, float)\n\n"
        "def assertion(out, exp, atol):\n    exact_match = out == exp\n    if not exact_match and atol != 0:\n"
        "        assert abs(out - exp) < atol\n    else:\n        assert exact_match\n\n"
        "def check(candidate):\n    inputs = [[[1]], [[2, 3]]]\n    results = [[2], [3, 4]]\n"
        "    for i, (inp, exp) in enumerate(zip(inputs, results)):\n        assertion(candidate(*inp), exp, 0)\n\n"
        "check(inc)"
    ),
}
OWN_PLUS = {**PLUS, "base_input": [[[1]]], "plus_input": [[[2, 3]]], "atol": 0}
MORE = {
    "task_id": 2,
    "prompt": "Write twice.",
    "code": "def twice(x):\n    return 2 * x",
    "test_imports": [],
    "test_list": ["assert twice(1) == 2"],
    "test": "def assertion(a, b):\n    assert a == b\n\nfor i in range(3):\n    assertion(twice(i), 2 * i)",
}
COMMENT = {
    "task_id": "c",
    "prompt": "import math\n\ndef twice(x):\n    # doubles x\n",
    "entry_point": "twice",
    "test": "def check(c):\n    assert c(1) == 2\n    assert math.sqrt(c(2)) == 2\n",
}
STOPS = {
    "task_id": "s",
    "prompt": "def same(x):\n",
    "entry_point": "same",
    "test": "def check(c):\n    assert c(1) == 1\n    c(2).append(1)\n",
}
