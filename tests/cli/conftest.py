import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from search_spaces import load_recipe, to_yaml
from tests.cli.command import Command

if TYPE_CHECKING:
    from sweeper.commands.dashboard import Dashboard

TINY = {
    "space": {"train/noise_scale": [0.003, 0.03], "train/batch_size": [20, 60]},
    "task": {"name": "digits", "train_size": 120},
    "model": {"name": "mlp", "widths": [8]},
    "trunk/epochs": 2,
    "trunk/branch_every": 1,
}


@pytest.fixture
def sweeper(capfd, monkeypatch, tmp_path):
    """Call the command line; where we are, there is nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEPER_STORAGE", raising=False)
    monkeypatch.setenv("SWEEPER_DATA", str(tmp_path / "no-data"))
    return Command(capfd)


@pytest.fixture
def tiny(tmp_path) -> str:
    """The path of a recipe of four trials of a second."""
    path = tmp_path / "tiny.yaml"
    path.write_text(to_yaml(load_recipe("digits", "smoke", TINY)))
    return str(path)


@pytest.fixture
def own_run(finished_run, tmp_path) -> Path:
    """A copy of the finished run with its storage, to be written into."""
    storage, _, name = finished_run.path.rpartition("/runs/")
    shutil.copytree(storage, tmp_path / "sweeps")
    return tmp_path / "sweeps" / "runs" / name


@pytest.fixture
def serve():
    """Serve the run at a path on a free port, until the test ends."""
    from sweeper.commands.dashboard import Dashboard

    running = []

    def begin(path: str) -> "Dashboard":
        dashboard = Dashboard(path, 0)
        dashboard.look()
        thread = threading.Thread(target=dashboard.serve)
        thread.start()
        running.append((dashboard, thread))
        return dashboard

    yield begin
    for dashboard, thread in running:
        dashboard.server.shutdown()
        thread.join()
        dashboard.server.server_close()
