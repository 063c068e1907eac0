"""The parts of a run that has not been compacted: one file per suggestion, stage and outcome.

    RUN/parts/<trial>/<attempt>/suggested.json
    RUN/parts/<trial>/<attempt>/stage-<branch step>.json
    RUN/parts/<trial>/<attempt>/outcome.json

Parts are written once, whole, and never changed. One that doesn't parse is logged and is as good as absent.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from analysis.records import Outcome, Stage, Suggestion
from search_spaces.base import Frozen
from sweeper.store.files import Storage

LOG = logging.getLogger(__name__)

PartModel = TypeVar("PartModel", Suggestion, Stage, Outcome)
KINDS: dict[type[Frozen], str] = {Suggestion: "suggested", Stage: "stage", Outcome: "outcome"}

_PART = re.compile(r"(?P<trial>[^/]+)/(?P<attempt>\d+)/(?P<kind>suggested|stage|outcome)(-\d+)?\.json")


class Part(NamedTuple):
    """Where one part is; parts sort by trial, then attempt."""

    trial: str
    attempt: int
    kind: str
    path: str


class Parts:
    """The parts of the run at `run_path`."""

    def __init__(self, storage: Storage, run_path: str) -> None:
        self._storage = storage
        self._directory = f"{run_path}/parts/"

    def create(self, part: Suggestion | Stage | Outcome) -> bool:
        """Write a part unless it exists; return whether it didn't.

        Raises:
            StorageError: if it can't be written.
        """
        step = f"-{part.branch_step}" if isinstance(part, Stage) else ""
        path = f"{self._directory}{part.trial}/{part.attempt}/{KINDS[type(part)]}{step}.json"
        return self._storage.create(path, part.model_dump_json(by_alias=True).encode())

    def find(self, trial: str = "") -> list[Part]:
        """Return all parts, or those of one trial, sorted by trial and attempt."""
        found = []
        for path in self._storage.find(f"{self._directory}{trial}"):
            match = _PART.fullmatch(path.removeprefix(self._directory))
            if match:
                found.append(Part(match["trial"], int(match["attempt"]), match["kind"], path))
        return sorted(found)

    def read(self, parts: Sequence[Part]) -> list[bytes | None]:
        """Return the content of each part, None for those that have vanished."""
        return self._storage.read_many([part.path for part in parts])

    def delete(self, trials: Iterable[str]) -> None:
        """Delete all parts of some trials."""
        self._storage.remove_trees([f"{self._directory}{trial}" for trial in trials])


def valid(model: type[PartModel], found: Iterable[tuple[Part, bytes | None]]) -> list[PartModel]:
    """Return the parts of one kind that parse; log the others."""
    parsed = []
    for part, content in found:
        if part.kind == KINDS[model]:
            try:
                parsed.append(model.model_validate_json(content or b""))
            except ValidationError as error:
                LOG.warning("%s is damaged and does not count: %s", part.path, error.errors()[0]["msg"])
    return parsed


def first_stages(stages: Iterable[Stage]) -> dict[int, Stage]:
    """Return branch step → its first stage, in order of steps."""
    first: dict[int, Stage] = {}
    for stage in stages:
        first.setdefault(stage.branch_step, stage)
    return dict(sorted(first.items()))
