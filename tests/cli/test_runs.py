"""Commands on runs: what they print is what the ledger holds."""

import json
import os
import time

import pytest
from pandas.testing import assert_frame_equal

from analysis.reading import read_records, read_trials
from analysis.recommend import recommend_info
from analysis.verdict import verdict
from sweeper.store import Ledger, Store
from sweeper.store.leases import lease


def test_a_run_goes_by_path_and_by_name(sweeper, own_run, tmp_path, monkeypatch):
    runs = [str(own_run), f"{own_run}/", f"sweeps/runs/{own_run.name}", own_run.name]
    answers = [sweeper("status", run, "--json") for run in runs]
    monkeypatch.chdir("/")
    monkeypatch.setenv("SWEEPER_STORAGE", str(tmp_path / "sweeps"))
    answers += [sweeper("status", own_run.name, "--json"), sweeper("status", f"file://{own_run}", "--json")]
    assert {json.loads(answer.out)["path"] for answer in answers} == {str(own_run)}


def test_status_in_json(sweeper, finished_run):
    status = json.loads(sweeper("status", finished_run.path, "--json").out)
    trials = read_trials(finished_run.path)
    counts = trials.status.value_counts()
    for state in ("ok", "diverged", "at_chance", "failed", "running"):
        assert status[state] == counts.get(state, 0)
    assert (status["state"], status["done"], status["total"]) == ("done", 6, 6)
    assert status["epochs"] == trials.epochs_trained.sum()
    assert (status["recipe"], status["scale"]) == ("digits", "smoke")
    assert status["idle_seconds"] > 0
    point = verdict(finished_run.path).point
    peak = status["peak"] or {}
    assert peak.get("noise_scale") == (point and point.noise_scale)
    assert bool(status["reason"]) == (point is None)


def test_status_of_an_unfinished_run(sweeper, own_run):
    outcomes = sorted((own_run / "compact").glob("*.parquet"))
    for path in outcomes:
        path.unlink()
    status = json.loads(sweeper("status", own_run.name, "--json").out)
    assert (status["state"], status["done"], status["peak"]) == ("interrupted", 0, None)
    text = sweeper("status", own_run.name).out
    assert "interrupted, 0 of 6 trials" in text
    assert f"sweeper resume {own_run}" in text
    ledger = Ledger.at(str(own_run))
    with lease(ledger.storage, ledger.driver_key, seconds=60.0):
        assert json.loads(sweeper("status", own_run.name, "--json").out)["state"] == "running"
        ledger.request_stop()
        assert json.loads(sweeper("status", own_run.name, "--json").out)["state"] == "stopping"
    assert json.loads(sweeper("status", own_run.name, "--json").out)["state"] == "stopped"


@pytest.mark.parametrize("format_", ["csv", "parquet", "json"])
def test_exports_are_read_back_equal(format_, sweeper, finished_run, tmp_path):
    file = tmp_path / f"table.{format_}"
    assert sweeper("export", finished_run.path, "--format", format_, "-o", str(file)).status == 0
    assert_frame_equal(read_records(file), read_records(finished_run.path), check_exact=True)


@pytest.mark.parametrize("format_", ["csv", "json"])
def test_exports_go_to_standard_output(format_, sweeper, finished_run, tmp_path):
    sweeper("export", finished_run.path, "--format", format_, "-o", str(tmp_path / "table"))
    answer = sweeper("export", finished_run.path, "--format", format_)
    assert answer.out == (tmp_path / "table").read_text()


@pytest.mark.parametrize("command", [["report"], ["export", "--format", "csv"]])
def test_a_file_that_cannot_be_written_is_a_wrong_request(command, sweeper, finished_run):
    answer = sweeper(*command, finished_run.path, "-o", "none/of/this")
    assert answer.status == 2
    assert answer.err == (
        "error: none/of/this cannot be written: No such file or directory; name another file with -o\n"
    )


def test_report(sweeper, own_run, tmp_path):
    assert sweeper("report", own_run.name).out == f"{own_run}/report.html\n"
    assert sweeper("report", own_run.name, "-o", "own.html").out == "own.html\n"
    assert (own_run / "report.html").read_text() == (tmp_path / "own.html").read_text()


def test_a_far_away_run_is_reported_here(sweeper, own_run, tmp_path):
    import fsspec

    fsspec.filesystem("memory").put(str(own_run), f"/far/runs/{own_run.name}", recursive=True)
    assert sweeper("report", own_run.name, "--storage", "memory://far").out == f"{own_run.name}.html\n"
    assert (tmp_path / f"{own_run.name}.html").stat().st_size > 0


def test_recommend(sweeper, finished_run):
    expected = recommend_info(finished_run.path, 100, 0.5)
    answer = sweeper("recommend", finished_run.path, "--batch-size", "100", "--momentum", "0.5")
    assert answer.status == 0
    assert f"{expected.lr:.3g}" in answer.out
    assert "extrapolated" in answer.out
    assert sweeper("recommend", finished_run.path, "--batch-size", "1", "--momentum", "1").status == 2


def test_stop_asks_the_driver(sweeper, own_run):
    answer = sweeper("stop", own_run.name)
    assert answer.status == 0
    assert f"sweeper resume {own_run}" in answer.out
    assert Ledger(str(own_run.parents[1]), own_run.name).stop_requested()


def test_a_finished_run_is_only_told_again(sweeper, own_run):
    """Without Ray, and without a new epoch; named by its recipe, or by itself."""
    before = read_trials(own_run)
    for arguments in (["run", "digits", "--scale", "smoke"], ["resume", own_run.name]):
        answer = sweeper(*arguments)
        assert answer.status == 0
        assert str(own_run) in answer.out
        assert f"{own_run}/report.html" in answer.out
        point = verdict(str(own_run)).point
        assert ("S* = " if point else "No critical noise scale") in answer.out
    assert_frame_equal(read_trials(own_run), before)


def test_a_sweep_from_beginning_to_end(sweeper, tiny, ray_cluster, tmp_path):
    first = sweeper("run", tiny, "--trials", "2", "--name", "own", "--set", "seed=1", "train/momentum=0.5")
    assert first.status == 0, first.err
    assert "2 of 2 trials" in first.out
    path = tmp_path / "sweeps" / "runs" / "own"
    assert (path / "report.html").exists()
    assert len(read_trials(path)) == 2
    assert set(read_records(path).momentum) == {0.5}
    # Raising --trials trains only what is new.
    before = read_trials(path)
    again = sweeper("resume", "own", "--trials", "4")
    assert again.status == 0
    after = read_trials(path)
    assert len(after) == 4
    assert_frame_equal(after.head(2), before)
    # Another recipe can't take its name.
    other = sweeper("run", "digits", "--scale", "smoke", "--name", "own")
    assert other.status == 2
    assert "choose another --name" in other.err


def test_a_sweep_whose_trials_die_says_so_and_keeps_the_rest(sweeper, tiny, ray_cluster, tmp_path):
    (tmp_path / "marker").touch()
    broken = [
        'task={"name": "tests.tuning.components:build_task"}',
        f'model={{"name": "tests.tuning.components:broken_model", "settings": {{"only_if": "{tmp_path}/marker"}}}}',
        "train/augment=none",
        "resources/retries=0",
    ]
    answer = sweeper("run", tiny, "--trials", "1", "--name", "broken", "--set", *broken)
    assert answer.status == 1
    assert "1 of the trials failed, the first with: RuntimeError: the network is broken" in answer.err
    assert "sweeper resume" in answer.err
    assert "Traceback" not in answer.err + answer.out


def test_garbage_is_collected(sweeper, own_run, tmp_path):
    store = Store(str(tmp_path / "sweeps"))
    before = set(store.keys())
    store.save("ab" * 32, {}, {})
    orphan = next((tmp_path / "sweeps" / "objects" / "ab").iterdir())
    os.utime(orphan, (time.time() - 7200,) * 2)
    assert sweeper("gc", "--dry-run").out.startswith("1 checkpoints (")
    assert orphan.exists()
    assert sweeper("gc").status == 0
    assert set(store.keys()) == before


def test_doctor_finds_nothing_wrong(sweeper, ray_cluster):
    answer = sweeper("doctor")
    assert answer.status == 0
    lines = answer.out.splitlines()
    assert [line.split()[1] for line in lines] == [
        "versions",
        "devices",
        "threads",
        "storage",
        "ray",
        "nodes",
    ]
    assert not any(line.startswith("FAIL") for line in lines)


def test_doctor_finds_storage_that_cannot_be_written(sweeper, ray_cluster, tmp_path):
    (tmp_path / "file").touch()
    answer = sweeper("doctor", "--storage", "file/below")
    assert answer.status == 1
    [failure] = [line for line in answer.out.splitlines() if line.startswith("FAIL")]
    assert "file/below" in failure
