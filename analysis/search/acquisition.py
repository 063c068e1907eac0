"""Where to measure next: step-wise uncertainty reduction of the place of the peak.

| symbol | shape     | meaning                                                                          |
|--------|-----------|----------------------------------------------------------------------------------|
| m, f   | (N, …)    | place of the peak and curve of N draws from the posterior over humps             |
| g      | (G,)      | candidates: log10 S in the range of the search                                   |
| y      | (K, …)    | what trials would give if draw k were the truth, for K draws spread over m       |
| w      | (K, G, N) | ∝ p(y | draw): the draws reweighted by seeing the pending trials and one at g    |

The next trial goes to the g with the least (1/K) Σ_k ln Var_w(m): but for a constant the expected entropy of
the peak's place, were it normal. A place whose curve is known, or where a pending trial will tell, gains little;
between the last good and the first fallen trial of a cliff the draws disagree most, so the gap gets halved.

Source: Villemonteix, Vazquez & Walter (2009), informational approach to global optimization, for the principle.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.hump.model import LN_S, M, Mask, hump
from analysis.hump.posterior import HumpPosterior
from analysis.hump.smc import Array

START = 6
"""Trials, one in each equal part of the range, before a posterior says where to go."""
FEWEST_GAINS = 3
"""Trials with a gain below which a posterior is only its prior."""
DRAWS, TRUTHS = 500, 32
UNIFORM_CANDIDATES, PEAK_CANDIDATES = 48, 32
APART = 0.01
"""Decades over which a chosen place is spread, so that no two trials are the same."""
LEAST_VARIANCE = 1e-4
"""In decades², .01 decades squared: reducing the variance below that is worth nothing."""


@dataclass(frozen=True)
class Observations:
    """Finished trials of a search, and what is foretold of running ones; all arrays have shape (n,)."""

    x: Array
    """log10 of the noise scale."""
    y: Array
    """What is maximised; ignored unless `status` is ok or at_chance."""
    status: NDArray[np.str_]
    """ok; at_chance, where y bounds the curve from above; anything else, e.g. diverged or low: known only to be low."""
    sem: Array
    """Standard error of y, NaN where unknown."""
    error: Array
    """e of `analysis.hump.model`: by how much what is foretold may miss what a trial will give; 0 once it has ended."""

    @classmethod
    def of(
        cls, x: ArrayLike, y: ArrayLike, status: ArrayLike, sem: ArrayLike | None = None
    ) -> "Observations":
        """Return finished trials, with `sem` unknown if it is None."""
        places = np.asarray(x, float)
        sems = np.full(len(places), np.nan) if sem is None else np.asarray(sem, float)
        return cls(places, np.asarray(y, float), np.asarray(status, str), sems, np.zeros(len(places)))

    def with_foretold(self, x: ArrayLike, y: ArrayLike, error: ArrayLike) -> "Observations":
        """Return these and running trials at `x`; those whose `error` is not finite are left out."""
        places, gains, errors = (np.asarray(each, float) for each in (x, y, error))
        known = np.isfinite(errors)
        count = int(known.sum())
        return Observations(
            np.append(self.x, places[known]),
            np.append(self.y, gains[known]),
            np.append(self.status, np.full(count, "ok")),
            np.append(self.sem, np.full(count, np.nan)),
            np.append(self.error, errors[known]),
        )

    def first(self, count: int) -> "Observations":
        """Return the first `count` trials."""
        return Observations(*(getattr(self, field.name)[:count] for field in fields(self)))

    @property
    def informative(self) -> bool:
        """Whether enough trials have a gain for a posterior to say more than its prior."""
        return int(self._gained.sum()) >= FEWEST_GAINS

    @property
    def _gained(self) -> Mask:
        gained: Mask = (self.status == "ok") & np.isfinite(self.y)
        return gained

    def posterior(self, rng: np.random.Generator) -> HumpPosterior:
        """Return the posterior over humps; the median of the known standard errors bounds its noise from below."""
        at_chance = (self.status == "at_chance") & np.isfinite(self.y)
        known = self.sem[np.isfinite(self.sem)]
        return HumpPosterior.fit(
            self.x,
            self.y,
            ~(self._gained | at_chance),
            at_chance,
            rng,
            least_noise=float(np.median(known)) if len(known) else 0.0,
            error=self.error,
        )


def suggest(
    trials: Observations, pending: ArrayLike, low: float, high: float, rng: np.random.Generator
) -> float:
    """Return log10 of the noise scale, in [low, high], at which the next trial should run.

    Args:
        trials: The finished ones, and what is foretold of others.
        pending: log10 of the noise scales of trials that are still running, or that this batch has already.
        low: log10 of the least noise scale allowed.
        high: log10 of the largest.
        rng: The only source of randomness.
    """
    waiting = np.asarray(pending, float)
    if len(trials.x) + len(waiting) < START or not trials.informative:
        return fill(np.concatenate([trials.x, waiting]), low, high, rng)
    return most_informative(trials.posterior(rng), waiting, low, high, rng)


def fill(known: Array, low: float, high: float, rng: np.random.Generator) -> float:
    """Return a random place in a random empty part of [low, high], which is cut finer until a part is empty."""
    share = (known - low) / (high - low)
    taken = share[(share >= 0) & (share <= 1)]
    parts = START
    while len(empty := np.setdiff1d(np.arange(parts), np.minimum(taken * parts, parts - 1).astype(int))) == 0:
        parts *= 2
    return float(low + (high - low) * (rng.choice(empty) + rng.random()) / parts)


def most_informative(
    posterior: HumpPosterior, pending: Array, low: float, high: float, rng: np.random.Generator
) -> float:
    """Return the place in [low, high] that most reduces the expected uncertainty of the peak's place."""
    theta = rng.permutation(posterior.theta)[:DRAWS]
    theta = theta[np.argsort(theta[:, M])]
    m = theta[:, M]
    levels = (np.arange(PEAK_CANDIDATES) + 0.5) / PEAK_CANDIDATES
    peaks = np.quantile(m.clip(low, high), levels)
    candidates = np.union1d(np.linspace(low, high, UNIFORM_CANDIDATES), peaks)
    truths = ((np.arange(TRUTHS) + 0.5) * len(theta) / TRUTHS).astype(int)
    floor = posterior.scale.floor / posterior.scale.unit

    log_weight = _log_weights(theta, candidates, truths, floor, rng)
    for place in pending:
        log_weight += _log_weights(theta, np.array([place]), truths, floor, rng)
    weight = np.exp(log_weight - log_weight.max(axis=2, keepdims=True))
    weight /= weight.sum(axis=2, keepdims=True)
    centred = m - m.mean()
    variance = weight @ centred**2 - (weight @ centred) ** 2
    uncertainty = np.log(variance + LEAST_VARIANCE).mean(axis=0)
    # The same place again, as at a bound, would be the same trial again: loaded from the store, it tells nothing.
    best = candidates[uncertainty.argmin()] + APART * (rng.random() - 0.5)
    return float(np.clip(best, 2 * low - best, 2 * high - best))


def _log_weights(
    theta: Array, places: Array, truths: NDArray[np.intp], floor: float, rng: np.random.Generator
) -> Array:
    """Return log p(y_k | draw) (K, G, N) of what a trial at each of `places` gives if draw k is the truth.

    A gain at or below `floor` is censored, as a diverged trial would be. Simulated noise is the same at all
    places, so that they are compared by what they tell and not by luck.
    """
    curves = hump(theta, places)
    width = np.exp(theta[:, LN_S]) * (math.sqrt(3) / math.pi)
    level = rng.permutation((np.arange(len(truths)) + 0.5) / len(truths))
    outcome = curves[truths] + (width[truths] * np.log(level / (1 - level)))[:, None]
    censored = (outcome <= floor)[:, :, None]
    t = (np.maximum(outcome, floor)[:, :, None] - curves.T) / width
    size = np.abs(t)
    soft = np.log1p(np.exp(-size))
    weights: Array = np.where(censored, np.minimum(t, 0) - soft, -size - 2 * soft - np.log(width))
    return weights
