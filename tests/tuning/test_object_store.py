"""A whole sweep on an object store: a local server that speaks S3."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import fsspec
import pandas as pd
import pytest

from analysis import write_report
from analysis.reading import read_records, read_trials
from search_spaces import to_yaml
from tests.tuning.recipes import small_recipe
from tests.tuning.test_kills import LONGER, ORDER, ROOT, trained_keys

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SWEEP = """
import sys
import sweeper
from search_spaces import load_recipe
run = sweeper.run(load_recipe(sys.argv[1]), sys.argv[2])
print(run.status, run.trials, run.path)
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A server with an empty bucket, sweeps."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(endpoint)
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("sweeps")
        yield server
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def bucket(server: subprocess.Popen[bytes]) -> str:
    """Its URL."""
    return "s3://sweeps/mine"


def _await(endpoint: str) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(endpoint, timeout=5)
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the server does not answer")


def test_a_sweep_on_an_object_store_runs_resumes_and_reports(bucket, tmp_path):
    recipe = tmp_path / "small.yaml"
    recipe.write_text(to_yaml(small_recipe()))
    command = [sys.executable, "-c", SWEEP, str(recipe), bucket]

    def sweep() -> list[str]:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()[-1].split()

    status, trials, path = sweep()
    assert (status, trials) == ("done", "4")
    assert path.startswith(bucket)
    table, epochs = read_records(path), read_trials(path).epochs_trained.sum()
    assert epochs == 4 * 8
    assert set(table.status) == {"ok"}
    assert sweep() == [status, trials, path]
    assert read_trials(path).epochs_trained.sum() == epochs
    assert write_report(path, tmp_path / "report.html").stat().st_size > 1e6


def test_killed_on_an_object_store_that_stalls_a_sweep_equals_the_undisturbed_one(server, bucket, tmp_path):
    recipe = tmp_path / "longer.yaml"
    recipe.write_text(to_yaml(small_recipe(**LONGER)))

    def drive(storage: str, disturb: bool = False) -> str:
        command = [sys.executable, "-m", "tests.tuning.drive", str(recipe), storage]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as driver:
            assert driver.stdout is not None
            for line in driver.stdout:
                if line == "running\n" and disturb:
                    time.sleep(3)
                    server.send_signal(signal.SIGSTOP)
                    time.sleep(5)
                    driver.kill()
                    server.send_signal(signal.SIGCONT)
        return line

    drive(bucket, disturb=True)
    before = read_trials(f"{bucket}/runs/run").set_index("trial")
    assert drive(bucket).startswith("done")
    after = read_trials(f"{bucket}/runs/run").set_index("trial")
    ended = before[before.status != "running"]
    pd.testing.assert_frame_equal(after.loc[ended.index], ended)
    assert set(trained_keys(bucket).values()) == {1}, "a finished checkpoint was trained again"
    assert drive(str(tmp_path / "calm")).startswith("done")
    tables = [
        read_records(f"{storage}/runs/run").drop(columns="attempt").sort_values(ORDER).reset_index(drop=True)
        for storage in (bucket, tmp_path / "calm")
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
