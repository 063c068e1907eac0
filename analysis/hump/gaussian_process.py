"""A Gaussian process over log10 S: the simple estimator beside the hump posterior, as a check.

It is blind to cliffs (`docs/critical-point.md`), so it warns by disagreeing; it does not decide.

| symbol    | shape  | meaning                                                        |
|-----------|--------|----------------------------------------------------------------|
| x, grid   | (n,), (G,) | log10 of the noise scale                                   |
| y         | (n,)   | standardised, squashed gain                                    |
| ℓ, a, σ   | scalar | length in decades, amplitude, noise: a² exp(−d²/2ℓ²) + σ²·1{i=j} |

Source: Rasmussen & Williams (2006), algorithm 2.1.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from analysis.hump.smc import Array

LENGTHS = (0.2, 0.35, 0.6, 1.0, 1.7)
AMPLITUDES = (0.5, 1.0, 2.0)
NOISES = (0.05, 0.1, 0.2, 0.4, 0.8)
NEGLIGIBLE = 0.01
DRAWS = 1000


@dataclass(frozen=True)
class Kernel:
    """Squared-exponential kernel with independent noise."""

    length: float
    amplitude: float
    noise: float

    def __call__(self, x: Array, other: Array) -> Array:
        """Return the covariance (n, m) of the curve, without noise."""
        distance = (x[:, None] - other) / self.length
        return self.amplitude**2 * np.exp(-0.5 * distance**2)


@dataclass(frozen=True)
class Smoothed:
    """A Gaussian process averaged over its hyper-parameters, on a grid."""

    mean: Array
    deviation: Array
    """Posterior standard deviation of the curve, noise excluded."""
    argmax_draws: Array


def squash(y: Array) -> Array:
    """Return y where y ≥ 0, else −log(1 − y); y must already be divided by its scale."""
    return np.where(y >= 0, y, -np.log1p(-np.minimum(y, 0)))


def unsquash(z: Array) -> Array:
    """Return the y of which z = `squash`(y)."""
    return np.where(z >= 0, z, -np.expm1(-np.minimum(z, 0)))


def regress(x: Array, y: Array, grid: Array, kernel: Kernel) -> tuple[Array, Array, float]:
    """Return posterior mean (G,), covariance (G, G) and log evidence."""
    factor = cholesky(kernel(x, x) + kernel.noise**2 * np.eye(len(x)), lower=True)
    weights = cho_solve((factor, True), y)
    across = kernel(x, grid)
    half = solve_triangular(factor, across, lower=True)
    evidence = -0.5 * y @ weights - np.log(np.diag(factor)).sum() - 0.5 * len(x) * math.log(2 * math.pi)
    return weights @ across, kernel(grid, grid) - half.T @ half, float(evidence)


def smooth(x: Array, y: Array, grid: Array, rng: np.random.Generator) -> Smoothed:
    """Return the process with length, amplitude and noise integrated over a small grid of kernels."""
    centre, spread = y.mean(), y.std() or 1.0
    standard = (y - centre) / spread
    kernels = [Kernel(*values) for values in itertools.product(LENGTHS, AMPLITUDES, NOISES)]
    evidence = np.array([regress(x, standard, grid[:0], kernel)[2] for kernel in kernels])
    weight = np.exp(evidence - evidence.max())
    weight /= weight.sum()
    weight[weight < NEGLIGIBLE] = 0
    weight /= weight.sum()

    mean, square, places = np.zeros(len(grid)), np.zeros(len(grid)), []
    for index in np.flatnonzero(weight):
        one_mean, covariance, _ = regress(x, standard, grid, kernels[index])
        mean += weight[index] * one_mean
        square += weight[index] * (np.diag(covariance) + one_mean**2)
        # A smooth kernel on a fine grid is singular to rounding.
        root = cholesky(covariance + 1e-8 * np.eye(len(grid)), lower=True)
        curves = one_mean + rng.standard_normal((round(weight[index] * DRAWS), len(grid))) @ root.T
        places.append(grid[curves.argmax(axis=1)])
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return Smoothed(centre + spread * mean, spread * deviation, np.concatenate(places))
