"""The posterior over humps: where the gain peaks in log10 S, and whether it peaks at all.

Notation and shapes are those of `analysis.hump.model`; draws come from `analysis.hump.smc`.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from analysis.hump.model import LN_S, Density, M, Mask, Scale, T, hump
from analysis.hump.smc import Array, tempered_smc

PRIOR_DRAWS, PARTICLES = 5000, 500
FULL_POWER_TRIALS, FULL_SIZE_TRIALS = 24, 36
QUANTILES = (0.015, 0.985)
"""Of m: the interval that covers the truth 95% of the time over many families of humps."""
GAP_COVERED = 0.95
"""Share of a cliff's gap that the interval holds: within the gap every place is as likely as the next."""

RESOLUTION = 0.005
"""Decades added at both ends of the interval: a search halves a cliff's gap until the prior's idea of steepness
decides on which side of a trial the peak lies; S is not known to 1% in any case."""


def sample(density: Density, rng: np.random.Generator) -> Array:
    """Return draws (N, k) of θ; of many trials there are fewer, and the likelihood counts less."""
    n = len(density.x)
    return tempered_smc(
        density.prior_draws(PRIOR_DRAWS, rng),
        density.log_prior,
        density.log_likelihood,
        rng,
        size=round(PARTICLES * min(1.0, math.sqrt(FULL_SIZE_TRIALS / n))),
        power=min(1.0, math.sqrt(FULL_POWER_TRIALS / n)),
    )


@dataclass(frozen=True)
class HumpPosterior:
    """Draws from the posterior over humps, given gains at noise scales."""

    x: Array
    y: Array
    """Gains in the caller's unit, ordered by x; NaN where diverged or at chance."""
    censored: Mask
    """True where a trial counts only as "low": without a gain, or with one at or below the floor."""
    scale: Scale
    theta: Array

    @classmethod
    def fit(
        cls,
        x: Array,
        y: Array,
        diverged: Mask,
        at_chance: Mask,
        rng: np.random.Generator,
        *,
        curve: ArrayLike | None = None,
        least_noise: float = 0.0,
        error: ArrayLike = 0.0,
    ) -> Self:
        """Return the posterior given n ≥ 3 trials, at least one of them with a gain.

        Args:
            x: log10 of the noise scales (n,).
            y: gains (n,); ignored where `diverged`.
            diverged: trials known only to be low.
            at_chance: trials whose endpoints learned nothing: their gain bounds the curve from above.
            rng: the only source of randomness; the order of the trials does not matter.
            curve: label (n,) of the curve each trial is on; the curves may be shifted along x.
            least_noise: a lower bound of s₀, in the unit of y.
            error: standard errors (n,) of gains that are foretold, in the unit of y; 0 where measured. Foretold gains
                don't count towards the scale: they would say how well they are foretold, not how noisy gains are.
        """
        labels = np.zeros(len(x), int) if curve is None else np.unique(curve, return_inverse=True)[1]
        # Ties in x are shuffled: ordered by gain, their differences would understate the noise.
        order = rng.permutation(np.lexsort((labels, at_chance, diverged, y, x)))
        order = order[np.argsort(x[order], kind="stable")]
        x, y, labels = x[order], y[order], labels[order]
        diverged, at_chance = diverged[order], at_chance[order]
        errors = np.broadcast_to(np.asarray(error, float), x.shape)[order]
        without = diverged | at_chance
        scale = Scale.of(np.where(without, -np.inf, y)[errors == 0], least_noise)
        value = np.where(diverged, scale.floor, np.maximum(y, scale.floor)) / scale.unit
        censored = without | (y <= scale.floor)
        curves = 0 if curve is None else int(labels.max()) + 1
        foretold = errors / scale.unit if errors.any() else 0.0
        density = Density(x, value, censored, scale, labels, curves, error=foretold)
        theta = sample(density, rng)
        return cls(x, np.where(without, np.nan, y), censored, scale, theta)

    @property
    def floored(self) -> Array:
        """Gains with every censored trial at the floor, in the caller's unit."""
        return np.where(self.censored, self.scale.floor, self.y)

    @property
    def argmax_draws(self) -> Array:
        """Draws of m: log10 of the noise scale at the peak (of the curve without shift)."""
        return self.theta[:, M]

    def curves(self, grid: Array, every: int = 1) -> Array:
        """Return the curve of every `every`-th draw on `grid` (G,) of log10 S, in the caller's unit."""
        return self.scale.unit * hump(self.theta[::every], grid)

    def peaks(self, every: int = 1) -> Array:
        """Return the height T of every `every`-th draw, in the caller's unit."""
        return self.scale.unit * self.theta[::every, T]

    def interval(self) -> tuple[float, float]:
        """Return the 95% interval of log10 S*: quantiles of m, raised where they end inside a cliff's gap.

        Within the gap between a good trial and a censored one the data say nothing, so the prior's idea of
        how steep cliffs are must not exclude its far end.
        """
        low, high = (float(q) for q in np.quantile(self.argmax_draws, QUANTILES))
        gap = self.cliff(high)
        if gap is not None:
            high = max(high, gap[0] + GAP_COVERED * (gap[1] - gap[0]))
        return low - RESOLUTION, high + RESOLUTION

    def cliff(self, place: float) -> tuple[float, float] | None:
        """Return the neighbours x_i ≤ place < x_{i+1} if the gain falls off between them, else None.

        It does if x_i is at most half censored with mean gain above T₀ − |T₀| / 2, and x_{i+1} all censored.
        """
        peak = self.scale.peak
        places = np.unique(self.x)
        after = int(np.searchsorted(places, place, side="right"))
        if not 0 < after < len(places):
            return None
        here, there = self.x == places[after - 1], self.x == places[after]
        good = self.censored[here].mean() <= 0.5 and self.floored[here].mean() > peak - 0.5 * abs(peak)
        falls = good and self.censored[there].all()
        return (float(places[after - 1]), float(places[after])) if falls else None

    def stands_out(self) -> Mask:
        """Return by draw (N, 2) whether the highest place in the range stands out from its lower and upper end.

        It does if the drop to that end exceeds max(.1 |T|, s). Where m lies outside the range, the nearer end is
        the highest place.
        """
        m, peak, noise = self.theta[:, M], self.theta[:, T], np.exp(self.theta[:, LN_S])
        ends = np.array([self.x[0], self.x[-1]])
        inside = (ends[0] <= m) & (m <= ends[1])
        at_ends = hump(self.theta, ends)
        drop = np.where(inside, peak, at_ends.max(axis=1))[:, None] - at_ends
        found: Mask = drop > np.maximum(0.1 * np.abs(peak), noise)[:, None]
        return found

    def hump_probability(self) -> float:
        """Return the posterior probability that the peak lies inside and stands out from both ends."""
        return float(self.stands_out().all(axis=1).mean())
