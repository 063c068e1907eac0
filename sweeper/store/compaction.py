"""Finished trials as three Parquet tables, in place of many small parts.

    RUN/compact/records-<id>.parquet          MergeRecord
    RUN/compact/measurements-<id>.parquet     Measurement
    RUN/compact/trials-<id>.parquet           Outcome, Suggestion, and what each stage trained

The trials table is written last: tables of an `<id>` without one are not there yet. From the moment it is, the
parts of its trials don't count, and are deleted. A trial listed under two ids belongs to the first in order of
names. So whoever is killed between any two of these operations loses nothing and counts nothing twice.
"""

import hashlib
import io
import json
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.records import Measurement, MergeRecord, Outcome, Stage, Suggestion
from search_spaces.base import Frozen
from sweeper.store.files import Storage, StorageError

TABLES = ("records", "measurements", "trials")
_TRIALS_NAME = re.compile(r"trials-([0-9a-f]+)\.parquet")


@dataclass(frozen=True)
class FinishedTrial:
    """What counts of a finished trial, whichever attempts gave it."""

    suggestion: Suggestion
    outcome: Outcome
    stages: Mapping[int, Stage]

    def row(self) -> dict[str, Any]:
        """Return the row of the trials table."""
        return self.outcome.model_dump() | {
            "overrides": json.dumps(self.suggestion.overrides, sort_keys=True),
            "config": json.dumps(self.suggestion.config, sort_keys=True),
            "suggested_time": self.suggestion.time,
            "suggested_attempt": self.suggestion.attempt,
            "stage_attempts": json.dumps({step: stage.attempt for step, stage in self.stages.items()}),
            "trained": json.dumps({step: stage.trained for step, stage in self.stages.items()}),
        }


class Compacted:
    """The trials of one run that have been compacted, as of the last `refresh`."""

    def __init__(self, storage: Storage, run_path: str) -> None:
        self._storage = storage
        self._directory = f"{run_path}/compact"
        self._trials: dict[str, list[str]] = {}
        self._owner: dict[str, str] = {}

    def refresh(self) -> Self:
        """Look for new tables; those seen before don't change."""
        names = self._storage.names(self._directory)
        ids = [match[1] for match in map(_TRIALS_NAME.fullmatch, names) if match]
        self._trials = {id_: self._trials.get(id_) or self._listed(id_) for id_ in ids}
        self._owner = {trial: id_ for id_ in reversed(ids) for trial in self._trials[id_]}
        return self

    def __contains__(self, trial: str) -> bool:
        return trial in self._owner

    def suggestions(self) -> list[Suggestion]:
        """Return the suggestion of every compacted trial."""
        return [
            Suggestion(
                trial=row["trial"],
                attempt=row["suggested_attempt"],
                number=row["number"],
                overrides=json.loads(row["overrides"]),
                config=json.loads(row["config"]),
                time=row["suggested_time"],
            )
            for row in self._rows()
        ]

    def outcomes(self, but_for: Container[str] = ()) -> dict[str, Outcome]:
        """Return trial → outcome of every compacted trial that is not in `but_for`."""
        return {
            # Tables written before a field was added lack its column.
            row["trial"]: Outcome(**{name: row[name] for name in Outcome.model_fields if name in row})
            for row in self._rows(but_for)
        }

    def stages(self, trial: str) -> dict[int, Stage]:
        """Return branch step → stage of one compacted trial."""
        tables = {
            name: self._table(name, self._owner[trial], filters=[("trial", "=", trial)]).to_pylist()
            for name in TABLES
        }
        [row] = tables["trials"]
        attempts = json.loads(row["stage_attempts"])
        return {
            int(step): Stage(
                trial=trial,
                attempt=attempts[step],
                branch_step=int(step),
                records=tuple(
                    MergeRecord(**item) for item in tables["records"] if item["branch_step"] == int(step)
                ),
                measurements=tuple(
                    Measurement(**item) for item in tables["measurements"] if item["branch_step"] == int(step)
                ),
                trained=trained,
            )
            for step, trained in json.loads(row["trained"]).items()
        }

    def texts(self) -> Iterator[str]:
        """Yield every text that may name keys of objects."""
        columns = {
            "records": ["key_a", "key_b", "endpoints"],
            "measurements": ["subject"],
            "trials": ["trained"],
        }
        for id_ in self._trials:
            for table, names in columns.items():
                for column in self._table(table, id_, columns=names).columns:
                    yield from column.unique().to_pylist()

    def orphans(self) -> list[str]:
        """Return the tables that a killed compaction left without a trials table."""
        names = [name for name in self._storage.names(self._directory) if name.endswith(".parquet")]
        owned = {f"{table}-{id_}.parquet" for table in TABLES for id_ in self._trials}
        return [f"{self._directory}/{name}" for name in names if name not in owned]

    def _listed(self, id_: str) -> list[str]:
        return list(self._table("trials", id_, columns=["trial"])["trial"].to_pylist())

    def _rows(self, but_for: Container[str] = ()) -> Iterator[dict[str, Any]]:
        for id_, trials in self._trials.items():
            wanted = {trial for trial in trials if self._owner[trial] == id_ and trial not in but_for}
            if wanted:
                yield from (row for row in self._table("trials", id_).to_pylist() if row["trial"] in wanted)

    def _table(self, name: str, id_: str, **selection: Any) -> pa.Table:
        path = f"{self._directory}/{name}-{id_}.parquet"
        content = self._storage.read(path)
        try:
            return pq.read_table(io.BytesIO(content or b""), **selection)
        except (pa.ArrowException, OSError) as error:
            raise StorageError(
                f"{path} is missing or damaged; restore it, or delete {self._directory}/*-{id_}.parquet "
                "to have its trials run again"
            ) from error


def write_compact(storage: Storage, run_path: str, trials: list[FinishedTrial]) -> None:
    """Write the three tables of `trials`, the one that makes them count last.

    Raises:
        StorageError: if one can't be written.
    """
    names = "\n".join(trial.outcome.trial for trial in trials)
    # The same trials get the same id: whoever compacts them again after a crash overwrites what it left.
    id_ = hashlib.sha256(names.encode()).hexdigest()[:16]
    stages = [trial.stages[step] for trial in trials for step in sorted(trial.stages)]
    records = [record.model_dump(by_alias=True) for stage in stages for record in stage.records]
    measurements = [measurement.model_dump() for stage in stages for measurement in stage.measurements]
    tables = {
        "records": pa.Table.from_pylist(records, _schema(MergeRecord)),
        "measurements": pa.Table.from_pylist(measurements, _schema(Measurement)),
        "trials": pa.Table.from_pylist([trial.row() for trial in trials], TRIALS),
    }
    for name, table in tables.items():
        file = io.BytesIO()
        pq.write_table(table, file)
        # The parts are deleted on the strength of these.
        storage.write(f"{run_path}/compact/{name}-{id_}.parquet", file.getvalue(), durable=True)


def _schema(model: type[Frozen]) -> pa.Schema:
    """Return the Parquet schema of a model of scalars; every column may be null."""
    types = {float: pa.float64(), int: pa.int64()}
    fields = []
    for name, field in model.model_fields.items():
        kinds = {field.annotation, *get_args(field.annotation)}
        arrow = next((types[kind] for kind in types if kind in kinds), pa.string())
        fields.append((field.alias or name, arrow))
    return pa.schema(fields)


TRIALS = pa.schema(
    [
        *_schema(Outcome),
        ("overrides", pa.string()),
        ("config", pa.string()),
        ("suggested_time", pa.float64()),
        ("suggested_attempt", pa.int64()),
        ("stage_attempts", pa.string()),
        ("trained", pa.string()),
    ]
)
