"""Planted humps that can be sampled anywhere: what a search for S* sees, and what it should find."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Generator = np.random.Generator
Shape = Callable[[Array], Array]
"""Gain over log10 S − peak, relative to the height of the peak; NaN where training diverges."""

LOW, HIGH = -4.0, 0.0
"""The range of the search in log10 S."""
BATCH_SIZES = (16, 32, 64, 128)
MIDDLE = float(np.log10(BATCH_SIZES).mean())
NOISE = 0.15
"""Standard deviation of a trial's gain in percent; peaks are 1.0 to 1.3 percent high."""
SHIFT = 0.2
"""Error of the exponent of B where collapse is imperfect: curves shift by so many decades per decade of B."""


@dataclass(frozen=True)
class Hump:
    """Gain against log10 S. `peak` is NaN without a hump; a plateau has `half` decades on either side of it."""

    peak: float
    height: float
    shape: Shape
    half: float = 0.0
    noise: Literal["normal", "student", "growing"] = "normal"
    beyond_cliff: Literal["diverged", "at_chance"] = "diverged"
    cliff: float = np.inf
    """Decades past the peak from which `beyond_cliff` holds."""
    shift: float = 0.0
    """Decades by which a curve moves right per decade of batch size."""

    def gain(self, x: Array | float, batch_size: int | None = None) -> Array:
        """Return the expected gain in percent at log10 S `x`; NaN where training diverges."""
        centre = self.peak if np.isfinite(self.peak) else (LOW + HIGH) / 2
        if batch_size is not None:
            centre += self.shift * (np.log10(batch_size) - MIDDLE)
        u = np.asarray(x, float) - centre
        value = self.height * self.shape(u)
        lost = 0.0 if self.beyond_cliff == "at_chance" else np.nan
        return np.where(u > self.cliff, lost, value)

    def observe(self, x: float, batch_size: int, rng: Generator) -> tuple[float, str]:
        """Return one trial's gain in percent (NaN if it diverged) and status."""
        expected = float(self.gain(x, batch_size))
        error = NOISE * (rng.standard_t(2.5) if self.noise == "student" else rng.standard_normal())
        if self.noise == "growing":
            error *= 10 ** (0.5 * (x - self.peak))
        # Where nothing is left of the accuracy the trial has diverged.
        if not np.isfinite(expected) or expected < -5:
            return np.nan, "diverged"
        at_chance = self.beyond_cliff == "at_chance" and expected == 0.0
        return expected + error, "at_chance" if at_chance else "ok"

    def distance(self, x: float) -> float:
        """Return the decades from `x` to the nearest place where the gain is at its maximum."""
        return max(0.0, abs(x - self.peak) - self.half)

    def regret(self, x: float) -> float:
        """Return the expected gain lost at `x`, as a share of the height; 2 at most, so also where it diverges."""
        lost = (self.height - float(self.gain(x))) / self.height
        return min(lost, 2.0) if np.isfinite(lost) else 2.0


Family = Callable[[Generator], Hump]


def _placed(rng: Generator) -> tuple[float, float]:
    return float(rng.uniform(LOW + 1.2, LOW + 2.8)), float(rng.uniform(1.0, 1.3))


def _bell(left: float, right: float) -> Shape:
    return lambda u: np.exp(-0.5 * (u / np.where(u < 0, left, right)) ** 2)


def logistic_exponential(rng: Generator) -> Hump:
    """Return a logistic rise minus an exponential, which falls without end."""
    rise, fall, depth = rng.uniform(0.12, 0.3), rng.uniform(0.2, 0.4), rng.uniform(0.02, 0.1)

    def raw(u: Array) -> Array:
        return 1 / (1 + np.exp(-u / rise)) - depth * np.exp(u / fall)

    grid = np.linspace(-2, 2, 4001)
    values = raw(grid)
    best = int(np.argmax(values))
    return Hump(*_placed(rng), lambda u: raw(u + grid[best]) / values[best])


def symmetric(rng: Generator) -> Hump:
    """Return a Gaussian of .4 to .8 decades."""
    width = rng.uniform(0.4, 0.8)
    return Hump(*_placed(rng), _bell(width, width))


def unequal_widths(rng: Generator) -> Hump:
    """Return a Gaussian steeper on its right, with a cliff .9 decades past the peak."""
    return Hump(*_placed(rng), _bell(rng.uniform(0.5, 1.1), rng.uniform(0.25, 0.6)), cliff=0.9)


def plateau(rng: Generator) -> Hump:
    """Return a top that is level for .6 to 1.2 decades."""
    half, edge = rng.uniform(0.3, 0.6), rng.uniform(0.15, 0.3)
    return Hump(
        *_placed(rng), lambda u: np.exp(-0.5 * (np.maximum(np.abs(u) - half, 0) / edge) ** 2), half=half
    )


def sharp_cliff(rng: Generator) -> Hump:
    """Return a rise that ends at its peak: beyond it every run diverges."""
    return Hump(*_placed(rng), _bell(rng.uniform(0.5, 1.1), 1.0), cliff=0.0)


def cliff_to_chance(rng: Generator) -> Hump:
    """Return a rise that ends at its peak: beyond it nothing is learned and merging gains nothing."""
    return Hump(*_placed(rng), _bell(rng.uniform(0.5, 1.1), 1.0), cliff=0.0, beyond_cliff="at_chance")


def heavy_tails(rng: Generator) -> Hump:
    """Return unequal widths under Student-t noise of 2.5 degrees of freedom."""
    return Hump(*_placed(rng), _bell(rng.uniform(0.5, 1.1), rng.uniform(0.25, 0.6)), noise="student")


def growing_noise(rng: Generator) -> Hump:
    """Return unequal widths under noise that grows threefold per decade."""
    return Hump(*_placed(rng), _bell(rng.uniform(0.5, 1.1), rng.uniform(0.25, 0.6)), noise="growing")


def imperfect_collapse(rng: Generator) -> Hump:
    """Return unequal widths whose peak moves with the batch size: the exponent of B is off by .2."""
    return Hump(*_placed(rng), _bell(rng.uniform(0.5, 1.1), rng.uniform(0.25, 0.6)), shift=SHIFT)


def outside(rng: Generator) -> Hump:
    """Return a Gaussian whose peak lies half a decade beyond the range."""
    return Hump(HIGH + 0.5, float(rng.uniform(1.0, 1.3)), _bell(rng.uniform(0.6, 1.1), 0.6))


def flat(rng: Generator) -> Hump:
    """Return no hump at all."""
    return Hump(np.nan, float(rng.uniform(0.2, 1.3)), np.ones_like)


FAMILIES: dict[str, Family] = {
    family.__name__: family
    for family in (
        logistic_exponential,
        symmetric,
        unequal_widths,
        plateau,
        sharp_cliff,
        cliff_to_chance,
        heavy_tails,
        growing_noise,
        imperfect_collapse,
    )
}
WITHOUT_PEAK: dict[str, Family] = {family.__name__: family for family in (outside, flat)}
