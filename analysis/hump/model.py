"""A flexible hump of gain against log10 S: its curve, its prior, and its likelihood.

The prior mixes four kinds (smooth, split, cliff, wide); the noise is logistic, and everything far below the
peak is censored, so that neither cliffs nor diverged trials bend the curve.

| symbol  | shape  | meaning                                                                              |
|---------|--------|--------------------------------------------------------------------------------------|
| x       | (n,)   | log10 of the noise scale                                                             |
| y       | (n,)   | gain; in units of D within the densities                                             |
| T₀, s₀  | scalar | rough peak and noise of the data, in the caller's unit: `Scale.peak`, `Scale.noise`  |
| D       | scalar | `Scale.unit` = max(T₀, 5 s₀): gains are divided by it: their unit does not matter     |
| c       | scalar | `Scale.floor` = T₀ − .8 D: at or below it a gain counts only as "low"                |
| m, T    | (N,)   | place (in x) and height of the peak                                                  |
| a, w, p | (N,)   | depth, width (decades) and steepness of one side, L below m and R above it           |
| b       | (N,)   | asymmetry: u = x − m is bent to ℓ = √(2(e^{bu} − 1 − bu) / b²), which tends to abs u |
| s       | (N,)   | standard deviation of the noise, logistic with scale s√3/π                           |
| e       | (n,)   | standard error of a gain that is foretold, 0 of one measured: √(s² + e²) in place of s |
| τ, z_c  | (N,)   | with several curves, curve c is shifted by τ z_c decades                             |
| θ       | (N, k) | draws: m, T, ln s, ln wL, ln pL, ln aL, ln wR, ln pR, ln aR, b [, ln τ, z_1, z_2, …] |

    f(x) = T − a (1 − exp(−(ℓ/w)^p))
"""

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analysis.hump.smc import Array

Mask = NDArray[np.bool_]

REACH = 0.75
"""How many decades outside the measured range the peak may lie."""
LOWEST_STEEPNESS = 0.82

M, T, LN_S, LN_W, LN_P, LN_A, B, SHAPE, LN_TAU = 0, 1, 2, (3, 6), (4, 7), (5, 8), 9, slice(3, 10), 10
WEIGHTS = np.array([0.45, 0.20, 0.20, 0.15])
# Smooth, split, cliff, wide. Columns: wL, pL, aL, wR (a multiple of wL in the first two), pR, aR, b.
MEDIANS = np.array(
    [
        [0.60, 2.0, 1.1, 1.0, 2.0, 1.5],
        [0.75, 2.0, 1.1, math.exp(-0.3), 2.0, 1.5],
        [1.00, 1.5, 1.2, 0.05, 1.7, 1.5],
        [0.70, 2.5, 1.2, 0.45, 2.5, 1.5],
    ]
)
MEANS = np.column_stack([np.log(MEDIANS), [2.0, 0.0, 0.0, 0.0]])
DEVIATIONS = np.array(
    [
        [0.6, 0.08, 0.5, 0.08, 0.08, 0.7, 3.0],
        [0.5, 0.18, 0.5, 0.50, 0.18, 0.7, 0.7],
        [0.7, 0.40, 0.6, 0.90, 0.50, 0.7, 0.7],
        [0.7, 0.60, 0.6, 0.70, 0.60, 0.7, 0.7],
    ]
)
RELATIVE = np.array([1.0, 1.0, 0.0, 0.0])


@dataclass(frozen=True)
class Scale:
    """Rough height, noise and unit of a set of gains, all in the caller's unit."""

    peak: float
    noise: float
    unit: float
    floor: float

    @classmethod
    def of(cls, y: Array, least_noise: float = 0.0) -> Self:
        """Return the scale of gains `y` (n,) ordered by noise scale, −inf where none was measured.

        T₀ is the mean of the top max(2, n // 8) running 3-medians; s₀ the median absolute second difference
        near the top, made consistent for normal noise. A known `least_noise` raises s₀, but not the unit: how
        deep humps fall is a matter of the gains, not of how well they were measured.
        """
        n = len(y)
        median = np.median(np.stack([y[:-2], y[1:-1], y[2:]]), axis=0)
        finite = median[np.isfinite(median)]
        # With fewer than two measured neighbours anywhere, the measured gains stand for themselves.
        tops = np.sort(finite if len(finite) else y[np.isfinite(y)])[-max(2, n // 8) :]
        peak = float(tops.mean())
        usable = np.isfinite(y[:-2]) & np.isfinite(y[1:-1]) & np.isfinite(y[2:])
        near_top = usable & (median > peak - 0.6 * abs(peak))
        chosen = 1 + np.flatnonzero(near_top if near_top.sum() >= 4 else usable)
        residual = (y[chosen] - (y[chosen - 1] + y[chosen + 1]) / 2) / math.sqrt(1.5)
        noise = 1.4826 * float(np.median(np.abs(residual))) if len(chosen) else 0.0
        # Noiseless gains that are nowhere positive leave max(T₀, 5 s₀) without a size.
        unit = max(peak, 5 * noise) if max(peak, noise) > 0 else abs(peak) or 1.0
        return cls(peak, max(noise, least_noise), unit, peak - 0.8 * unit)


def hump(theta: Array, x: Array, shift: Array | float = 0.0) -> Array:
    """Return f (N, n) of draws θ (N, k) at x (n,); `shift` (N, n) moves each curve to the right."""
    u = x - theta[:, M, None] - shift
    # Below 1e-8 the bend is 1, and z would only lose digits.
    z = np.minimum(theta[:, B, None] * u, 300.0)
    z = np.copysign(np.maximum(np.abs(z), 1e-8), z)
    bend = 2 * (np.expm1(z) - z) / (z * z)
    ln_ell = 0.5 * np.log(u * u * bend + 1e-300)
    left = (u < 0).astype(float)
    # Products, since choosing by a mask costs more than an exponential.
    ln_w, p, a = (
        right + left * (of_left - right)
        for of_left, right in (
            (theta[:, LN_W[0], None], theta[:, LN_W[1], None]),
            (np.exp(theta[:, LN_P[0], None]), np.exp(theta[:, LN_P[1], None])),
            (np.exp(theta[:, LN_A[0], None]), np.exp(theta[:, LN_A[1], None])),
        )
    )
    fall = np.exp(np.minimum(p * (ln_ell - ln_w), 6.0))
    value: Array = theta[:, T, None] + a * np.expm1(-fall)
    return value


@dataclass(frozen=True)
class Density:
    """Prior and likelihood of θ, for gains in units of D."""

    x: Array
    value: Array
    """The gain; for censored trials what the curve should stay below."""
    censored: Mask
    scale: Scale
    labels: NDArray[np.intp]
    curves: int
    """Number of shifts, 0 if all trials are on one curve."""
    error: Array | float = field(default=0.0, kw_only=True)
    """e, in units of D."""

    def prior_draws(self, size: int, rng: np.random.Generator) -> Array:
        """Return draws (size, k), those with too low a steepness drawn again."""
        theta = self._free_draws(0, rng)
        while len(theta) < size:
            theta = np.concatenate([theta, self._free_draws(size, rng)])
            theta = theta[(theta[:, LN_P] >= math.log(LOWEST_STEEPNESS)).all(axis=1)]
        return theta[:size]

    def _free_draws(self, size: int, rng: np.random.Generator) -> Array:
        component = rng.choice(len(WEIGHTS), size, p=WEIGHTS)
        shape = rng.normal(MEANS[component], DEVIATIONS[component])
        shape[:, 3] += RELATIVE[component] * shape[:, 0]
        centre, deviation = self._normal_priors()
        m = rng.uniform(self.x[0] - REACH, self.x[-1] + REACH, (size, 1))
        others = rng.normal(centre, deviation, (size, len(centre)))
        return np.column_stack([m, others[:, :2], shape, others[:, 2:]])

    def _normal_priors(self) -> tuple[Array, Array]:
        """Return mean and deviation of T, ln s [, ln τ, z_1, …]."""
        noise = min(max(self.scale.noise / self.scale.unit, 0.03), 0.3)
        centre, deviation = [self.scale.peak / self.scale.unit, math.log(noise)], [0.4, 0.5]
        if self.curves:
            centre += [math.log(0.1)] + [0.0] * self.curves
            deviation += [0.4] + [1.0] * self.curves
        return np.array(centre), np.array(deviation)

    def log_prior(self, theta: Array) -> Array:
        """Return the log prior (N,) up to a constant."""
        centre, deviation = self._normal_priors()
        normal = np.column_stack([theta[:, T : LN_S + 1], theta[:, LN_TAU:]])
        shape = np.repeat(theta[:, None, SHAPE], len(WEIGHTS), axis=1)
        shape[:, :, 3] -= RELATIVE * shape[:, :, 0]
        log_component = -0.5 * (((shape - MEANS) / DEVIATIONS) ** 2).sum(axis=2)
        log_component += np.log(WEIGHTS) - np.log(DEVIATIONS).sum(axis=1)
        top = log_component.max(axis=1)
        log_shape = top + np.log(np.exp(log_component - top[:, None]).sum(axis=1))
        m = theta[:, M]
        allowed = (self.x[0] - REACH <= m) & (m <= self.x[-1] + REACH)
        allowed &= (theta[:, LN_P] >= math.log(LOWEST_STEEPNESS)).all(axis=1)
        log_normal = -0.5 * (((normal - centre) / deviation) ** 2).sum(axis=1)
        return np.where(allowed, log_shape + log_normal, -np.inf)

    def shift(self, theta: Array) -> Array | float:
        """Return how far to the right of m, in decades, the curve of each trial peaks: τ z_c (N, n)."""
        if not self.curves:
            return 0.0
        shift: Array = np.exp(theta[:, LN_TAU, None]) * theta[:, LN_TAU + 1 + self.labels]
        return shift

    def log_likelihood(self, theta: Array) -> Array:
        """Return Σ_i of log density of y_i − f, or of log P(noise ≤ y_i − f) where censored, (N,)."""
        ln_width = theta[:, LN_S] + math.log(math.sqrt(3) / math.pi)
        # (N, n), or (N, 1) of zeros where nothing is foretold.
        wider = 0.5 * np.log1p((self.error * np.exp(-theta[:, LN_S, None])) ** 2)
        t = (self.value - hump(theta, self.x, self.shift(theta))) * np.exp(-ln_width[:, None] - wider)
        size = np.abs(t)
        soft = np.log1p(np.exp(-size))
        # log σ(t) = (t − |t|) / 2 − soft where censored; else the logistic density, −|t| − 2 soft − ln width.
        low = self.censored / 2
        measured = ~self.censored
        total: Array = t @ low - size @ (1 - low) - soft @ (2 - 2 * low) - measured.sum() * ln_width
        total -= (wider * measured).sum(axis=1)
        return total
