"""The information limit: a search that knows the family, its noise and the distribution that humps are drawn from."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from scipy import stats

from benchmarks.critical_noise.humps import BATCH_SIZES, HIGH, LOW, NOISE, Array, Family, Hump
from benchmarks.critical_noise.peers import Trials

HYPOTHESES = 10_000
PLACES = np.linspace(LOW, HIGH, 161)
WINDOW = np.log10(1.25)
LOST = -10.0
"""What a diverged trial counts in the choice of a place, in standard deviations of the noise."""
IMPOSSIBLE = -50.0


class Oracle:
    """Humps drawn from the family are the hypotheses; a trial changes their weights."""

    def __init__(self, family: Family) -> None:
        self._humps = [family(np.random.default_rng([9, index])) for index in range(HYPOTHESES)]
        self._peaks = np.array([hump.peak for hump in self._humps])
        self._student = self._humps[0].noise == "student"
        self._shifted = self._humps[0].shift != 0

    @cached_property
    def _expected(self) -> dict[int, Array]:
        """Batch size → expected gain (K, G) of every hypothesis at every place; NaN where it diverges."""
        sizes = BATCH_SIZES if self._shifted else BATCH_SIZES[:1]
        gains = {size: np.stack([hump.gain(PLACES, size) for hump in self._humps]) for size in sizes}
        for gain in gains.values():
            gain[gain < -5] = np.nan
        return {size: gains.get(size, gains[BATCH_SIZES[0]]) for size in BATCH_SIZES}

    @cached_property
    def _noise(self) -> Array:
        """Standard deviation of the noise (K, G)."""
        growing = self._humps[0].noise == "growing"
        exponent = 0.5 * (PLACES - self._peaks[:, None]) if growing else np.zeros((1, len(PLACES)))
        return NOISE * 10**exponent

    def search(self, hump: Hump, trials: int, seed: int) -> Iterator[tuple[Trials, float]]:
        """Yield what has been seen after each trial, and log10 of the estimate of S*."""
        rng, seen, log_weight = np.random.default_rng(seed), Trials(), np.zeros(HYPOTHESES)
        for index in range(trials):
            batch_size = BATCH_SIZES[index % len(BATCH_SIZES)]
            place = self._most_informative(log_weight, batch_size)
            seen.add(hump, float(PLACES[place]), batch_size, rng)
            log_weight += self._log_likelihood(place, batch_size, seen.gain[-1])
            yield seen, self._estimate(log_weight)

    def _most_informative(self, log_weight: Array, batch_size: int) -> int:
        """Return the place where outcomes differ most between hypotheses, against the noise.

        For normal noise and small differences that is where the expected information gain is largest.
        """
        outcome = np.maximum(np.nan_to_num(self._expected[batch_size] / self._noise, nan=LOST), LOST)
        weight = _normalised(log_weight)
        variance = weight @ outcome**2 - (weight @ outcome) ** 2
        return int(variance.argmax())

    def _log_likelihood(self, place: int, batch_size: int, gain: float) -> Array:
        expected = self._expected[batch_size][:, place]
        diverges = np.isnan(expected)
        if np.isnan(gain):
            return np.where(diverges, 0.0, IMPOSSIBLE)
        noise = self._noise[:, place]
        error = (gain - np.nan_to_num(expected)) / noise
        density = stats.t.logpdf(error, 2.5) if self._student else stats.norm.logpdf(error)
        return np.where(diverges, IMPOSSIBLE, np.maximum(density - np.log(noise), IMPOSSIBLE))

    def _estimate(self, log_weight: Array) -> float:
        """Return the centre of the window of ×1.25 on either side that holds most of the posterior."""
        order = np.argsort(self._peaks)
        peaks, share = self._peaks[order], np.cumsum(_normalised(log_weight)[order])
        inside = np.interp(PLACES + WINDOW, peaks, share) - np.interp(PLACES - WINDOW, peaks, share)
        best = np.flatnonzero(np.isclose(inside, inside.max()))
        return float(PLACES[best].mean())


def _normalised(log_weight: Array) -> Array:
    weight: Array = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    return weight
