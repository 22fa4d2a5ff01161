"""Which problems belong together: by a field of the problems' metadata, or by a file of ids and clusters."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.storable import parse_json
from reachlab.types import Problem

SHOWN = 8
"""Fields that an error names."""


def read_clusters(named: str, problems: Sequence[Problem] | None) -> dict[str, str]:
    """Each problem's cluster.

    Args:
        named: a file, .json (an object of id and cluster) or .csv (a head `id,cluster`, then a line a problem), or a
            field of the problems' metadata, dotted where it lies deeper.
        problems: the base's; None where there are none but their answers (tables).

    Raises:
        ReachlabError: no such file or field, or a problem without it.
    """
    if Path(named).is_file():
        return _of_file(Path(named))
    if problems is None:
        raise ReachlabError(f"--cluster {named}: tables have no fields; name a .json or .csv file of ids and clusters")
    cluster_of = {problem.id: _field(problem.metadata, named) for problem in problems}
    cluster_of = {problem_id: None if value == "" else value for problem_id, value in cluster_of.items()}
    if missing := [problem_id for problem_id, value in cluster_of.items() if value is None]:
        fields = sorted({field for problem in problems for field in problem.metadata})
        having = f"they have {', '.join(fields[:SHOWN])}" if fields else "they have none"
        raise ReachlabError(
            f"--cluster {named}: no such file, and {len(missing):,} of {len(cluster_of):,} problems have no such field "
            f"in their metadata ({having}), the first of them {missing[0]!r}"
        )
    return {problem_id: _text(value) for problem_id, value in cluster_of.items()}


def _field(metadata: Mapping[str, Any], name: str) -> Any:
    if name in metadata:
        return metadata[name]
    first, _, rest = name.partition(".")
    inner = metadata.get(first)
    return _field(inner, rest) if rest and isinstance(inner, Mapping) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _of_file(path: Path) -> dict[str, str]:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReachlabError(f"{path}: cannot be read ({error})") from error
    if path.suffix == ".json":
        document = parse_json(text, str(path))
        if not isinstance(document, dict):
            raise ReachlabError(f"{path}: not an object of ids and clusters")
        if empty := next((i for i, value in document.items() if value is None or value == ""), None):
            raise ReachlabError(f"{path}: {empty!r} has no cluster; leave out what is not compared, name the others")
        return {problem_id: _text(value) for problem_id, value in document.items()}
    rows = list(csv.reader(text.splitlines()))
    if not rows or [cell.strip().lower() for cell in rows[0]] != ["id", "cluster"]:
        raise ReachlabError(f"{path}: its first line must be id,cluster (or name a .json file)")
    clusters: dict[str, str] = {}
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        if len(row) != 2 or row[0] in clusters:
            what = "names a problem again" if len(row) == 2 else f"has {len(row)} cells and not 2"
            raise ReachlabError(f"{path}:{number}: {what}")
        if not row[1].strip():
            raise ReachlabError(f"{path}:{number}: {row[0]!r} has no cluster")
        clusters[row[0]] = row[1]
    return clusters
