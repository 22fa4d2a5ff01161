import pytest

from reachlab.errors import ReachlabError
from reachlab.integrations.watch.config import WatchConfig


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"problems": 0}, "problems=0 must be 1 or more"),
        ({"share": 0.0}, "share=0.0 must be above 0 and at most 1"),
        ({"name": "a b"}, "must be letters, digits and _"),
        ({"out": "s3://bucket/watch"}, "must be a folder on a disk"),
        ({"temperature": float("nan")}, "temperature"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ReachlabError, match=said):
        WatchConfig(**{"task": "countdown", "out": "runs/watch", **wrong})  # type: ignore[arg-type]
