"""Is the gain non-monotonic? Two lines, one rising and one falling, both with significant slopes.

Source: Simonsohn (2018), "Two lines: a valid alternative to the invalid testing of U-shaped relationships
with quadratic regressions", with the Robin Hood break point; MacKinnon & White (1985) for HC3.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from analysis.hump.smc import Array

SIGNIFICANCE = 0.05
FEWEST_PER_LINE = 3


@dataclass(frozen=True)
class TwoLines:
    """An interrupted regression of gain on log10 S. Every number is NaN where too few noise scales differ."""

    break_at: float
    """Noise scale that divides the lines."""
    slope_low: float
    """Gain per decade below the break."""
    slope_high: float
    p_low: float
    """Two-sided."""
    p_high: float

    @property
    def hump(self) -> bool:
        """The gain rises below the break and falls above it, each with p < .05."""
        return self.slope_low > 0 > self.slope_high and max(self.p_low, self.p_high) < SIGNIFICANCE


def two_lines(x: Array, y: Array, fitted: Array, error: float) -> TwoLines:
    """Return the two-lines test of y on x, both (n,).

    Args:
        x: log10 of the noise scale.
        y: gain.
        fitted: a smooth fit of y at x, which proposes where to break.
        error: standard error of that fit at its maximum.
    """
    places = np.unique(x)
    if len(places) < 2 * FEWEST_PER_LINE:
        return TwoLines(*[math.nan] * 5)

    def allowed(at: float) -> float:
        return float(np.clip(at, places[FEWEST_PER_LINE], places[-FEWEST_PER_LINE]))

    # Robin Hood: within the flat top, move the break so that the weaker line gets more of the trials.
    top = x[fitted >= fitted.max() - error]
    _, t = _lines(x, y, allowed(float(np.median(top))))
    strength = np.abs(t)
    share = strength[1] / strength.sum() if strength.any() else 0.5
    at = allowed(float(np.quantile(top, share)))
    slopes, t = _lines(x, y, at)
    p = 2 * stdtr(len(x) - 4, -np.abs(t))
    return TwoLines(10**at, *(float(value) for value in (*slopes, *p)))


def _lines(x: Array, y: Array, at: float) -> tuple[Array, Array]:
    """Return slopes (2,) below and from `at` on, and their t statistics."""
    slopes, errors = np.transpose([hc3_slope(x[side], y[side]) for side in (x < at, x >= at)])
    # An exact line has no error: its t is capped, so that two of them can be compared.
    errors = np.maximum(errors, 1e-9 * np.abs(slopes))
    return slopes, np.divide(slopes, errors, out=np.zeros(2), where=errors > 0)


def hc3_slope(x: Array, y: Array) -> tuple[float, float]:
    """Return the least-squares slope of y on x and its HC3 error √(Σ u² e² / (1 − h)²) / Σ u².

    u is x − mean x, e the residuals, h = 1/n + u² / Σ u² the leverages. Where one trial alone determines
    the slope its h is 1, and the error infinite.
    """
    u = x - x.mean()
    spread = u @ u
    slope = u @ y / spread
    residual = y - y.mean() - slope * u
    free = 1 - 1 / len(x) - u * u / spread
    if free.min() < 1e-6:
        return float(slope), math.inf
    return float(slope), float(np.sqrt(np.sum((u * residual / free) ** 2)) / spread)
