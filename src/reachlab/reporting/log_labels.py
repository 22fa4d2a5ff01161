"""What the log of an imported run says of an answer, where it is not what our verifier says (`imports/result.py`)."""

import json

from reachlab.store.samples import SampleStore

FILE = "disagreements.jsonl"


def read_labels(store: SampleStore) -> dict[tuple[str, int], bool]:
    """By problem and sample whether the log says right, of answers of which the verdict says another thing.

    The import keeps the first of them (`imports/result.py` says how many). A line that cannot be read is left out: it
    is a remark beside a verdict and no verdict.
    """
    folder, names = store.folder, getattr(store, "names", {})
    if not folder.exists(FILE):
        return {}
    found = {}
    for line in folder.read(FILE).decode(errors="replace").splitlines():
        try:
            row = json.loads(line)
            name, sample, theirs = str(row["problem_id"]), int(row["sample"]), row["theirs"]
        except (ValueError, TypeError, KeyError):
            continue
        if isinstance(theirs, bool):
            found[names.get(name, name), sample] = theirs
    return found
