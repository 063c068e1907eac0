"""Tables as files: format → bytes. What reads a table of a run reads each of them back, equal."""

import io
import json
from collections.abc import Callable

import pandas as pd

from analysis.reading import RunPath, read_measurements, read_records


def to_csv(table: pd.DataFrame) -> bytes:
    """Return the table as CSV; numbers that are missing are empty."""
    return table.to_csv(index=False).encode()


def to_json(table: pd.DataFrame) -> bytes:
    """Return the table as a JSON list of objects; numbers that are missing are null."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    # Not `DataFrame.to_json`, which rounds numbers to 15 digits.
    return (json.dumps(rows, allow_nan=False, indent=0) + "\n").encode()


def to_parquet(table: pd.DataFrame) -> bytes:
    """Return the table as Parquet."""
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()


TABLES: dict[str, Callable[[RunPath], pd.DataFrame]] = {
    "records": read_records,
    "measurements": read_measurements,
}

FORMATS: dict[str, Callable[[pd.DataFrame], bytes]] = {"csv": to_csv, "parquet": to_parquet, "json": to_json}
