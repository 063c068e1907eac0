"""Our own search, by its parts in `analysis`: the same choice of points as sweeper's sampler, without Optuna."""

from collections.abc import Iterator

import numpy as np

from analysis.search.acquisition import START as FIRST
from analysis.search.acquisition import Observations, fill, most_informative
from analysis.search.stopping import Stopping
from benchmarks.critical_noise.humps import BATCH_SIZES, HIGH, LOW, Hump
from benchmarks.critical_noise.peers import Trials

NOBODY = np.empty(0)


def ours(hump: Hump, trials: int, seed: int) -> Iterator[Trials]:
    """Search for S*; go on after the stopping rule has fired, which `stopped` notes."""
    rng, seen, stopping = np.random.default_rng(seed), Trials(), Stopping()
    posterior = None
    for index in range(trials):
        if posterior is None:
            x = fill(np.array(seen.x), LOW, HIGH, rng)
        else:
            x = most_informative(posterior, NOBODY, LOW, HIGH, rng)
        seen.add(hump, x, BATCH_SIZES[index % len(BATCH_SIZES)], rng)
        observations = Observations.of(seen.x, seen.gain, seen.status)
        if len(seen.x) >= FIRST and observations.informative:
            posterior = observations.posterior(rng)
            if stopping.see(posterior) and seen.stopped is None:
                seen.stopped, seen.reason = len(seen.x), stopping.reason or ""
        yield seen
