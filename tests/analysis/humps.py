"""Planted humps: families of gain curves with a known critical point, and flat and monotone nulls.

Each family maps a generator to `Planted`. Unless it says otherwise the peak is 1.0 to 1.3 percent high and
lies 1.2 to 2.8 decades into four decades of noise scale, and the noise is normal with deviation .15.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

LOW, HIGH = -4.0, 0.0


@dataclass(frozen=True)
class Planted:
    x: np.ndarray
    """log10 of the noise scale, at random."""
    gain: np.ndarray
    """In percent; NaN where the trial diverged."""
    truth: float
    """log10 of the critical point; NaN for nulls."""
    curve: np.ndarray | None = None
    """Which of several shifted curves each trial is on."""
    at_chance: np.ndarray | None = None
    """Trials whose endpoints learned nothing, so that the merge gains nothing either."""


Shape = Callable[[np.ndarray], np.ndarray]
"""Gain over log10 S − m, relative to the peak's height."""


def _sample(rng: np.random.Generator, n: int, shape: Shape, noise=None, peak_at: float = 0.0) -> Planted:
    m, height = rng.uniform(LOW + 1.2, LOW + 2.8), rng.uniform(1.0, 1.3)
    x = rng.uniform(LOW, HIGH, n)
    error = 0.15 * rng.standard_normal(n) if noise is None else noise(n)
    return Planted(x, height * shape(x - m) + error, m + peak_at)


def logistic_exponential(rng, n=24):
    rise, fall, depth = rng.uniform(0.12, 0.3), rng.uniform(0.2, 0.4), rng.uniform(0.02, 0.1)
    grid = np.linspace(-2, 2, 40_001)

    def raw(u):
        return 1 / (1 + np.exp(-u / rise)) - depth * np.exp(u / fall)

    best = int(np.argmax(raw(grid)))
    planted = _sample(rng, n, lambda u: raw(u + grid[best]) / raw(grid)[best])
    # Where nothing is left of the accuracy the runs have diverged.
    return Planted(planted.x, np.where(planted.gain < -5, np.nan, planted.gain), planted.truth)


def unequal_widths(rng, n=24):
    left, right = rng.uniform(0.5, 1.1), rng.uniform(0.25, 0.6)

    def shape(u):
        bell = np.exp(-0.5 * (u / np.where(u < 0, left, right)) ** 2)
        return np.where(u > 0.9, -8.0, bell)

    return _sample(rng, n, shape)


def symmetric(rng, n=24):
    width = rng.uniform(0.4, 0.8)
    return _sample(rng, n, lambda u: np.exp(-0.5 * (u / width) ** 2))


def plateau(rng, n=24):
    half, edge = rng.uniform(0.3, 0.6), rng.uniform(0.15, 0.3)
    return _sample(rng, n, lambda u: np.exp(-0.5 * (np.maximum(np.abs(u) - half, 0) / edge) ** 2))


def _cliff(rng, n, beyond):
    left = rng.uniform(0.5, 1.1)
    return _sample(rng, n, lambda u: np.where(u > 0, beyond, np.exp(-0.5 * (u / left) ** 2)))


def cliff_negative(rng, n=24):
    return _cliff(rng, n, -8.0)


def cliff_diverged(rng, n=24):
    return _cliff(rng, n, np.nan)


def cliff_to_chance(rng, n=24):
    planted = _cliff(rng, n, 0.0)
    return replace(planted, at_chance=planted.x > planted.truth)


def student_t(rng, n=24):
    left, right = rng.uniform(0.5, 1.1), rng.uniform(0.25, 0.6)
    bell = lambda u: np.exp(-0.5 * (u / np.where(u < 0, left, right)) ** 2)  # noqa: E731
    return _sample(rng, n, bell, noise=lambda n: 0.15 * rng.standard_t(2.5, n))


def two_curves(rng, n=24):
    left, right = rng.uniform(0.5, 1.1), rng.uniform(0.25, 0.6)
    curve = rng.permutation(n) % 2
    shift = 0.1 * (curve - 0.5)
    bell = lambda u: np.exp(-0.5 * ((u - shift) / np.where(u < shift, left, right)) ** 2)  # noqa: E731
    planted = _sample(rng, n, bell)
    return Planted(planted.x, planted.gain, planted.truth, curve)


def quadratic_in_noise(rng, n=24):
    """r (2 − r) with r = S / S*."""
    return _sample(rng, n, lambda u: np.maximum(10**u * (2 - 10**u), -8.0))


def gamma_like(rng, n=24):
    """(r e^(1−r))^k with r = S / S*."""
    power = rng.uniform(0.6, 1.5)
    return _sample(rng, n, lambda u: (10**u * np.exp(1 - 10**u)) ** power)


FAMILIES = {
    family.__name__: family
    for family in (
        logistic_exponential,
        unequal_widths,
        symmetric,
        plateau,
        cliff_negative,
        cliff_diverged,
        cliff_to_chance,
        student_t,
        two_curves,
        quadratic_in_noise,
        gamma_like,
    )
}


def flat(rng, n=24):
    return Planted(rng.uniform(LOW, HIGH, n), rng.uniform(0, 1.3) + 0.15 * rng.standard_normal(n), np.nan)


def rising(rng, n=24):
    x = rng.uniform(LOW, HIGH, n)
    return Planted(x, 1.2 * (x - LOW) / (HIGH - LOW) + 0.15 * rng.standard_normal(n), np.nan)


def saturating(rng, n=24):
    x = rng.uniform(LOW, HIGH, n)
    return Planted(x, 1.2 / (1 + np.exp(-(x + 2) / 0.3)) + 0.15 * rng.standard_normal(n), np.nan)


NULLS = {null.__name__: null for null in (flat, rising, saturating)}
