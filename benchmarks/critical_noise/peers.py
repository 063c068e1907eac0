"""The searches that are compared. Each chooses where to look; the same estimator then reads what they saw."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler, TPESampler

from benchmarks.critical_noise.humps import BATCH_SIZES, HIGH, LOW, Array, Generator, Hump

FLOOR = -10.0
"""What Optuna's samplers are told of a diverged trial: sweeper's own floor for accuracy."""
MOMENTUM = 0.9


@dataclass
class Trials:
    """What a search has seen, in order."""

    x: list[float] = field(default_factory=list)
    gain: list[float] = field(default_factory=list)
    status: list[str] = field(default_factory=list)
    stopped: int | None = None
    """After how many trials a stopping rule fired; the search goes on all the same."""
    reason: str = ""
    """Of the stop: located or plateau."""

    def add(self, hump: Hump, x: float, batch_size: int, rng: Generator) -> float:
        """Run a trial; return what an Optuna sampler is told of it."""
        gain, status = hump.observe(x, batch_size, rng)
        self.x.append(x)
        self.gain.append(gain)
        self.status.append(status)
        return gain if np.isfinite(gain) else FLOOR


Search = Callable[[Hump, int, int], Iterator[Trials]]
"""(hump, trials, seed) → what it has seen after each trial; the same object grows."""


def _spread_batches(index: int) -> int:
    return BATCH_SIZES[index % len(BATCH_SIZES)]


def optuna_search(sampler: Callable[[int], BaseSampler], raw: bool = False) -> Search:
    """Return the search of an Optuna sampler, over log S or, `raw`, over lr × batch size."""
    low, high = 10**LOW, 10**HIGH
    noise_scale: dict[str, BaseDistribution] = {"noise_scale": FloatDistribution(low, high, log=True)}
    per_batch = 1 - MOMENTUM
    lr_and_batch: dict[str, BaseDistribution] = {
        "lr": FloatDistribution(
            low * BATCH_SIZES[0] * per_batch, high * BATCH_SIZES[-1] * per_batch, log=True
        ),
        "batch_size": IntDistribution(BATCH_SIZES[0], BATCH_SIZES[-1], log=True),
    }

    def search(hump: Hump, trials: int, seed: int) -> Iterator[Trials]:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        rng, seen = np.random.default_rng(seed), Trials()
        study = optuna.create_study(direction="maximize", sampler=sampler(seed))
        for index in range(trials):
            trial = study.ask(lr_and_batch if raw else noise_scale)
            if raw:
                batch_size = trial.params["batch_size"]
                x = float(np.log10(trial.params["lr"] / (batch_size * per_batch)))
            else:
                batch_size, x = _spread_batches(index), float(np.log10(trial.params["noise_scale"]))
            study.tell(trial, seen.add(hump, x, batch_size, rng))
            yield seen

    return search


def grid(hump: Hump, trials: int, seed: int) -> Iterator[Trials]:
    """Search evenly spaced noise scales; a grid of n trials is another than the first n of a larger one."""
    rng = np.random.default_rng(seed)
    for count in range(1, trials + 1):
        seen = Trials()
        if count in CHECKPOINTS:
            places: Array = LOW + (HIGH - LOW) * (np.arange(count) + 0.5) / count
            for index, x in enumerate(places):
                seen.add(hump, float(x), _spread_batches(index), rng)
        yield seen


CHECKPOINTS = (8, 12, 16, 20, 24, 32, 40)
"""Numbers of trials after which the estimate is taken."""

PEERS: dict[str, Search] = {
    "TPE": optuna_search(lambda seed: TPESampler(seed=seed)),
    "GPSampler": optuna_search(lambda seed: GPSampler(seed=seed)),
    "QMC": optuna_search(lambda seed: QMCSampler(seed=seed, scramble=True)),
    "random": optuna_search(lambda seed: RandomSampler(seed=seed)),
    "grid": grid,
    "TPE, lr × B": optuna_search(lambda seed: TPESampler(seed=seed), raw=True),
    "GPSampler, lr × B": optuna_search(lambda seed: GPSampler(seed=seed), raw=True),
    # With one parameter Optuna's CMA-ES draws at random.
    "CMA-ES, lr × B": optuna_search(lambda seed: CmaEsSampler(seed=seed), raw=True),
    "random, lr × B": optuna_search(lambda seed: RandomSampler(seed=seed), raw=True),
}
