"""The structure that the design promises, kept by tests."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path for package in ("search_spaces", "analysis", "sweeper") for path in (ROOT / package).rglob("*.py")
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("package", ["search_spaces", "analysis"])
def test_the_lower_packages_load_no_framework(package):
    code = f"import sys, {package}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert package in done.stdout.split()
    assert not {"torch", "torchvision", "ray", "optuna", "sweeper"} & set(done.stdout.split())


@pytest.mark.parametrize(("package", "limit"), [("search_spaces", 1.0), ("analysis", 2.0)])
def test_the_lower_packages_load_quickly(package, limit):
    """Seconds of the processor's time: on a busy machine the clock says nothing."""
    code = f"import time; import {package}; print(time.process_time())"
    seconds = min(float(run("-c", code).stdout) for _ in range(3))
    assert seconds < limit


def test_imports_go_one_way():
    done = run("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_has_two_subjects(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 330


def test_the_whole_experiment_is_on_one_page():
    assert len((ROOT / "sweeper" / "trial.py").read_text(encoding="utf-8").splitlines()) <= 150
