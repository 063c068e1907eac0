"""The live view in a real browser: the page draws our figures, and its console stays empty."""

import os
import shutil
import subprocess

import pytest

from sweeper.commands.dashboard import Dashboard

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0",
    "--virtual-time-budget=20000", "--window-size=1600,2000",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_draws_our_figures(browser, finished_run, serve, tmp_path):
    dashboard: Dashboard = serve(finished_run.path)

    def visit(page: str, what: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [browser, *FLAGS, f"--user-data-dir={tmp_path}", what, f"{dashboard.url}{page}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=240,
            env={**os.environ, "HOME": str(tmp_path)},
        )

    top = visit("", "--dump-dom")
    assert [line for line in top.stderr.splitlines() if ":CONSOLE" in line] == []
    for name, words in {
        "collapse": ("noise scale S = lr / (B (1 − μ))", "B = 16"),
        "posterior": ("S*, the noise scale at which the gain peaks", "posterior probability (%)"),
    }.items():
        _, found, drawn = top.stdout.partition(f'id="user-defined-plot:{name}"')
        assert found
        assert "main-svg" in drawn
        assert all(word in drawn for word in words)
    assert "<h1>S* = " in visit("/note", "--dump-dom").stdout
    shot = tmp_path / "dashboard.png"
    visit("", f"--screenshot={shot}")
    assert shot.read_bytes().startswith(b"\x89PNG")
