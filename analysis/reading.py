"""From a run, or from an exported file, to tables: records, measurements, trials.

The layout of a run is described in `analysis.records`. Parts hold what is not yet compacted; a crash between
writing the compact tables and deleting their parts leaves both, so the parts of a compacted trial don't count.
"""

import json
import logging
from collections.abc import Iterator
from operator import itemgetter
from os import PathLike, fspath
from pathlib import PurePosixPath
from typing import Any, NamedTuple, get_args

import fsspec
import pandas as pd
from pydantic import BaseModel, ValidationError

from analysis.records import COLUMNS, Measurement, MergeRecord, Outcome, RunInfo, too_late

log = logging.getLogger(__name__)

RunPath = str | PathLike[str]
MEASUREMENT_COLUMNS = list(Measurement.model_fields)
TRIAL_COLUMNS = [*Outcome.model_fields, "overrides", "config"]
CHUNK = 1024
"""Parts read at once: object stores answer many requests in parallel, and memory stays bounded."""


class RunError(ValueError):
    """A path that holds no run, or a damaged one: one line with the path and the way out."""


def read_run_info(path: RunPath) -> RunInfo:
    """Return the head of the run at `path`: recipe, versions, hardware.

    Raises:
        RunError: if `path` holds no run, or its head is damaged.
    """
    fs, root = _open(path)
    try:
        return RunInfo.model_validate_json(fs.cat_file(f"{root}/run.json"))
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(
            f"{path} is no run: it has no run.json; give the path that the sweep printed"
        ) from None
    except ValidationError:
        raise RunError(f"{path}/run.json is damaged; restore it, or sweep again under another name") from None


def read_records(path: RunPath) -> pd.DataFrame:
    """Return the merge records of a run, or of a .csv, .parquet or .json export, one row each.

    Columns are those of `MergeRecord`; a number that is missing is NaN. Rows are ordered by trial and branch
    step, however the run is stored. A damaged part is skipped and logged.

    Raises:
        RunError: if `path` holds neither a run nor an export, or a compact table of it is damaged.
    """
    return _read_rows(path, "records", MergeRecord, COLUMNS)


def read_measurements(path: RunPath) -> pd.DataFrame:
    """Return the measurements of a run, or of a .csv, .parquet or .json export of them.

    There is one row per number that belongs to an endpoint, a pair or a plane; one that is not defined is NaN.

    Raises:
        RunError: if `path` holds neither a run nor an export, or a compact table of it is damaged.
    """
    return _read_rows(path, "measurements", Measurement, MEASUREMENT_COLUMNS)


def read_trials(path: RunPath) -> pd.DataFrame:
    """Return one row per suggested trial, in order of suggestion.

    Columns are those of `Outcome`, with `overrides` and `config` of the suggestion as JSON. The row is the
    first outcome other than failed, else the last failed one; without any it has status `running`, NaN for
    what isn't known yet, and the time of its suggestion.

    Raises:
        RunError: if `path` holds no run, or a compact table of it is damaged.
    """
    fs, root = _open_run(path)
    rows: dict[str, dict[str, Any]] = {}
    documents = list(_documents(fs, root, "suggested", "outcome"))
    # Whoever writes too late does so after the term that ended its own: terms are read last.
    starts = _first_numbers(fs, root)
    for part, document in documents:
        if part.kind == "suggested" and too_late(document["number"], document.get("term", 0), starts):
            continue
        row = rows.setdefault(part.trial, {"status": "running", "host": "", "error": ""})
        if part.kind == "outcome" and row["status"] in ("running", "failed"):
            row.update(document)
        elif part.kind == "suggested" and "overrides" not in row:
            point = {name: json.dumps(document[name], sort_keys=True) for name in ("overrides", "config")}
            # An outcome that was read already knows its own time.
            row.update({**document, **row, **point})
    for ended in _compact(fs, root, "trials")[0].to_dict("records"):
        rows[ended["trial"]] = {str(name): value for name, value in ended.items()}
    for row in rows.values():
        row.setdefault("overrides", "{}")
        row.setdefault("config", "{}")
    table = _typed(pd.DataFrame(list(rows.values()), columns=TRIAL_COLUMNS), Outcome)
    return table.sort_values(["number", "trial"], ignore_index=True)


def has_additions(path: RunPath) -> bool:
    """Return whether merges or measures were added to the run at `path` after its sweep."""
    fs, root = _open(path)
    return bool(fs.exists(f"{root}/added"))


class _Part(NamedTuple):
    path: str
    trial: str
    attempt: int
    kind: str
    """suggested, stage or outcome."""
    step: int
    """Of a stage."""


def _open(path: RunPath) -> tuple[fsspec.AbstractFileSystem, str]:
    fs, root = fsspec.core.url_to_fs(fspath(path))
    # A long-lived process would otherwise see the listing of its first look.
    fs.invalidate_cache()
    return fs, root.rstrip("/")


def _open_run(path: RunPath) -> tuple[fsspec.AbstractFileSystem, str]:
    read_run_info(path)
    return _open(path)


def _parts(fs: fsspec.AbstractFileSystem, root: str, *kinds: str) -> list[_Part]:
    """Return the parts of the given kinds, earlier attempts first; within one, stages, outcome, suggestion."""
    found = []
    for path in fs.find(f"{root}/parts"):
        trial, attempt, name = path.rsplit("/", 3)[1:]
        kind, _, step = name.removesuffix(".json").partition("-")
        # What ends otherwise is the temporary file of a writer that was killed.
        if kind in kinds and attempt.isdigit() and name.endswith(".json"):
            found.append(_Part(path, trial, int(attempt), kind, int(step or 0)))
    return sorted(found, key=lambda part: (part.attempt, part.trial, part.kind, part.step))


def _documents(
    fs: fsspec.AbstractFileSystem, root: str, *kinds: str
) -> Iterator[tuple[_Part, dict[str, Any]]]:
    """Yield each part with its parsed content, leaving out what is damaged or was deleted meanwhile."""
    parts = _parts(fs, root, *kinds)
    for start in range(0, len(parts), CHUNK):
        chunk = parts[start : start + CHUNK]
        content = fs.cat([part.path for part in chunk], on_error="omit")
        for part in chunk:
            # What compaction deleted since the listing is read from the compact files, which come later.
            if part.path in content:
                document = _parsed(content[part.path])
                if document is None:
                    log.warning("%s is damaged and does not count", part.path)
                else:
                    yield part, document


def _added(fs: fsspec.AbstractFileSystem, root: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield path and content of what was added to the run after its sweep, in the order of trials."""
    paths = [path for path in sorted(fs.find(f"{root}/added")) if path.endswith(".json")]
    for start in range(0, len(paths), CHUNK):
        contents = fs.cat(paths[start : start + CHUNK], on_error="omit")
        for path, content in contents.items():
            document = _parsed(content)
            if document is None:
                log.warning("%s is damaged and does not count", path)
            else:
                yield path, document


def _first_numbers(fs: fsspec.AbstractFileSystem, root: str) -> dict[int, int]:
    """Return term → the number of its first suggestion, for the terms of the run's drivers."""
    paths = [path for path in fs.find(f"{root}/terms") if path.endswith(".first")]
    found = {int(PurePosixPath(path).stem): fs.cat_file(path) for path in paths}
    return {term: int(number) for term, number in found.items() if number.isdigit()}


def _parsed(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object in `content`, None if there is none."""
    try:
        document = json.loads(content)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _read_rows(path: RunPath, name: str, schema: type[BaseModel], columns: list[str]) -> pd.DataFrame:
    """Return the table `name` of a run, or of an export of it."""
    reader = EXPORTS.get(PurePosixPath(fspath(path)).suffix)
    return reader(path, schema) if reader else _read_stages(path, name, schema, columns)


def _read_stages(path: RunPath, name: str, schema: type[BaseModel], columns: list[str]) -> pd.DataFrame:
    """Return the rows of all stages, of each trial's stage the first attempt that is whole, and those added later."""
    fs, root = _open_run(path)
    stages: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
    for part, document in _documents(fs, root, "stage"):
        rows = _values(part.path, document, name, columns)
        if rows is not None:
            stages.setdefault((part.trial, part.step), rows)
    added = [row for path, each in _added(fs, root) for row in _values(path, each, name, columns) or ()]
    # Compact tables are read after the parts: what moves from the one to the other in between is seen twice.
    compact, compacted = _compact(fs, root, name)
    loose = [row for (trial, _), rows in stages.items() if trial not in compacted for row in rows]
    both = [
        _typed(table.reindex(columns=columns), schema)
        for table in (compact, pd.DataFrame(loose + added, columns=columns))
    ]
    return _joined(both).sort_values(["trial", "branch_step"], kind="stable", ignore_index=True)


def _values(
    path: str, document: dict[str, Any], name: str, columns: list[str]
) -> list[tuple[Any, ...]] | None:
    """Return the rows of table `name` in a stage, None if it lacks some column."""
    try:
        return list(map(itemgetter(*columns), document[name]))
    except (KeyError, TypeError):
        log.warning("%s lacks columns of this version and does not count", path)
        return None


def _compact(fs: fsspec.AbstractFileSystem, root: str, name: str) -> tuple[pd.DataFrame, set[str]]:
    """Return the rows of the compact tables `name`, and the compacted trials.

    A trials table is written last: tables of an id without one are not there yet. A trial that is listed twice
    belongs to the first listing.

    Raises:
        RunError: if a table is missing or damaged.
    """
    tables, compacted = [pd.DataFrame(columns=["trial"])], set[str]()
    for listing in sorted(fs.glob(f"{root}/compact/trials-*.parquet")):
        trials = set(_read_table(fs, listing, ["trial"])["trial"]) - compacted
        rows = _read_table(fs, listing.replace("/compact/trials-", f"/compact/{name}-"))
        tables.append(rows[rows["trial"].isin(trials)])
        compacted |= trials
    return _joined(tables), compacted


def _read_table(fs: fsspec.AbstractFileSystem, path: str, columns: list[str] | None = None) -> pd.DataFrame:
    try:
        with fs.open(path, "rb") as file:
            return pd.read_parquet(file, columns=columns)
    except (OSError, ValueError):
        id_ = path.rsplit("-", 1)[-1]
        raise RunError(
            f"{path} is missing or damaged; restore it, or delete compact/*-{id_} to have its trials run again"
        ) from None


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all tables; empty ones have no say in the types."""
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _typed(table: pd.DataFrame, schema: type[BaseModel]) -> pd.DataFrame:
    """Return `table` with the dtypes of `schema`: int64, float64 or str; others as they are."""
    return table.astype({name: dtype for name, dtype in _dtypes(schema).items() if name in table})


def _dtypes(schema: type[BaseModel]) -> dict[str, str]:
    known = {int: "int64", float: "float64"}
    types = {field.alias or name: field.annotation for name, field in schema.model_fields.items()}
    return {
        name: next((known[kind] for kind in (annotation, *get_args(annotation)) if kind in known), "str")
        for name, annotation in types.items()
    }


def _read_csv(path: RunPath, schema: type[BaseModel]) -> pd.DataFrame:
    # "none" is an augmentation and "" a key: only an empty number is missing.
    table = pd.read_csv(fspath(path), dtype=str, keep_default_na=False)
    numbers = [name for name, dtype in _dtypes(schema).items() if dtype == "float64" and name in table]
    table[numbers] = table[numbers].replace("", "nan")
    return _typed(table, schema)


def _read_json(path: RunPath, schema: type[BaseModel]) -> pd.DataFrame:
    with fsspec.open(fspath(path), "rt", encoding="utf-8") as file:
        return _typed(pd.DataFrame(json.load(file), columns=list(_dtypes(schema))), schema)


def _read_parquet(path: RunPath, schema: type[BaseModel]) -> pd.DataFrame:
    return _typed(pd.read_parquet(fspath(path)), schema)


EXPORTS = {".csv": _read_csv, ".json": _read_json, ".parquet": _read_parquet}
"""Suffix of an exported table → its reader."""
