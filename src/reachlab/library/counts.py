"""Numbers as they come from elsewhere: tensors of any type and device, and series that say which problem is which."""

from typing import Any

import numpy as np

from reachlab.errors import InvalidArgumentError


def array_of(given: Any) -> Any:
    """A tensor as numpy takes it: on the CPU, without a gradient, and as float64 where numpy lacks its type (bfloat16).
    Anything else as it is."""
    if not hasattr(given, "detach"):
        return given
    tensor = given.detach().cpu()
    return (tensor.double() if tensor.is_floating_point() else tensor).numpy()


def is_series(given: Any) -> bool:
    """Whether it is a pandas Series: numbers with an index."""
    return hasattr(given, "reindex") and hasattr(given, "index") and not hasattr(given, "columns")


def aligned(correct: Any, drawn: Any, place: str) -> tuple[Any, Any, tuple[str, ...] | None]:
    """Counts paired problem by problem, and the problems' ids, if the counts have any.

    Two series are paired by their indexes, which must name the same problems. An index that only counts rows is none.

    Raises:
        InvalidArgumentError: other problems in one than in the other, or a problem twice; `place` is what begins it.
    """
    if is_series(correct) and is_series(drawn) and not correct.index.equals(drawn.index):
        refuse_twice(correct.index, place)
        refuse_twice(drawn.index, place)
        if lost := correct.index.symmetric_difference(drawn.index).tolist():
            raise InvalidArgumentError(
                f"{place}: {lost[0]!r} is a problem of correct or of drawn alone; give both the same index"
            )
        drawn = drawn.reindex(correct.index)
    named = correct if is_series(correct) else drawn if is_series(drawn) else None
    ids = None if named is None else named.index.tolist()
    if ids is None or ids == list(range(len(ids))):
        return array_of(correct), array_of(drawn), None
    refuse_twice(ids, place)
    return array_of(correct), array_of(drawn), tuple(map(str, ids))


def refuse_twice(ids: Any, place: str) -> None:
    """Raises:
    InvalidArgumentError: a problem's id appears twice.
    """
    found, counts = np.unique(np.array([str(one) for one in ids], object), return_counts=True)
    if (counts > 1).any():
        raise InvalidArgumentError(
            f"{place}: problem {found[counts.argmax()]!r} is there twice; give a row a problem (of several k, the "
            "rows of one), or sum its counts first"
        )
