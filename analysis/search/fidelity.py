"""What a trial's first branch points say of the mean over all of them, and when that is enough to end it.

| symbol | shape  | meaning                                                                              |
|--------|--------|--------------------------------------------------------------------------------------|
| e, y   | (n,)   | mean gain over the first k branch points, and over all, of trials that have them all |
| c, D   | scalar | floor and unit of the gains y, as in `analysis.hump.model`                           |
| q      |        | `squash` of a gain in units of D, so that the depths of cliffs don't rule the fit    |
| a, b   | scalar | q(y) = a + b q(e) + noise of deviation σ, by least squares                           |

    q(ŷ) = a + b q(e),  its error² = σ² (1 + 1/n + (q(e) − q̄)² / Σ (q(e_i) − q̄)²),  Student t, n − 2 degrees of freedom

A trial is hopeless when P(y > c) < .01. The posterior over humps is told of a gain below c only that it is low, and
not how low: whatever the branch points that are left had given, the posterior would be the same.

Trials that were ended have no y, but that they were ended depends on e alone, and least squares given e are not
biased by a choice among the e.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from analysis.hump.gaussian_process import squash, unsquash
from analysis.hump.model import Mask, Scale
from analysis.hump.smc import Array

FEWEST = 8
"""Complete trials, below which early branch points aren't trusted to say anything."""
HOPELESS = 0.01
"""Probability of not being low, below which a trial is ended."""
ROUNDING = 1e-9
"""What rounding alone leaves of a residual, in units of D."""
NEIGHBOURS = 2
"""Complete trials next below that must have collapsed for a collapse at the first branch points to be believed."""


@dataclass(frozen=True)
class Trend:
    """The straight line from early means to the means over all branch points, both squashed."""

    offset: float
    slope: float
    deviation: float
    """σ."""
    n: int
    centre: float
    """q̄."""
    spread: float
    """Σ (q(e_i) − q̄)²."""
    scale: Scale

    @classmethod
    def fit(cls, x: ArrayLike, early: ArrayLike, full: ArrayLike) -> Self | None:
        """Return the trend over complete trials, None if fewer than 8 have gains, or all early ones are the same.

        Args:
            x: log10 of the noise scales (n,).
            early: mean gains over the first branch points (n,); NaN where some pair collapsed.
            full: mean gains over all branch points (n,); NaN where the trial counts only as low.
        """
        order = np.argsort(np.asarray(x, float), kind="stable")
        e, y = np.asarray(early, float)[order], np.asarray(full, float)[order]
        known = np.isfinite(e) & np.isfinite(y)
        n = int(known.sum())
        if n < FEWEST:
            return None
        scale = Scale.of(np.where(np.isfinite(y), y, -np.inf))
        e, y = squash(e[known] / scale.unit), squash(y[known] / scale.unit)
        if e.min() == e.max():
            return None
        centre = float(e.mean())
        spread = float(((e - centre) ** 2).sum())
        slope = float(((e - centre) * y).sum()) / spread
        offset = float(y.mean()) - slope * centre
        residual = y - offset - slope * e
        deviation = max(float(np.sqrt((residual**2).sum() / (n - 2))), ROUNDING)
        return cls(offset, slope, deviation, n, centre, spread, scale)

    def predict(self, early: ArrayLike) -> tuple[Array, Array]:
        """Return ŷ and its standard error (…), to first order, of trials with these early means (…)."""
        value, error = self._squashed(np.asarray(early, float))
        return self.scale.unit * unsquash(value), self.scale.unit * error * np.exp(np.maximum(-value, 0.0))

    def hopeless(self, early: float) -> bool:
        """Return whether P(y > c) < .01 for a trial with this early mean."""
        value, error = self._squashed(np.asarray(early, float))
        level = squash(np.asarray(self.scale.floor / self.scale.unit))
        return bool(stdtr(self.n - 2, (value - level) / error) < HOPELESS)

    def _squashed(self, early: Array) -> tuple[Array, Array]:
        """Return q(ŷ) and its standard error."""
        e = squash(early / self.scale.unit)
        error = self.deviation * np.sqrt(1 + 1 / self.n + (e - self.centre) ** 2 / self.spread)
        return self.offset + self.slope * e, error


def foretell(
    views: Mapping[int, float], complete: Sequence[Mapping[int, float]], x: ArrayLike, gain: ArrayLike
) -> tuple[float, float]:
    """Return the gain that a running trial will end with, and its standard error; (NaN, ∞) if that can't be told.

    `views` maps the number of branch points to the mean gain over them, of the trial so far; NaN is no view, as when
    a pair has collapsed. The last view is compared with the same one of complete trials; of these, such as have fewer
    views than others were ended, and are not learned from.

    Args:
        views: Of the running trial.
        complete: Of complete trials (n,).
        x: log10 of their noise scales (n,).
        gain: What they ended with (n,); NaN where that says only that they are low.
    """
    nothing = math.nan, math.inf
    if not views:
        return nothing
    last, most = max(views), max((len(each) for each in complete), default=0)
    learned = [each if len(each) == most and _finite(each) else {} for each in complete]
    trend = Trend.fit(x, [each.get(last, math.nan) for each in learned], gain) if _finite(views) else None
    if trend is None:
        return nothing
    value, error = trend.predict(views[last])
    # The standard deviation of Student's t.
    return float(value), float(error) * math.sqrt((trend.n - 2) / (trend.n - 4))


def _finite(views: Mapping[int, float]) -> bool:
    return all(math.isfinite(value) for value in views.values())


def collapse_is_final(x: float, complete: ArrayLike, collapsed: Mask | NDArray[np.bool_]) -> bool:
    """Return whether a trial that has collapsed at its first branch points lies among trials that stayed so.

    It does if the two complete trials next below it have collapsed, and every one at or above it: networks that
    are at chance early may learn later, but not where noise beyond that of two lost neighbours is all there is.

    Args:
        x: log10 of the trial's noise scale.
        complete: those of complete trials (n,).
        collapsed: which of them have collapsed throughout (n,).
    """
    places = np.asarray(complete, float)
    below = np.flatnonzero(places < x)
    nearest = below[np.argsort(places[below])][-NEIGHBOURS:]
    return len(nearest) == NEIGHBOURS and bool(collapsed[nearest].all() and collapsed[places >= x].all())
