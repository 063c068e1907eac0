"""Overhead per trial, (wall − Σ trial seconds / slots) / trials, against a plain Ray Tune function trainable.

Each sweep runs in a process of its own, on a Ray that has started before the clock does; the clock covers the whole
of `sweeper.tuning.run` or `Tuner.fit`. Both do the same trials, three runs of a small network. A trial's seconds are
the median of sweeper's, hundredths of a second: what a fresh process takes beyond that, to import, is overhead.
"""

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from functools import partial
from statistics import fmean, median
from typing import Any

from benchmarks.timing import interleaved, spread, table

TRIALS = 40
"""As many as the demo has."""

CONTENT: dict[str, Any] = {
    "name": "overhead",
    "task": {"name": "digits", "train_size": 100, "validation_size": 200},
    "model": {"name": "mlp", "widths": [16]},
    "train": {"noise_scale": 0.01, "batch_size": 20},
    "trunk": {"epochs": 2, "branch_every": 2},
    "branch": {"decay_epochs": 1},
    "measures": {"splits": ["validation"], "metrics": ["loss"], "batchnorm": "recalibrated"},
    "space": {"train/noise_scale": {"low": 1e-3, "high": 0.1, "log": True}},
    "search": {"sampler": "tpe", "trials": TRIALS},
}


def main(rounds: int, trials: int = TRIALS) -> str:
    """Run both sweeps `rounds` times and return the table."""
    measured = interleaved({arm: partial(_in_a_process, arm, trials) for arm in ARMS}, rounds)
    work = median(sweep["trial"] for sweep in measured["sweeper"])
    costs = {
        arm: [(sweep["wall"] - trials * work / sweep["slots"]) / trials for sweep in sweeps]
        for arm, sweeps in measured.items()
    }
    ratios = [plain / ours for ours, plain in zip(costs["sweeper"], costs["plain"], strict=True)]
    return table(
        ["overhead per trial, s", "sweeper", "plain Ray Tune + OptunaSearch", "ratio", "bar"],
        [
            [
                f"{trials} trials of {work:.3f} s",
                spread(costs["sweeper"], 2),
                spread(costs["plain"], 2),
                f"**{spread(ratios)}**",
                "≥ 10",
            ]
        ],
    )


def _in_a_process(arm: str, trials: int) -> dict[str, float]:
    """Return what one sweep measured."""
    command = [sys.executable, "-m", "benchmarks.overhead", arm, str(trials)]
    # Ray's workers write to the same standard output; the last line is ours.
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    measured: dict[str, float] = json.loads(output.splitlines()[-1])
    return measured


def sweeper_sweep(trials: int, storage: str) -> dict[str, float]:
    """Return the wall seconds of a sweep by sweeper, its median trial's seconds, and how many run at once."""
    import sweeper.tuning
    from analysis.reading import read_trials
    from search_spaces import parse_recipe
    from sweeper.tuning.cluster import connected, slots

    recipe = parse_recipe(CONTENT, {"search/trials": trials})
    with connected(None):
        started = time.perf_counter()
        run = sweeper.tuning.run(recipe, storage)
        wall = time.perf_counter() - started
        trial = float(read_trials(run.path)["wall_seconds"].median())
        return {"wall": wall, "trial": trial, "slots": slots(recipe.resources)}


def plain_sweep(trials: int, storage: str) -> dict[str, float]:
    """Return the wall seconds of a plain sweep, at Tune's defaults but for its progress tables."""
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    ray.init("local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    slots = int(ray.cluster_resources()["CPU"])
    tuner = tune.Tuner(
        partial(_plain_trial, storage=storage),
        param_space={"noise_scale": tune.loguniform(1e-3, 0.1)},
        tune_config=tune.TuneConfig(
            metric="gain",
            mode="max",
            search_alg=OptunaSearch(),
            num_samples=trials,
            max_concurrent_trials=slots,
        ),
        run_config=tune.RunConfig(storage_path=storage, verbose=0),
    )
    started = time.perf_counter()
    tuner.fit()
    wall = time.perf_counter() - started
    ray.shutdown()
    return {"wall": wall, "slots": slots}


def _plain_trial(point: dict[str, Any], storage: str) -> None:
    import torch
    from ray import tune

    from search_spaces import parse_recipe
    from sweeper.store import Store
    from sweeper.trial import run_trial

    torch.set_num_threads(1)
    config = parse_recipe(CONTENT).trial({"train/noise_scale": point["noise_scale"]})
    stages = list(run_trial(config, Store(storage)))
    gain = fmean(record.gain or 0.0 for stage in stages for record in stage.records)
    tune.report({"gain": gain})


ARMS = {"sweeper": sweeper_sweep, "plain": plain_sweep}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("arm", choices=ARMS)
    parser.add_argument("trials", type=int)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print("\n" + json.dumps(ARMS[chosen.arm](chosen.trials, folder)))
