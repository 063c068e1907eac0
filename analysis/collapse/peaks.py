"""Where each batch size peaks by its own trials alone: what a law of exponents must agree with."""

from collections.abc import Mapping

import numpy as np

from analysis.collapse.cells import Cells, on_axis
from analysis.collapse.exponents import ExponentPosterior
from analysis.critical_point import FEWEST_TRIALS, Location
from analysis.hump.posterior import HumpPosterior


def own_peaks(cells: Cells, rng: np.random.Generator) -> dict[int, Location]:
    """Return where each batch size peaks on the expected axis, from its own trials alone."""
    found = {}
    for size in np.unique(cells.batch_size):
        own = cells.where(cells.batch_size == size)
        if len(own) < FEWEST_TRIALS or own.without.all():
            continue
        one = HumpPosterior.fit(
            own.x, own.gain, np.isnan(own.gain), own.at_chance, rng, least_noise=own.known_error
        )
        middle = float(np.clip(np.median(one.argmax_draws), own.x.min(), own.x.max()))
        low, high = one.interval()
        found[int(size)] = Location(10**middle, 10 ** min(low, middle), 10 ** max(high, middle))
    return found


def apart(peaks: Mapping[int, Location]) -> list[int]:
    """Return two batch sizes, in order of their peaks, whose own intervals share no place; [] without such."""
    if not peaks:
        return []
    first = min(peaks, key=lambda size: peaks[size].high)
    last = max(peaks, key=lambda size: peaks[size].low)
    return [first, last] if peaks[first].high < peaks[last].low else []


def agree(posterior: ExponentPosterior, peaks: Mapping[int, Location]) -> bool:
    """Return whether the batch sizes' own peaks lie where the fitted exponents put them."""
    cells = posterior.cells
    for size, own in peaks.items():
        momentum = cells.momentum[cells.batch_size == size][-1]
        fitted = posterior.lr_by_exponents(size, momentum)
        low, high = (10 ** on_axis(lr, size, momentum, cells.expected) for lr in (fitted.low, fitted.high))
        if own.high < low or high < own.low:
            return False
    return True
