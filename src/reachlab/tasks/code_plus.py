"""HumanEval+ as EvalPlus itself releases it: inputs without results. A result is right where the reference solution
gives the same for the same input (arXiv 2305.01210).

What is the same is EvalPlus's (`evalplus/eval/__init__.py`): equal; or, where the reference gives floats or the row
allows a deviation `atol`, of the same type and length, and each number within atol + 1e-7 of the wanted one's size. The
zero of a polynomial is right where the polynomial is zero.
"""

import json
from collections.abc import Mapping
from typing import Any

HELPERS = """\
import copy
import json
import math


def is_floats(x):
    if isinstance(x, (list, tuple)):
        return bool(x) and all(isinstance(i, float) for i in x)
    return isinstance(x, float)


def close(out, exp, atol):
    if isinstance(exp, (list, tuple)):
        return isinstance(out, (list, tuple)) and len(out) == len(exp) and all(
            close(a, b, atol) for a, b in zip(out, exp)
        )
    if isinstance(out, str) or isinstance(exp, str):
        return out == exp
    return out == exp or (math.isfinite(out) and math.isfinite(exp) and abs(out - exp) <= atol + 1e-7 * abs(exp))


def assertion(out, number):
    exp, atol = WANTED[number], ATOL or (1e-6 if is_floats(WANTED[number]) else 0)
    if ENTRY == "find_zero":
        assert abs(REFERENCE["poly"](*INPUTS[number], out)) <= atol
    elif out != exp:
        assert atol and type(out) is type(exp) and close(out, exp, atol), f"{out!r:.60}, not {exp!r:.60}"


"""


def differential_tests(row: Mapping[str, Any]) -> str:
    """A function `check` that has a test for each input. All that is wanted is computed first: where the reference
    itself fails, nothing of the answer has been called."""
    entry, inputs = row["entry_point"], [*(row.get("base_input") or []), *(row["plus_input"] or [])]
    lines = [
        HELPERS,
        f"ENTRY, ATOL = {entry!r}, {float(row.get('atol') or 0)!r}",
        f"INPUTS = json.loads({json.dumps(inputs)!r})",
        "REFERENCE = {}",
        f"exec({row['prompt'] + row['canonical_solution']!r}, REFERENCE)",
        "WANTED = [REFERENCE[ENTRY](*copy.deepcopy(arguments)) for arguments in INPUTS]",
        "",
        "",
        "def check(candidate):",
        *(f"    assertion(candidate(*INPUTS[{number}]), {number})" for number in range(len(inputs))),
    ]
    return "\n".join(lines) + "\n"
