"""A sweep on two Ray nodes survives the death of one, and asks of nodes to share nothing but the storage."""

import subprocess
import sys
import tempfile

import pandas as pd
import pytest

import sweeper.tuning
from analysis.reading import read_records
from search_spaces import to_yaml
from tests.tuning.recipes import small_recipe
from tests.tuning.test_kills import LONGER, ORDER, ROOT, trained_keys


@pytest.mark.slow
def test_a_sweep_on_two_nodes_survives_the_death_of_one(tmp_path, ray_cluster):
    recipe = small_recipe(
        **LONGER,
        space={"train/noise_scale": {"values": [0.001, 0.003, 0.01, 0.03]}},
        resources={"retries": 0},  # the death of a node is no failure
    )
    path = tmp_path / "recipe.yaml"
    path.write_text(to_yaml(recipe), encoding="utf-8")
    command = [sys.executable, "-m", "tests.tuning.two_nodes", str(path), str(tmp_path / "two")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=250)
    lines = ended.stdout.splitlines()  # Ray prints the dying node's last words among ours
    assert "killed" in lines, ended.stderr[-3000:]
    assert lines[-1] == "done 4 0", ended.stderr[-3000:]
    assert set(trained_keys(tmp_path / "two").values()) == {1}

    calm = sweeper.tuning.run(recipe, str(tmp_path / "calm"), name="run")
    tables = [
        read_records(path).drop(columns="attempt").sort_values(ORDER).reset_index(drop=True)
        for path in (calm.path, f"{tmp_path}/two/runs/run")
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_trials_need_no_folder_of_the_driver_s(tmp_path, ray_cluster, monkeypatch):
    scratch, marks = tmp_path / "scratch", []
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    def move_away(_):
        """Take from the driver's folder the mark by which Tune tells whether a worker sees the same folder."""
        for mark in scratch.glob("sweeper-*/*/.validate_storage_marker"):
            mark.unlink()
            marks.append(mark)

    recipe = small_recipe(resources={"retries": 0})
    run = sweeper.tuning.run(recipe, str(tmp_path / "sweeps"), listener=move_away)
    assert marks
    assert (run.status, run.trials, run.failed) == ("done", 4, 0)
