"""Planted grids: learning rate × batch size, whose peaks follow a known exponent, exactly or not quite.

Each family of shapes maps a generator to the gain over log10 of (S / S*), relative to the height of the peak; beyond
a cliff it is −8 or NaN (diverged).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Shape = Callable[[np.ndarray], np.ndarray]


def _bell(u, left, right):
    return np.exp(-0.5 * (u / np.where(u < 0, left, right)) ** 2)


def cliff_later(rng) -> Shape:
    left, right, fall = rng.uniform(0.5, 1.1), rng.uniform(0.25, 0.6), rng.uniform(0.4, 0.9)
    return lambda u: np.where(u > fall, -8.0, _bell(u, left, right))


def cliff_at_peak(rng) -> Shape:
    left = rng.uniform(0.5, 1.1)
    return lambda u: np.where(u > 0, -8.0, _bell(u, left, 1.0))


def cliff_diverged(rng) -> Shape:
    left, right, fall = rng.uniform(0.5, 1.1), rng.uniform(0.4, 0.8), rng.uniform(0.1, 0.5)
    return lambda u: np.where(u > fall, np.nan, _bell(u, left, right))


def no_cliff(rng) -> Shape:
    left, right = rng.uniform(0.5, 1.1), rng.uniform(0.25, 0.6)
    return lambda u: _bell(u, left, right)


SHAPES = {shape.__name__: shape for shape in (cliff_later, cliff_at_peak, cliff_diverged, no_cliff)}


@dataclass(frozen=True)
class Grid:
    """Arrays of shape (trials,)."""

    lr: np.ndarray
    batch_size: np.ndarray
    momentum: np.ndarray
    gain: np.ndarray
    sem: np.ndarray | None
    b: float
    c: float
    peak_lr: dict[tuple[int, float], float]
    """(batch size, momentum) → learning rate at the peak."""


def grid(
    rng: np.random.Generator,
    shape: Shape,
    *,
    b: float = 1.0,
    c: float = 1.0,
    scatter: float = 0.0,
    uneven: float = 0.0,
    known: bool = True,
    momenta: tuple[float, ...] = (0.9,),
    noise: float = 0.15,
    batch_sizes: int | None = None,
    scales: int | None = None,
) -> Grid:
    """Return 3 to 5 batch sizes × 8 to 13 noise scales over four decades, the peak 1.2 to 2.8 decades inside.

    The peak's learning rate grows as B^b (1 − μ)^c; each curve is shifted by `scatter` ε decades besides, and
    multiplied by 1 + `uneven` ε. Noise scales are the same for all curves in one half of the grids; in the other
    each curve has its own offset. Standard errors are left out unless `known`.
    """
    sizes = 16 * 2 ** np.sort(rng.choice(6, batch_sizes or rng.integers(3, 6), replace=False))
    place = np.linspace(-4.0, 0.0, scales or rng.integers(8, 14))
    step = place[1] - place[0]
    aligned = rng.random() < 0.5
    middle, height = rng.uniform(-2.8, -1.2), rng.uniform(1.0, 1.3)
    centre = np.log10(sizes).mean(), np.log10(1 - np.array(momenta)).mean()
    lr, batch_size, momentum, gain, peak_lr = [], [], [], [], {}
    for size in sizes:
        for mu in momenta:
            along = place + (0.0 if aligned else step * rng.uniform(-0.5, 0.5))
            ours, theirs = np.log10(size) - centre[0], np.log10(1 - mu) - centre[1]
            peak = middle + (b - 1) * ours + (c - 1) * theirs + scatter * rng.standard_normal()
            lr.append(10**along * size * (1 - mu))
            peak_lr[int(size), mu] = 10**peak * size * (1 - mu)
            own = height * (1 + uneven * rng.standard_normal()) if uneven else height
            gain.append(own * shape(along - peak) + noise * rng.standard_normal(len(along)))
            batch_size.append(np.full(len(along), size))
            momentum.append(np.full(len(along), mu))
    total = np.concatenate(gain)
    return Grid(
        np.concatenate(lr),
        np.concatenate(batch_size),
        np.concatenate(momentum),
        total,
        np.full(len(total), noise) if known else None,
        b,
        c,
        peak_lr,
    )
