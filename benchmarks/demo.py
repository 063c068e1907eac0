"""Wall time of the demo against the processor time of its trials spread over the cores, plus Ray's start."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from analysis.reading import read_trials
from benchmarks.timing import spread, table

START = "from sweeper.tuning.cluster import connected\nwith connected(None): pass"
STARTS = 3


def main(rounds: int, arguments: Sequence[str] = ("digits", "--scale", "cpu")) -> str:
    """Run the demo once, whatever `rounds` says, and return the table."""
    starts = [_seconds([sys.executable, "-c", START]) for _ in range(STARTS)]
    with tempfile.TemporaryDirectory() as storage:
        command = [sys.executable, "-m", "sweeper", "run", *arguments, "--storage", storage]
        wall = _seconds(command)
        (run,) = (Path(storage) / "runs").iterdir()
        trials = read_trials(run)
    cores, busy, start = os.cpu_count() or 1, float(trials["cpu_seconds"].sum()), median(starts)
    return table(
        [
            "demo",
            "wall, s",
            "Σ CPU of trials / cores, s",
            "Ray's start and stop, s",
            "(wall − Ray) / (Σ CPU / cores)",
            "bar",
        ],
        [
            [
                f"{len(trials)} trials, {cores} cores",
                f"{wall:.1f}",
                f"{busy / cores:.1f}",
                spread(starts),
                f"**{(wall - start) / (busy / cores):.2f}**",
                "≤ 1.3",
            ]
        ],
    )


def _seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
