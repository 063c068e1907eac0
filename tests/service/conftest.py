import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeper.jobs import Jobs
from tests.analysis.planted import write_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def head(tmp_path_factory) -> Iterator[str]:
    """The address of the dashboard of a Ray of our own, which wants the token that it has made."""
    home = tmp_path_factory.mktemp("home")
    # Jobs look for the current cluster in Ray's folder: in one of its own there is no other. Sockets want short paths.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT), "RAY_TMPDIR": folder}
    command = [sys.executable, "-m", "tests.service.head"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_AUTH_TOKEN_PATH", str(home / ".ray" / "auth_token"))
            address = process.stdout.readline().strip()
            _wait_for_agent(Jobs(address))
            yield address
        process.communicate(timeout=60)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def jobs(head) -> Jobs:
    return Jobs(head, sys.executable)


def _wait_for_agent(jobs: Jobs) -> None:
    """Wait until a cluster that has just started takes jobs."""
    end = time.monotonic() + 60
    while True:
        try:
            jobs._client.submit_job(entrypoint="true")
        except RuntimeError:
            assert time.monotonic() < end
            time.sleep(0.3)
        else:
            return


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> str:
    """A storage with one finished run, `demo`: 39 trials with a planted peak. Read it, don't write into it."""
    storage = tmp_path_factory.mktemp("planted")
    write_run(storage / "runs" / "demo")
    return str(storage)
