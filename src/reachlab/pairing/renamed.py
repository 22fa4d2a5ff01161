"""A run of samples seen under other ids: its problems are called what another run calls the same questions.

What is on disk stays as it is, so nothing is written through such a view.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from reachlab.errors import ReachlabError
from reachlab.runs import RunFolder
from reachlab.store.columns import codes_of
from reachlab.store.samples import SampleStore
from reachlab.types import Problem


class RenamedStore(SampleStore):
    """The samples of a folder; `names` has a name for each of its problems."""

    def __init__(self, folder: RunFolder, names: Mapping[str, str]):
        super().__init__(folder)
        self.names = names

    def original(self) -> SampleStore:
        """The run as it lies there."""
        return SampleStore(self.folder)

    def problems(self) -> list[Problem]:
        """The run's problems, in its order, under their names."""
        return [replace(problem, id=self.names[problem.id]) for problem in super().problems()]

    def image_hashes(self) -> dict[str, list[str]]:
        """The hashes of the problems' pictures, by name."""
        return {self.names[problem_id]: hashes for problem_id, hashes in super().image_hashes().items()}

    def read_part(self, part: str, columns: Sequence[str] | None = None, encoded: Sequence[str] = ()) -> pa.Table:
        """One part, with the names in the place of ids; one that the run does not list stays."""
        table = super().read_part(part, columns, encoded)
        at = table.schema.get_field_index("problem_id")
        if at < 0:
            return table
        places_N, ids = codes_of(table.column(at).dictionary_encode())
        named = pa.array([self.names.get(i, i) for i in ids.to_pylist()], pa.string())
        renamed = pa.DictionaryArray.from_arrays(pa.array(places_N, pa.int32()), named)
        return table.set_column(at, "problem_id", renamed if "problem_id" in encoded else renamed.cast(pa.string()))

    def _change(self, part: str, change: Callable[[pa.Table], pa.Table]) -> None:
        raise ReachlabError(f"{part}: not to be changed under other ids")
