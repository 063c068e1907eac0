"""A driver that was suspended for longer than its lease finds another in its place, and writes nothing more."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sweeper.tuning
from analysis.reading import read_trials
from search_spaces import to_yaml
from sweeper.store import Storage
from tests.tuning.recipes import adaptive_recipe
from tests.tuning.test_kills import LONGER, ROOT, trained_keys

LEASE_SECONDS = 2


def start(recipe: Path, storage: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.faults.driver", str(recipe), str(storage)]
    command += ["--lease", str(LEASE_SECONDS)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def await_line(driver: subprocess.Popen[str], line: str) -> None:
    assert driver.stdout is not None
    assert line in iter(driver.stdout.readline, ""), "the driver ended"


def contents(storage: Path) -> dict[str, bytes | None]:
    run = Storage(str(storage / "runs"))
    paths = sorted(run.find(run.root))
    return dict(zip(paths, run.read_many(paths), strict=True))


@pytest.mark.timeout(200)
def test_the_older_of_two_drivers_loses(tmp_path, ray_cluster):
    recipe, storage = tmp_path / "recipe.yaml", tmp_path / "storage"
    recipe.write_text(to_yaml(adaptive_recipe(4, **LONGER)))
    with start(recipe, storage) as older:
        await_line(older, "running\n")
        os.kill(older.pid, signal.SIGSTOP)
        try:
            # On the machine of a driver that lives, nobody takes over before its lease has run out.
            time.sleep(2 * LEASE_SECONDS)
            newer = sweeper.tuning.resume(f"{storage}/runs/run")
            after = contents(storage)
        finally:
            os.kill(older.pid, signal.SIGCONT)
        said = older.communicate()[0].splitlines()[-1]
    assert (newer.status, newer.trials) == ("done", 4)
    assert f"has been taken over by process {os.getpid()} on " in said
    assert older.returncode == 0
    assert contents(storage) == after
    trials = read_trials(f"{storage}/runs/run")
    assert list(trials.number) == list(range(4))
    assert set(trials.status) == {"ok"}
    assert set(trained_keys(storage).values()) == {1}, "a checkpoint was trained by both"
