"""What a sweep shows while it runs."""

import io
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from rich.console import Console

from sweeper.commands.console import duration, size
from sweeper.commands.live import LineDisplay, LiveDisplay, counts
from sweeper.tuning import Progress


def progress(done, path="nowhere/runs/none", draining=False):
    return Progress(path, 39, 4, done, 2, 1, 3, 0, 117.0 * done, 60.0, draining)


@pytest.fixture(autouse=True)
def no_watch(monkeypatch):
    """Progress without a run has no S* to watch."""
    monkeypatch.setattr("sweeper.commands.watch.Watch.start", lambda watch: None)


def test_lines_are_few_and_end_with_the_end(capsys):
    with LineDisplay("waiting") as display:
        assert not display.has_begun
        for done in range(35):
            for _ in range(5):
                display(progress(done))
        assert display.has_begun
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "waiting"
    assert len(lines) <= 1 + 10
    assert lines[-1].startswith("39 of 39 trials, 2 running, 3 diverged, 0 at chance, 1 failed; 3,978 epochs")


def test_what_ending_trials_early_saved_is_told_once_there_is_something():
    ended = replace(progress(5), ended_early=2, epochs_saved=39.0)
    assert counts(ended).endswith("585 epochs; saved 39 of 624 epochs by ending 2 hopeless trials early")
    assert "saved" not in counts(progress(5))


def test_a_drain_is_told_once(capsys):
    display = LineDisplay("waiting")
    for _ in range(3):
        display(progress(1, draining=True))
    assert capsys.readouterr().out.count("draining") == 1


@pytest.mark.parametrize("width", [30, 60, 200])
def test_a_frame_fits_its_terminal(width):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, color_system=None)
    display = LiveDisplay(console, "waiting")
    display(progress(10, draining=True))
    console.print(display)
    lines = file.getvalue().splitlines()
    text = " ".join(" ".join(lines).split())
    for part in (
        "15 of 39 trials",
        "3 diverged",
        "1 failed",
        "1,170 epochs",
        "about 2 min 24 s left",
        "draining",
    ):
        assert part in text
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (7260, "2 h 1 min"),
        (90000.0, "1 d 1 h"),
        (3601, "1 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0 bytes"), (999, "999 bytes"), (32.3e6, "32.3 MB"), (1.5e12, "1.5 TB")]
)
def test_sizes(amount, text):
    assert size(amount) == text


@pytest.mark.slow
def test_an_interrupted_sweep_drains_and_resumes(tmp_path):
    """A real process and a real signal: exit status 1, then 0, and no word that is not ours."""
    command = [sys.executable, "-m", "sweeper"]
    long = ["--set", "trunk/epochs=600", "trunk/branch_every=100", "--trials", "3"]
    run = subprocess.Popen(
        [*command, "run", "digits", "--scale", "smoke", "--name", "own", *long],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    stages = tmp_path / "sweeps" / "runs" / "own" / "parts"
    while not list(stages.rglob("stage-*.json")):
        assert run.poll() is None
        time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "draining" in out
    assert err.splitlines()[-1] == f"Go on with: sweeper resume {tmp_path}/sweeps/runs/own"
    assert len(err.splitlines()) == 2
    resumed = subprocess.run(
        [*command, "resume", "own"], cwd=tmp_path, capture_output=True, text=True, timeout=280
    )
    assert resumed.returncode == 0
    assert resumed.stderr == ""
