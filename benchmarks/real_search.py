"""`python -m benchmarks.real_search`: searches for S* on real training runs, against a dense grid as the truth.

Both searches run the same trials, which train equally many epochs, over noise scale × batch size on noisy digits; the
truth is a grid of noise scales at every batch size, read by the same estimator. A search is scored by what its
estimate loses on the grid's curve, and by how far it lies from the grid's peak.
"""

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import optuna
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, TPESampler

from analysis.critical_point import CriticalPoint, critical_point
from analysis.records import MergeRecord
from analysis.verdict import gain_at
from benchmarks.timing import table
from search_spaces import TrialConfig, load_recipe
from search_spaces.paths import apply_overrides
from sweeper.measuring import floor_of
from sweeper.store import Store
from sweeper.trial import run_trial
from sweeper.tuning.search.critical_noise import CriticalNoiseSampler
from sweeper.tuning.workers.trainable import overall_status

LOW, HIGH = 5e-4, 0.6
BATCH_SIZES = (16, 64, 128)
GRID_POINTS = 25
CHECKPOINTS = (8, 12, 16, 20)
SHARED = {
    "measures/splits": ["validation"],
    "measures/metrics": ["loss"],
    "measures/batchnorm": "recalibrated",
}
CASES: dict[str, dict[str, Any]] = {
    "digits, MLP": {"trunk/epochs": 45, "trunk/branch_every": 15},
    "digits, ResNet-8": {
        "model": {"name": "resnet8", "width": 8},
        "trunk/epochs": 12,
        "trunk/branch_every": 4,
        "branch/decay_epochs": 3,
        "branch/count": 2,
    },
}
SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "critical_noise": lambda seed: CriticalNoiseSampler("noise_scale", seed=seed),
    "TPE": lambda seed: TPESampler(seed=seed),
}
SPACE: dict[str, BaseDistribution] = {
    "noise_scale": FloatDistribution(LOW, HIGH, log=True),
    "batch_size": CategoricalDistribution(BATCH_SIZES),
}

Trial = tuple[float, float, str]
"""Noise scale, gain (NaN if it diverged), status."""


def run(case: str, noise_scale: float, batch_size: int, seed: int) -> Trial:
    """Train one trial and return what it gained."""
    demo = load_recipe("digits", "cpu").base.model_dump(mode="json")
    point = {"train/noise_scale": noise_scale, "train/batch_size": batch_size, "seed": seed}
    config = TrialConfig.model_validate(apply_overrides(demo, {**SHARED, **CASES[case], **point}))
    with tempfile.TemporaryDirectory() as folder:
        records: list[MergeRecord] = [r for stage in run_trial(config, Store(folder)) for r in stage.records]
    gains = [record.gain for record in records if record.gain is not None]
    return noise_scale, float(np.mean(gains)) if gains else math.nan, overall_status(records)


def truth(case: str, pool: ProcessPoolExecutor) -> CriticalPoint:
    """Return the peak of a dense grid."""
    places = np.geomspace(LOW, HIGH, GRID_POINTS)
    tasks = [(case, float(s), size, 0) for s in places for size in BATCH_SIZES]
    return estimate(list(pool.map(run, *zip(*tasks, strict=True))))


def estimate(trials: list[Trial]) -> CriticalPoint:
    """Return the critical point of finished trials."""
    noise_scale, gain, status = zip(*trials, strict=True)
    return critical_point(noise_scale, gain, status=status)


def search(case: str, arm: str, seed: int) -> list[float]:
    """Return the estimate of S* after so many trials as `CHECKPOINTS` say, NaN where there is none yet."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=SAMPLERS[arm](seed))
    floor = floor_of(load_recipe("digits", "cpu").search)
    trials: list[Trial] = []
    found = []
    for count in range(1, CHECKPOINTS[-1] + 1):
        asked = study.ask(SPACE)
        trials.append(run(case, asked.params["noise_scale"], asked.params["batch_size"], seed=1000 + seed))
        _, gain, status = trials[-1]
        asked.set_user_attr("status", status)
        study.tell(asked, gain if math.isfinite(gain) else floor)
        if count in CHECKPOINTS:
            try:
                found.append(estimate(trials).noise_scale)
            except ValueError:
                found.append(math.nan)
    return found


def main() -> None:
    """Print, for every case, where the grid's peak is, and how near the searches come."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_search", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    with ProcessPoolExecutor(asked.workers) as pool:
        for case in asked.cases:
            peak = truth(case, pool)
            print(
                f"### {case}\n", f"Grid of {GRID_POINTS * len(BATCH_SIZES)} trials: {_text(peak)}\n", sep="\n"
            )
            tasks = [(case, arm, seed) for seed in range(asked.seeds) for arm in SAMPLERS]
            print(f"{len(tasks)} searches", file=sys.stderr)
            found = list(pool.map(search, *zip(*tasks, strict=True)))
            rows = []
            for arm in SAMPLERS:
                estimates = [e for (_, a, _), e in zip(tasks, found, strict=True) if a == arm]
                rows += [
                    [arm, str(n), *_scores(peak, column)]
                    for n, column in zip(CHECKPOINTS, zip(*estimates, strict=True), strict=True)
                ]
            print(
                table(
                    [
                        "search",
                        "trials",
                        "estimates of S*",
                        "median distance, decades",
                        "mean share of the gain lost",
                    ],
                    rows,
                ),
                "\n",
                flush=True,
            )


def _text(point: CriticalPoint) -> str:
    return f"S* = {point.noise_scale:.3g}, 95% interval {point.low:.3g} to {point.high:.3g}, gain {point.gain:.4f} nats"


def _scores(peak: CriticalPoint, estimates: tuple[float, ...]) -> list[str]:
    distance = [abs(math.log10(e / peak.noise_scale)) for e in estimates]
    lost = [(peak.gain - gain_at(peak, e)[0]) / peak.gain for e in estimates]
    return [
        ", ".join(f"{e:.3g}" for e in sorted(estimates)),
        f"{np.median(distance):.2f}",
        f"{np.mean(lost):.3f}",
    ]


if __name__ == "__main__":
    main()
