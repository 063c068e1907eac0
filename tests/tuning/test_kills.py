"""kill -9 on the driver, at random moments: what is finished stays, and the end is the undisturbed run's."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import sweeper.tuning
from analysis.reading import read_records, read_trials
from search_spaces import load_recipe, to_yaml
from sweeper.store import Ledger, Store
from sweeper.trial import run_trial
from tests.tuning.recipes import adaptive_recipe, small_recipe

ROOT = Path(__file__).parents[2]
LONGER = {
    "train": {"noise_scale": 0.01, "batch_size": 5, "augment": "shift"},
    "trunk": {"epochs": 60, "branch_every": 15},
    "branch": {"decay_epochs": 5},
}
ORDER = ["trial", "branch_step", "key_a", "key_b", "batchnorm", "split", "metric"]


def drive(recipe, storage, *, kill_after=None, number=signal.SIGKILL):
    """Run a driver; if asked to, send it a signal some seconds after its first trial starts. Return its status."""
    path = storage.with_suffix(".yaml")
    path.write_text(to_yaml(recipe), encoding="utf-8")
    command = [sys.executable, "-m", "tests.tuning.drive", str(path), str(storage)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as driver:
        assert driver.stdout is not None
        lines = []
        for line in driver.stdout:
            lines.append(line)
            if line == "running\n" and kill_after is not None:
                time.sleep(kill_after)
                os.kill(driver.pid, number)
        driver.wait()
    return (
        lines[-1].split()[0]
        if driver.returncode == 0
        else f"exit {driver.returncode}: {''.join(lines)[-2000:]}"
    )


def trained_keys(storage):
    """Return how often each checkpoint was trained, over all attempts and all trials."""
    ledger = Ledger(str(storage), "run")
    stages = [stage for s in ledger.suggestions() for stage in ledger.stages(s.trial).values()]
    return Counter(key for stage in stages for key in stage.trained)


def check_kills(recipe, tmp_path, kills, rng):
    storage = tmp_path / "killed"
    finished = {}
    for _ in range(kills):
        drive(recipe, storage, kill_after=rng.uniform(0.0, 6.0))
        now = read_trials(f"{storage}/runs/run").set_index("trial")
        for trial, outcome in finished.items():
            pd.testing.assert_series_equal(now.loc[trial], outcome)
        finished = {trial: row for trial, row in now.iterrows() if row.status != "running"}
    assert drive(recipe, storage) == "done"
    assert set(trained_keys(storage).values()) == {1}, "a finished checkpoint was trained again"
    return storage


def check_grid(tmp_path, kills, rng):
    recipe = small_recipe(**LONGER, space={"train/noise_scale": {"values": [0.001, 0.003, 0.01, 0.03]}})
    calm, killed = tmp_path / "calm", check_kills(recipe, tmp_path, kills, rng)
    sweeper.tuning.run(recipe, str(calm), name="run")
    tables = [
        read_records(f"{s}/runs/run").drop(columns="attempt").sort_values(ORDER).reset_index(drop=True)
        for s in (calm, killed)
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert trained_keys(killed).keys() <= trained_keys(calm).keys()


def test_a_grid_killed_at_random_equals_the_undisturbed_run(tmp_path, ray_cluster):
    check_grid(tmp_path, kills=2, rng=random.Random(0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_grid_killed_many_times_equals_the_undisturbed_run(tmp_path, ray_cluster, seed):
    check_grid(tmp_path, kills=4, rng=random.Random(seed))


@pytest.mark.slow
def test_records_of_a_killed_adaptive_search_equal_fresh_runs_of_their_configs(tmp_path):
    recipe = adaptive_recipe(5, **LONGER)
    storage = check_kills(recipe, tmp_path, kills=4, rng=random.Random(9))
    table, trials = read_records(f"{storage}/runs/run"), read_trials(f"{storage}/runs/run")
    assert len(trials) == 5
    for row in trials.itertuples():
        fresh = run_trial(recipe.trial(json.loads(row.overrides)), Store(str(tmp_path / "fresh")))
        expected = pd.DataFrame([r.model_dump(by_alias=True) for stage in fresh for r in stage.records])
        names = ["run", "trial", "attempt", "recipe"]
        pd.testing.assert_frame_equal(
            table[table.trial == row.trial].drop(columns=names).sort_values(ORDER[1:]).reset_index(drop=True),
            expected.drop(columns=names)
            .sort_values(ORDER[1:])
            .reset_index(drop=True)[[c for c in table if c not in names]],
            check_dtype=False,
            check_exact=True,
        )


@pytest.mark.slow
def test_an_interrupt_drains_and_a_second_run_finishes(tmp_path):
    recipe = small_recipe(
        **LONGER, space={"train/noise_scale": {"values": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3]}}
    )
    assert drive(recipe, tmp_path / "sweep", kill_after=1.0, number=signal.SIGINT) == "stopped"
    stopped = read_trials(f"{tmp_path}/sweep/runs/run")
    assert 0 < len(stopped) < 6
    assert load_recipe(tmp_path / "sweep.yaml") == recipe
    assert drive(recipe, tmp_path / "sweep") == "done"
    assert set(trained_keys(tmp_path / "sweep").values()) == {1}
