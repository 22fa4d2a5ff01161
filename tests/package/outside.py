"""Programs of an environment, run from a folder outside the repository."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outside:
    """An environment and a folder of its user's. On PATH is the environment alone: no git, no make, no compiler; and
    no variable says where our sources are."""

    environment: Path
    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.environment / "bin" / "python"

    def call(self, *words: str | Path, code: int = 0, **variables: str) -> str:
        """What a program says on both streams, in the user's folder; it has to end with `code`."""
        program = self.environment / "bin" / words[0]
        bare = {"PATH": str(program.parent), "HOME": str(self.folder), "OMP_NUM_THREADS": "1", "COLUMNS": "160"}
        done = subprocess.run(
            [program, *words[1:]],
            cwd=self.folder,
            env={**bare, "HF_HUB_OFFLINE": "1", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def says(self, text: str) -> str:
        """What a few lines of Python print."""
        return self.call("python", "-c", text).strip()
