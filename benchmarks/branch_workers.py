"""Wall time of a trial whose branches train beside its trunk, against the same trial in one process.

Four branch points, a pair each; branches are half of the epochs. Each sweep runs two trials one after the other on a
Ray that has started before, and the second one's time counts: its workers have imported what they need. It takes two
cores.
"""

import os
import tempfile
from collections.abc import Mapping
from functools import partial

from analysis.reading import read_trials
from benchmarks.timing import interleaved, spread, table
from search_spaces import load_recipe
from sweeper.tuning import run
from sweeper.tuning.cluster import connected

POINTS = 4
TRUNK = 480
"""Epochs of 37 steps, some ten seconds of one core."""

RECIPE = {
    "train/batch_size": 16,
    "train/noise_scale": 0.01,
    "trunk/epochs": TRUNK,
    "trunk/branch_every": TRUNK / POINTS,
    "branch/count": 2,
    "branch/decay_epochs": TRUNK / POINTS / 2,
    "space": {"seed": {"values": [0, 1]}},
    "search": {"sampler": "grid"},
    "resources/concurrency": 1,
}
ARMS = {"serial": 0, "one branch worker": 1}


def main(rounds: int) -> str:
    """Run both arms in turn and return their wall times and ratio."""
    with connected(None):
        walls = interleaved({name: partial(wall, workers) for name, workers in ARMS.items()}, rounds)
    serial, beside = walls.values()
    ratios = [one / other for one, other in zip(beside, serial, strict=True)]
    rows = [[name, spread(values)] for name, values in walls.items()]
    rows.append(["ratio, bar ≤ .75; without waiting 5/8", f"**{spread(ratios, 2)}**"])
    rows.append(["load", f"{os.getloadavg()[0]:.1f} at the end"])
    return table(["wall seconds of a trial", ""], rows)


def wall(workers: int) -> float:
    """Return the wall seconds of a trial, its process warm."""
    settings: Mapping[str, object] = {**RECIPE, "resources/branch_workers": workers}
    with tempfile.TemporaryDirectory() as storage:
        trials = read_trials(run(load_recipe("digits", "cpu", settings), storage).path)
    return float(trials.sort_values("time").wall_seconds.iloc[-1])
