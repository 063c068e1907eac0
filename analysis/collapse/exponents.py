"""By which power of batch size and of 1 − momentum the peak's learning rate grows: exponents with intervals.

All curves share one hump of `analysis.hump.model`, so cliffs, diverged trials and noise are treated as they are
for S*. A curve's hump lies at x = m + βZ + τ z_c: β is what is asked for, and τ z_c what no exponent explains. Under
an imperfect collapse the scatter τ between curves limits what they tell of β, however many trials they hold; with
three or four curves a bootstrap over curves can't see that (`docs/collapse.md`).

Notation and shapes: `analysis.hump.model`; x, Z and β: `analysis.collapse.cells`. θ goes
on with β: [..., ln τ, z_1, …, z_K, β].
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from analysis.collapse.cells import Cells, on_axis
from analysis.hump.model import LN_S, LN_TAU, Density, M
from analysis.hump.posterior import QUANTILES, HumpPosterior, sample
from analysis.hump.smc import Array

PRIOR_MEAN, PRIOR_DEVIATION = 0.5, 1.0
"""Of b, c and d: halfway between lr (0) and S (1), and wide."""
LN_SCATTER_DEVIATION = 0.5
"""Of ln τ: less sure than the prior of curves whose places are expected to agree."""
PROFILE = np.linspace(-1.0, 2.5, 71)
KNOTS = (0.02, 0.2, 0.4, 0.6, 0.8, 0.98)
"""Quantiles of the axis at which the check's spline bends."""


@dataclass(frozen=True)
class Estimate:
    """A posterior median with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Exponent(Estimate):
    """An exponent from all cells, with two checks."""

    trimmed: Estimate | None
    """Without the cells past the collapse, which otherwise dominate; None if too few remain."""
    spline: float
    """The exponent at which one cubic spline fits all cells with the least squared error."""


@dataclass(frozen=True)
class ShiftedDensity(Density):
    """Prior and likelihood of humps whose place depends on β."""

    regressors: Array
    """Z (p, n)."""
    prior_mean: Array
    """Of β (p,)."""

    def _normal_priors(self) -> tuple[Array, Array]:
        centre, deviation = super()._normal_priors()
        deviation[2] = LN_SCATTER_DEVIATION
        return (
            np.concatenate([centre, self.prior_mean]),
            np.concatenate([deviation, np.full(len(self.regressors), PRIOR_DEVIATION)]),
        )

    def shift(self, theta: Array) -> Array | float:
        """Return βZ + τ z_c (N, n), in decades."""
        return super().shift(theta) + theta[:, theta.shape[1] - len(self.regressors) :] @ self.regressors


@dataclass(frozen=True)
class ExponentPosterior:
    """Draws of one hump shared by all curves, and of how the curves shift."""

    cells: Cells
    theta: Array
    hump_probability: float

    @classmethod
    def fit(cls, cells: Cells, rng: np.random.Generator) -> Self:
        """Return the posterior given cells on two curves or more, at least one cell with a gain."""
        n, scale, columns = len(cells), cells.scale, cells.regressors
        order = np.argsort(cells.x, kind="stable")
        x, censored = cells.x[order], cells.censored[order]
        value = np.maximum(np.where(np.isnan(cells.gain), scale.floor, cells.gain), scale.floor)[order]
        labels = np.unique(cells.curve, return_inverse=True)[1]
        expected = cells.expected_exponents
        density = ShiftedDensity(
            x,
            value / scale.unit,
            censored,
            scale,
            labels[order],
            int(labels.max()) + 1,
            np.array([column[order] for column in columns.values()]).reshape(len(columns), n),
            np.array([PRIOR_MEAN - expected[name] for name in columns]),
        )
        theta = sample(density, rng)
        hump = HumpPosterior(x, value, censored, scale, theta)
        return cls(cells, theta, hump.hump_probability())

    @property
    def noise(self) -> float:
        """Standard error of one gain, in its unit: the known ones' median, else the posterior median of s.

        The latter is on the large side (.2 for a true .15): its prior looks at neighbours, between which curves bend.
        """
        return self.cells.known_error or self.cells.scale.unit * math.exp(np.median(self.theta[:, LN_S]))

    def exponent(self, name: str) -> Estimate:
        """Return the exponent b, c or d; it must vary in the cells."""
        names = list(self.cells.regressors)
        beyond = self.theta[:, self.theta.shape[1] - len(names) + names.index(name)]
        return _estimate(self.cells.expected_exponents[name] + beyond)

    def lr_at(self, batch_size: int, momentum: float, rng: np.random.Generator) -> Estimate:
        """Return the learning rate at the peak, at the usual weight decay.

        A batch size and momentum that were swept shift as their curve does, others like a curve not yet seen.
        """
        cells = self.cells
        own = cells.curve[(cells.batch_size == batch_size) & np.isclose(cells.momentum, momentum)]
        if len(own):
            label = int(np.searchsorted(np.unique(cells.curve), own[0]))
            shift = self.theta[:, LN_TAU + 1 + label]
        else:
            shift = rng.standard_normal(len(self.theta))
        return self._lr(batch_size, momentum, np.exp(self.theta[:, LN_TAU]) * shift)

    def lr_by_exponents(self, batch_size: int, momentum: float) -> Estimate:
        """Return the learning rate at which the peak would be if the curves didn't scatter."""
        return self._lr(batch_size, momentum, np.zeros(len(self.theta)))

    def _lr(self, batch_size: int, momentum: float, shift: Array) -> Estimate:
        logs = {"b": math.log10(batch_size), "c": math.log10(1 - momentum)}
        means = self.cells.regressor_means
        beta = self.theta[:, self.theta.shape[1] - len(means) :]
        beyond = np.array([logs[name] - mean if name in logs else 0.0 for name, mean in means.items()])
        unit = on_axis(1.0, batch_size, momentum, self.cells.expected)
        found = _estimate(self.theta[:, M] + shift + beta @ beyond - unit)
        return Estimate(10**found.value, 10**found.low, 10**found.high)


def _estimate(draws: Array) -> Estimate:
    low, high = (float(q) for q in np.quantile(draws, QUANTILES))
    return Estimate(float(np.median(draws)), low, high)


def spline_profile(cells: Cells) -> dict[str, float]:
    """Return the exponents b and c at which one natural cubic spline of the gain has the least squared error.

    The same question without the hump, its prior and its noise: a check. Exponents that don't vary are left out.
    """
    names = [name for name in cells.regressors if name in "bc"]
    if not names:
        return {}
    expected = cells.expected_exponents
    grids = np.meshgrid(*(PROFILE[:: 1 if len(names) == 1 else 2] for _ in names), indexing="ij")
    betas = np.column_stack([grid.ravel() - expected[name] for grid, name in zip(grids, names, strict=True)])
    u = cells.x - betas @ np.array([cells.regressors[name] for name in names])
    error = spline_errors(u, cells.floored)
    best = betas[error.argmin()]
    return {name: float(expected[name] + beta) for name, beta in zip(names, best, strict=True)}


def spline_errors(u: Array, y: Array) -> Array:
    """Return the residual sums of squares (G,) of natural cubic splines in each row of u (G, n), fitted to y (n,)."""
    *inner, last = np.quantile(u, KNOTS, axis=1)[:, :, None]
    # Each bend, less the last one, is straight beyond the last knot.
    bends = [(np.maximum(u - k, 0) ** 3 - np.maximum(u - last, 0) ** 3) / (last - k) for k in inner]
    columns, _ = np.linalg.qr(np.stack([np.ones(u.shape), u, *(b - bends[-1] for b in bends[:-1])], axis=-1))
    fitted = np.einsum("gnk,gk->gn", columns, np.einsum("gnk,n->gk", columns, y))
    error: Array = ((y - fitted) ** 2).sum(axis=1)
    return error
