"""Reading runs and exports: whole parts count, damaged ones don't, and storage leaves no trace in the table."""

import json
import logging
import shutil
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from planted import Sweep, outcome, suggestion, sweep_stages, write_head, write_part, write_run

from analysis.reading import RunError, read_measurements, read_records, read_run_info, read_trials
from analysis.records import COLUMNS, Measurement


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", Sweep(noise_scales=(0.01, 0.3), batch_sizes=(16, 64)))


def compact(run: Path, trials: list[str], id_: str, delete: bool) -> None:
    """Compact `trials` as the ledger does: records, measurements, then trials; then delete their parts."""
    records, rows = read_records(run), read_trials(run)
    tables = {
        "records": records[records["trial"].isin(trials)],
        "measurements": read_measurements(run),
        "trials": rows[rows["trial"].isin(trials)],
    }
    (run / "compact").mkdir(exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(run / "compact" / f"{name}-{id_}.parquet")
    if delete:
        for trial in trials:
            shutil.rmtree(run / "parts" / trial, ignore_errors=True)


def test_records_are_those_written_in_order_of_trial_and_step(run):
    table = read_records(run)
    assert list(table.columns) == COLUMNS
    written = [
        record.model_dump(by_alias=True)
        for stage in sweep_stages(Sweep(noise_scales=(0.01, 0.3), batch_sizes=(16, 64)))
        for record in stage.records
    ]
    assert len(table) == len(written)
    for row, expected in zip(table.to_dict("records"), written, strict=True):
        assert {name: None if pd.isna(value) else value for name, value in row.items()} == expected


@pytest.mark.parametrize("delete", [True, False], ids=["compacted", "killed before the parts were deleted"])
def test_compaction_leaves_no_trace(run, delete):
    records, trials = read_records(run), read_trials(run)
    compact(run, ["00000", "00002"], "aa", delete)
    pd.testing.assert_frame_equal(read_records(run), records)
    pd.testing.assert_frame_equal(read_trials(run), trials)
    # Two compactions that raced list one trial twice.
    compact(run, ["00000", "00001"], "bb", delete)
    pd.testing.assert_frame_equal(read_records(run), records)


def test_tables_without_a_trials_table_are_not_there_yet(run):
    records = read_records(run)
    compact(run, ["00000"], "aa", delete=False)
    (run / "compact" / "trials-aa.parquet").unlink()
    pd.testing.assert_frame_equal(read_records(run), records)


def test_a_damaged_compact_table_is_named(run):
    compact(run, ["00000"], "aa", delete=True)
    (run / "compact" / "records-aa.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(RunError, match=r"records-aa\.parquet is missing or damaged"):
        read_records(run)


@pytest.mark.parametrize("content", ["", '{"records": [', "[]", '{"records": [{"run": "demo"}]}'])
def test_a_damaged_stage_is_skipped_and_logged(run, caplog, content):
    before = read_records(run)
    (run / "parts" / "00001" / "1" / "stage-300.json").write_text(content)
    with caplog.at_level(logging.WARNING, "analysis"):
        table = read_records(run)
    lost = (before["trial"] == "00001") & (before["branch_step"] == 300)
    pd.testing.assert_frame_equal(table, before[~lost].reset_index(drop=True))
    assert "00001/1/stage-300.json" in caplog.text


def test_the_first_whole_attempt_at_a_stage_counts(run):
    stage = next(iter(sweep_stages(Sweep(noise_scales=(0.01,), batch_sizes=(16,)), seed=1)))
    first = read_records(run)
    for attempt in (2, 10):
        records = tuple(record.model_copy(update={"attempt": attempt}) for record in stage.records)
        write_part(run, "00000", attempt, "stage-150", stage.model_copy(update={"records": records}))
    pd.testing.assert_frame_equal(read_records(run), first)
    (run / "parts" / "00000" / "1" / "stage-150.json").write_text("{")
    table = read_records(run).query("trial == '00000' and branch_step == 150")
    assert table["attempt"].unique().tolist() == [2]


def test_unfinished_names_of_a_killed_writer_are_ignored(run):
    before = read_records(run)
    (run / "parts" / "00000" / "1" / "stage-150.json.tmp-77").write_text("{")
    pd.testing.assert_frame_equal(read_records(run), before)


def add_measurements(run: Path) -> list[Measurement]:
    """Add a stage that measured a number and one that is not defined."""
    stage = next(iter(sweep_stages(Sweep(noise_scales=(0.01,), batch_sizes=(16,)))))
    cka = Measurement(
        run="demo",
        trial="00009",
        branch_step=150,
        subject="a+b",
        name="cka",
        index=0,
        value=1 / 3,
        settings='{"split": "test"}',
    )
    measured = (cka, cka.model_copy(update={"index": 1, "value": None}))
    update = {"measurements": measured, "records": ()}
    write_part(run, "00009", 1, "stage-150", stage.model_copy(update=update))
    return list(measured)


def test_measurements_are_read(run):
    assert read_measurements(run).empty
    added = add_measurements(run)
    table = read_measurements(run)
    assert table.astype(object).where(table.notna(), None).to_dict("records") == [
        m.model_dump() for m in added
    ]


def test_trials_show_the_attempt_that_counts(tmp_path):
    write_head(tmp_path / "run")
    attempts = {
        "lost": ["failed", None],
        "retried": ["failed", "ok", "diverged"],
        "begun": [None],
        "hopeless": ["failed"] * 2,
    }
    for number, (trial, statuses) in enumerate(attempts.items()):
        # Only the first attempt leaves a suggestion.
        write_part(tmp_path / "run", trial, 0, "suggested", suggestion(trial, 0, number))
        for attempt, status in enumerate(statuses):
            if status:
                write_part(
                    tmp_path / "run", trial, attempt, "outcome", outcome(trial, attempt, number, status)
                )
    trials = read_trials(tmp_path / "run").set_index("trial")
    assert trials["status"].to_dict() == {
        "lost": "failed",
        "retried": "ok",
        "begun": "running",
        "hopeless": "failed",
    }
    assert trials["attempt"].to_dict() == {"lost": 0, "retried": 1, "begun": 0, "hopeless": 1}
    assert trials["number"].tolist() == [0, 1, 2, 3]
    assert [json.loads(point) for point in trials["overrides"]] == [{"train/noise_scale": 0.01}] * 4
    assert trials["epochs_trained"].isna().to_dict() == {
        "lost": False,
        "retried": False,
        "begun": True,
        "hopeless": False,
    }


def test_a_run_that_has_just_begun_has_empty_tables(tmp_path):
    write_head(tmp_path / "run")
    assert list(read_records(tmp_path / "run").columns) == COLUMNS
    assert read_records(tmp_path / "run").empty
    assert read_trials(tmp_path / "run").empty
    assert read_run_info(tmp_path / "run").recipe["name"] == "digits"


def test_a_run_on_another_file_system_reads_the_same(run):
    memory = fsspec.filesystem("memory")
    memory.put(str(run), "/elsewhere/run", recursive=True)
    pd.testing.assert_frame_equal(read_records("memory://elsewhere/run"), read_records(run))
    pd.testing.assert_frame_equal(read_trials("memory://elsewhere/run"), read_trials(run))


@pytest.mark.parametrize("read", [read_records, read_measurements, read_trials, read_run_info])
def test_what_is_no_run_is_refused_in_one_line(tmp_path, read):
    with pytest.raises(ValueError, match=r"is no run: it has no run\.json") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_records, read_measurements])
def test_exports_read_back_equal(run, tmp_path, read):
    add_measurements(run)
    table = read(run)
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.json").write_text(json.dumps(rows))
    for suffix in ("csv", "parquet", "json"):
        pd.testing.assert_frame_equal(read(tmp_path / f"t.{suffix}"), table)
