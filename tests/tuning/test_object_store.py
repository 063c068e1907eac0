"""A whole sweep on an object store: a local server that speaks S3."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import fsspec
import pytest

from analysis import write_report
from analysis.reading import read_records, read_trials
from search_spaces import to_yaml
from tests.tuning.recipes import small_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SWEEP = """
import sys
import sweeper
from search_spaces import load_recipe
run = sweeper.run(load_recipe(sys.argv[1]), sys.argv[2])
print(run.status, run.trials, run.path)
"""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket."""
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
        yield "s3://sweeps/mine"
    finally:
        server.terminate()
        server.wait()


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
