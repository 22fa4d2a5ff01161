import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.tasks.sandbox.extraction import before_entry, program_of

BEGINS = (
    "from typing import List\n\n\ndef one(x):\n    return 1\n\n\ndef f(xs: List[int]) -> int:\n"
    '    """ Sum of xs.\n    >>> f([1])\n    1\n    """\n'
)
BODY = "    return sum(xs)\n"
WHOLE = "def f(xs):\n    return sum(xs)\n"
HELPER = "def g(xs):\n    return sum(xs)\n"
USES = "def f(xs):\n    return g(xs)\n"
BAD = "def f(xs):\n    return 'bad'\n"


def fence(code: str, info: str = "python", mark: str = "```") -> str:
    return f"{mark}{info}\n{code}{mark}\n"


def run(program: str, entry: str = "f") -> Any:
    names: dict[str, Any] = {"__name__": "__answer__"}
    exec(compile(program, "answer.py", "exec"), names)
    return names[entry]


COMPLETIONS = {
    "as it is": BODY,
    "two spaces": "  return sum(xs)\n",
    "three spaces, several lines": "   total = 0\n   for x in xs:\n      total += x\n   return total\n",
    "a tab": "\ttotal = sum(xs)\n\treturn total\n",
    "stripped, one line": "return sum(xs)",
    "stripped, several lines": "total = 0\n    for x in xs:\n        total += x\n    return total",
    "stripped, a loop first": "for x in range(1):\n        total = sum(xs)\n    return total",
    "dedented": "total = 0\nfor x in xs:\n    total += x\nreturn total\n",
    "comment at the margin": "    total = 0\n# add them\n    for x in xs:\n        total += x\n    return total\n",
    "comment first": "# add them\n    return sum(xs)\n",
    "end of text": "    return sum(xs)<|endoftext|>import foo",
    "end of message": "    return sum(xs)<|im_end|>\n<|im_start|>user\nThanks",
    "deepseek's end": "    return sum(xs)<｜end▁of▁sentence｜>",
    "llama's end": "    return sum(xs)</s><s>def f(xs): return 0",
    "goes on with a class": BODY + "\n\nclass Other:\n    x = 1 / 0\n",
    "goes on with tests": BODY + "\n\ndef test():\n    assert False\n\ntest()\nassert f([1]) == 2\n",
    "goes on with main": BODY + "\nif __name__ == '__answer__':\n    raise SystemExit(1)\n",
    "goes on with itself": BODY + "\n\ndef f(xs):\n    return 'bad'\n",
    "goes on, cut": BODY + "\n\ndef g(xs):\n    return (",
    "goes on with prose": BODY + "\nThis adds them up (all of them",
    "helper below": "    return _g(xs) * one(2)\n\n\ndef _g(xs):\n    return sum(xs) * _two\n\n\n_two = 1\n",
    "import below": "    return reduce(int.__add__, xs, 0)\n\n\nfrom functools import reduce\n",
    "closed fence": BODY + "```\n\nThis adds them up.\n",
    "closed fence, then an example": BODY + "```\n\nExample:\n```python\nprint(f([1]))\n```\n",
    "fence closed on its line": "    return sum(xs)```\nDone.",
    "body in a fence": "Sure:\n" + fence(BODY),
    "bare body in a fence": "Sure:\n" + fence("return sum(xs)\n") + "Output:\n" + fence("[4, 5]\n", ""),
    "signature again": WHOLE,
    "prompt again": BEGINS + BODY,
    "prompt twice": BEGINS + BEGINS + BODY,
    "signature again, run-on": WHOLE + "\n\ndef test():\n    assert False\n\ntest()\n",
    "signature again in prose": "Sure! Here it is:\n\n" + WHOLE + "\nThis adds them up.",
    "set up before": "import sys\nsys.setrecursionlimit(4000)\ntable = []\nfor i in range(3):\n    table.append(i)\n\n"
    "def f(xs):\n    return sum(xs) + table[0]\n",
    "crlf": "    total = 0\r\n    for x in xs:\r\n        total += x\r\n    return total\r\n",
    "after reasoning": "<think>\n" + fence(BAD) + "</think>\n" + BODY,
    "after reasoning, opened in the prompt": "Hm.\n" + fence(BAD) + "</think>" + WHOLE,
    "harmony": "<|channel|>analysis<|message|>"
    + fence(BAD)
    + "<|end|><|start|>assistant<|channel|>final<|message|>"
    + fence(WHOLE)
    + "<|return|>",
    "harmony without marks": "analysisI try\n" + fence(BAD) + "assistantfinal" + fence(WHOLE),
    "between tags": "<answer>\n" + WHOLE + "</answer>",
    "fence between tags": "<answer>" + fence(WHOLE) + "</answer>",
    "code tags": "Here: <code>def f(xs): return sum(xs)</code> That is all.",
    "a docstring that asks for more": '    """ More. """\n    return sum(xs)\n',
}


@pytest.mark.parametrize("name", COMPLETIONS)
def test_completions(name: str) -> None:
    found = run(program_of(COMPLETIONS[name], BEGINS, "f"))
    assert found([1, 2, 3]) == 6
    assert found([]) == 0


def test_a_completion_of_a_signature_and_a_comment() -> None:
    assert run(program_of("    return 2 * x\n", "def f(x):\n    # doubles x\n", "f"))(4) == 8
    assert run(program_of("    return 2 * x\n", "def f(x):", "f"))(4) == 8
    assert run(program_of("2 * x\n", "def f(x):\n    return ", "f"))(4) == 8
    assert run(program_of("return 2 * x", "def f(x):\n    import math\n    ''' Doubles. '''", "f"))(4) == 8
    assert before_entry("Complete this:\n\nimport math\n@cache\ndef f(x):\n    # doubles\n", "f") == "import math"


BLOCKS = {
    "one": "Sure:\n" + fence(WHOLE) + "Done.",
    "an example after it": fence(WHOLE) + "Usage:\n" + fence("print(f([1]))\n"),
    "an output after it": fence(WHOLE) + "Output:\n" + fence("6\n", ""),
    "a list after it": fence(WHOLE) + "Output:\n" + fence("[6]\n", ""),
    "a test after it": fence(WHOLE) + fence("assert f([1]) == 1\n"),
    "a result of its name after it": fence(WHOLE) + fence("f = f([1])\n"),
    "a shell after it": fence(WHOLE) + fence("python f.py\n", "bash"),
    "its signature after it": fence(WHOLE) + fence("def f(xs):\n    ...\n"),
    "another language after it": fence(WHOLE) + fence("def f(xs)\n  xs.sum\nend\n", "ruby"),
    "mended": fence(BAD) + "Better:\n" + fence(WHOLE),
    "what is no code after it": fence(WHOLE) + "that is\n" + fence("def f(xs) -> the sum of xs\n", ""),
    "unfenced, the language first": "python\n" + WHOLE,
    "a method of a class": fence("class Solution:\n    def f(self, xs):\n        return sum(xs)\n"),
    "mended, then cut off": fence(WHOLE) + "Or:\n" + "```python\ndef f(xs):\n    return (",
    "helper before": fence("import math\ndef g(x):\n    return math.floor(x)\n")
    + fence("def f(xs):\n    return g(sum(xs))\n"),
    "helper after": fence(USES) + "with\n" + fence(HELPER + "assert g([]) == 1\n"),
    "helper of a helper": fence("def h(x):\n    return x\n")
    + fence("def g(xs):\n    return h(sum(xs))\n")
    + fence(USES),
    "the nearest helper": fence("def g(xs):\n    return 0\n")
    + fence(HELPER)
    + fence(USES)
    + fence("def g(xs):\n    return 1\n"),
    "star import before": fence("from math import *\n") + fence("def f(xs):\n    return int(fsum(xs))\n"),
    "a future import": fence("from __future__ import annotations\n\ndef f(xs: Unknown):\n    return g(xs)\n")
    + fence(HELPER),
    "a lambda": fence("f = lambda xs: sum(xs)\n"),
    "an import": fence("from builtins import sum as f\n"),
    "upper case": fence(WHOLE, "Python3"),
    "py": fence(WHOLE, "py"),
    "attributes": fence(WHOLE, 'python title="a.py" {1,2}'),
    "pandoc": fence(WHOLE, "{.python .numberLines}"),
    "text": fence(WHOLE, "text"),
    "none": fence(WHOLE, ""),
    "the language on a line of its own": fence("python\n" + WHOLE, ""),
    "four backticks": fence(WHOLE, "python", "````"),
    "tildes": fence(WHOLE, "python", "~~~"),
    "in a list": "1. Code:\n   ```python\n   def f(xs):\n       return sum(xs)\n   ```\n2. Done.",
    "as an item": "- ```python\n  def f(xs):\n      return sum(xs)\n  ```\n",
    "after words": "Here it is: ```python\ndef f(xs):\n    return sum(xs)\n```",
    "on one line": "Here:\n```python def f(xs): return sum(xs)```\n",
    "unclosed": "```python\n" + WHOLE,
    "unclosed, then another": "```python\n" + BAD + "\n```python\n" + WHOLE + "```",
    "closed on the last line": "```python\ndef f(xs):\n    return sum(xs)```\nDone.",
    "a fence in the docstring": fence(
        'def f(xs):\n    """\n    ```\n    f([1])\n    ```\n    """\n    return sum(xs)\n'
    ),
    "a fence in the docstring, at the margin": fence(
        'def f(xs):\n    """\n```python\nf([1])\n```\n"""\n    return sum(xs)\n'
    ),
    "an unclosed docstring before": fence('x = """\n') + fence(WHOLE),
    "exit at its end": fence(WHOLE + "\nif __name__ == '__main__':\n    exit()\n"),
    "byte order mark": "\ufeff" + fence(WHOLE),
    "unfenced in prose": "Here is the function (Python:\n\nimport math\n\n" + WHOLE + "\nHope it helps!",
    "unfenced, an output fenced": WHOLE + "\nOutput:\n" + fence("6\n", ""),
    "unfenced, nothing else": WHOLE,
    "square tags": "[PYTHON]\n" + WHOLE + "[/PYTHON]\n[TESTS]\nassert False",
    "begin and done": "[BEGIN]\n" + WHOLE + '[DONE]\n"""\nWrite a function to',
    "the next task": WHOLE + '"""\nWrite a function to',
    "marks in strings": fence("def f(xs):\n    '</think>', '<think>', '</s>', \"<|im_end|>\"\n    return sum(xs)\n"),
}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("begins", ["", BEGINS])
def test_blocks(name: str, begins: str) -> None:
    assert run(program_of(BLOCKS[name], begins, "f"))([1, 2, 3]) == 6


def test_the_prompts_helpers_are_at_hand_and_its_stub_is_not() -> None:
    assert run(program_of(fence("def f(xs):\n    return one(xs)\n"), BEGINS, "f"))([5]) == 1
    assert "def f" not in program_of(fence("def other(xs):\n    return 1\n"), BEGINS, "f")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "<think>\n" + fence(WHOLE),
        "Well. <think> hm\n" + fence(WHOLE),
        fence(WHOLE) + "<think>",
        "</think><think>" + fence(WHOLE),
        "<|channel|>analysis<|message|>" + fence(WHOLE),
        "[THINK]" + WHOLE,
        "<|im_end|>" * 9,
    ],
)
def test_no_answer(text: str) -> None:
    assert program_of(text, BEGINS, "f") == ""
    assert program_of(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        fence("def f(xs):\n    return (\n"),
        fence(WHOLE) + "Mended:\n" + fence("def f(xs):\n    return sum(xs\n"),
        "def f(xs):\n    return (",
        "    return sum(xs",
        fence(WHOLE, "") + "Mended:\n" + fence("def f(xs):\n    return sum(xs\n", ""),
    ],
)
def test_wrong_syntax_is_an_answer(text: str) -> None:
    with pytest.raises(SyntaxError):
        ast.parse(program_of(text, BEGINS, "f"))


PROSE = st.sampled_from(
    ["", "Sure!\n\n", "Here it is (Python 3):\n", "It's O(n), don't worry.\n\n", "### Solution\n1. Sum.\n"]
)
FENCES = st.sampled_from(
    [("```python", "```"), ("```", "```"), ("~~~py", "~~~"), ("````Python3", "````"), ("```{.python}", "```")]
)
ENDS = st.sampled_from(
    ["", "<|im_end|>", "<|endoftext|>def f(xs): return 0", "</s>\n", "\n<|eot_id|><|start_header_id|>user"]
)
DRAFTS = st.sampled_from(
    ["", "<think>\n" + fence(WHOLE) + "</think>\n", "Try\n" + fence(WHOLE) + "</think>", "<think></think>"]
)
AFTER = st.sampled_from([
    "",
    "\nUsage:\n" + fence("print(f([1]))\n"), "\nOutput:\n" + fence("6\n", ""), "\n" + fence("$ python f.py\n", "bash"),
    "\n" + fence("assert f([1]) == 1\n"), "\nThat is all: `f` sums.",
])  # fmt: skip


@given(st.data())
def test_the_last_version_is_judged_whatever_stands_around(data: st.DataObject) -> None:
    draw = data.draw
    (opens, closes), right = draw(FENCES), draw(st.booleans())
    uses_helper, helper_first = draw(st.booleans()), draw(st.booleans())
    code = (USES if uses_helper else WHOLE) if right else BAD
    parts = [f"{opens}\n{code}{closes}\n"]
    if uses_helper:
        parts.insert(0 if helper_first else 1, "with\n" + fence(HELPER))
    if draw(st.booleans()):
        parts.insert(0, "At first:\n" + fence(BAD if right else WHOLE))
    text = draw(DRAFTS) + draw(PROSE) + draw(PROSE).join(parts) + draw(AFTER) + draw(ENDS)
    program = program_of(text, draw(st.sampled_from(["", BEGINS])), "f")
    assert run(program)([1, 2, 3]) == (6 if right else "bad")


METHOD = "class Solution:\n    def total(self, a):\n        return sum(a)\n"
STARTER = "class Solution:\n    def total(self, a: list[int]) -> int:\n        "


@pytest.mark.parametrize(
    "text",
    [
        METHOD,
        fence(METHOD),
        fence(METHOD) + fence("sol = Solution()\ntotal = sol.total([1])\n"),
        fence("def total(a):\n    return sum(a)\n"),
        fence("def total(self, a):\n    return sum(a)\n"),
        "        return sum(a)\n",
        "return sum(a)",
        fence("        return sum(a)\n"),
        STARTER + "return sum(a)",
        fence("class Solution:\n    def total(self, a):\n        pass\n") + fence(METHOD),
        "Sure:\n\n" + METHOD + "\nDone.",
        fence("def g(a):\n    return sum(a)\n")
        + fence("class Solution:\n    def total(self, a):\n        return g(a)\n"),
    ],
)
def test_methods(text: str) -> None:
    assert run(program_of(text, STARTER, "Solution.total"), "Solution")().total([1, 2]) == 3


def test_a_method_where_a_function_is_asked_for() -> None:
    assert run(program_of(fence(METHOD), "", "total"), "total")([1, 2]) == 3


def test_several_functions() -> None:
    text = fence("def g(x):\n    return 2 * x\n") + fence("def f(x):\n    return x\n")
    assert run(program_of(text, "", "f g"), "g")(4) == 8


SCRIPT = "n = int(input())\nprint(n + 1)\n"
SCRIPTS = {
    "bare": SCRIPT,
    "fenced": "Sure:\n" + fence(SCRIPT),
    "input after it": fence(SCRIPT) + "Input:\n" + fence("3\n1 2 3\n", "") + "Output:\n" + fence("4\n", ""),
    "a word after it": fence(SCRIPT) + fence("Yes\n", ""),
    "a shell after it": fence(SCRIPT) + fence("echo 3 | python a.py\n", "sh"),
    "usage after it": fence(SCRIPT) + fence("print('as expected')\n"),
    "drafts before it": fence("n = int(input())\nprint(n)\n") + "Mended:\n" + fence(SCRIPT),
    "cut off after it": fence(SCRIPT) + "Or:\n```python\nn = int(input(",
    "prose around": "Here is the program:\n\n" + SCRIPT + "\nIt adds one.",
    "prose around, a word": "Program\n\n" + SCRIPT + "\nDone",
    "an open fence's end": SCRIPT + "```\nIt adds one.",
    "main": fence("def main():\n    n = int(input())\n    print(n + 1)\n\nif __name__ == '__main__':\n    main()\n"),
    "two parts": fence("def read():\n    return int(input())\n")
    + fence("import sys\nprint(read() + 1, file=sys.stdout)\n"),
    "buffer": fence("import sys\nprint(int(sys.stdin.buffer.readline()) + 1)\n"),
    "as text": fence(SCRIPT, "text"),
    "brackets that are no tags": "BEGIN = 0\nx = [1]\nn = int(input()) + x[BEGIN] - 1\nprint(n + 1)\n",
    "tags": "<answer>" + SCRIPT + "</answer>",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts(name: str) -> None:
    program = program_of(SCRIPTS[name])
    assert "+ 1" in program
    assert "expected" not in program
    ast.parse(program)


def test_a_script_takes_its_parts_along() -> None:
    text = fence("def two():\n    return 2\n") + fence("print(two() + int(input()))\n")
    assert "def two" in program_of(text)


HOSTILE = {
    "backticks": "`" * 1_000_000,
    "fences": "```\n" * 20_000,
    "python fences": "```python\n" * 20_000,
    "fences that open docstrings": '```\n"""\n' * 10_000,
    "docstrings that never end": "```python\nx = '''\n```\n" * 10_000,
    "spaces": " " * 1_000_000 + "x",
    "lines of spaces": "    \n" * 40_000,
    "quotes": "'\"" * 100_000,
    "brackets": "(" * 100_000,
    "reasoning": "<think></think>" * 20_000,
    "tags": "<answer>" * 20_000,
    "open tags": "<answer>x" * 20_000,
    "marks": "<|im_start|>" * 20_000,
    "marks and spaces": "<s>" + " " * 100_000,
    "definitions": "def f(xs): return 1\n" * 5_000,
    "blocks that define": "```\ndef f(xs): pass\n```\n" * 20_000,
    "helpers": "".join(f"```\ndef g{i}(): return g{i + 1}()\n```\n" for i in range(5_000))
    + "```\ndef f(xs): return g0()\n```",
    "decorators": "@f\n" * 20_000,
    "backslashes": "\\\n" * 40_000,
    "minus": "-" * 100_000 + "1",
    "nesting": "[" * 20_000 + "]" * 20_000,
    "prose": "The sum of all is what we want. It's (nearly) done\n" * 20_000,
    "indented returns": "    return 1\n" * 10_000,
    "words": "x\n" * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_read_in_one_go(name: str) -> None:
    for begins, entry in ((BEGINS, "f"), ("", "f"), ("", ""), (STARTER, "Solution.total")):
        assert isinstance(program_of(HOSTILE[name], begins, entry), str)


TOKENS = st.sampled_from([
    "```", "```python\n", "~~~", "\n", "    ", "\t", "def f(xs):", "def f", "class Solution:", "return", "pass",
    '"""', "'''", "'", '"',
    "(", ")", "#", "\\", "@", "f", " = ", "x", "import os", "from __future__ import annotations",
    "<think>", "</think>", "<answer>",
    "</answer>", "[BEGIN]", "[DONE]", "<|im_end|>", "input()", "print(1)", ":", ",", "1", "é", "\ud800", "\x00",
    "\x0c", "\r\n", "async ",
    "lambda", "*", "if x:", "else:", "1. ", "- ", "> ", "`",
])  # fmt: skip


@given(parts=st.lists(TOKENS, max_size=40), begins=st.sampled_from(["", BEGINS, STARTER, "def f(x):", "# f"]))
def test_any_text_is_read(parts: list[str], begins: str) -> None:
    for entry in ("", "f", "f g", "Solution.total"):
        assert isinstance(program_of("".join(parts), begins, entry), str)
