"""What was added to a run after its sweep: one file per addition and branch point.

    RUN/added/<trial>/<branch step>-<key>.json

Each is a `Stage` that trained nothing. Its key says what was asked for; whoever finds it there has nothing to do.
"""

import re
from pathlib import PurePosixPath

from pydantic import ValidationError

from analysis.records import Stage
from sweeper.store.files import Storage

_NAME = re.compile(r"(\d+)-([0-9a-f]+)\.json")


class Additions:
    """The additions to the run at `run_path`."""

    def __init__(self, storage: Storage, run_path: str) -> None:
        self._storage = storage
        self._directory = f"{run_path}/added"

    def keys(self, trial: str) -> set[tuple[int, str]]:
        """Return (branch step, key) of every addition to a trial."""
        names = (PurePosixPath(name).name for name in self._storage.names(f"{self._directory}/{trial}"))
        return {(int(match[1]), match[2]) for match in map(_NAME.fullmatch, names) if match}

    def stages(self, trial: str, step: int) -> list[Stage]:
        """Return all that was added at one branch point; what is damaged counts as absent."""
        paths = [self._path(trial, *item) for item in sorted(self.keys(trial)) if item[0] == step]
        found = []
        for content in self._storage.read_many(paths):
            try:
                found.append(Stage.model_validate_json(content or b""))
            except ValidationError:
                continue
        return found

    def write(self, stage: Stage, key: str) -> None:
        """Record an addition, in place of a damaged one if there is one.

        Raises:
            StorageError: if it can't be written.
        """
        content = stage.model_dump_json(by_alias=True).encode()
        self._storage.write(self._path(stage.trial, stage.branch_step, key), content)

    def _path(self, trial: str, step: int, key: str) -> str:
        return f"{self._directory}/{trial}/{step}-{key}.json"
