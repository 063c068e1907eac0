"""`python -m benchmarks.critical_noise.coverage`: how often the 95% interval holds the truth, by design and size.

In brackets the share of repeats in which a hump is claimed, and an interval given.

Random designs spread evenly over the range; focused ones lie around the peak, as the later trials of a search do; a
sequential one is what `critical_noise` itself chose, which depends on the gains that the interval is computed from.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np

from analysis.critical_point import critical_point
from benchmarks.critical_noise.humps import BATCH_SIZES, FAMILIES, HIGH, LOW, Array, Generator, Hump
from benchmarks.critical_noise.ours import ours
from benchmarks.critical_noise.peers import Trials
from benchmarks.timing import table

FOCUS = 0.4
"""Standard deviation of a focused design about the peak, in decades; a fifth of it is spread evenly."""
DESIGNS = ("random", "focused", "sequential")
SIZES = (12, 24, 48, 90)


def covered(family: str, design: str, size: int, repeat: int) -> float:
    """Return whether the interval from `size` trials of one hump holds its peak, or a part of its plateau.

    NaN where no interval is given, since no hump is claimed.
    """
    rng = np.random.default_rng([4, repeat])
    hump = FAMILIES[family](rng)
    seen = _sequential(hump, size, repeat) if design == "sequential" else _seen(hump, design, size, rng)
    try:
        point = critical_point(10.0 ** np.array(seen.x), seen.gain, status=seen.status, seed=repeat)
    except ValueError:  # No trial has a gain.
        return np.nan
    if not point.hump:
        return np.nan
    low, high = np.log10([point.low, point.high])
    return float(low <= hump.peak + hump.half and hump.peak - hump.half <= high)


def _sequential(hump: Hump, size: int, seed: int) -> Trials:
    *_, seen = ours(hump, size, seed)
    return seen


def _seen(hump: Hump, design: str, size: int, rng: Generator) -> Trials:
    places: Array = rng.uniform(LOW, HIGH, size)
    if design == "focused":
        near = np.clip(hump.peak + FOCUS * rng.standard_normal(size), LOW, HIGH)
        places = np.where(np.arange(size) % 5 > 0, near, places)
    seen = Trials()
    for index, x in enumerate(places):
        seen.add(hump, float(x), BATCH_SIZES[index % len(BATCH_SIZES)], rng)
    return seen


def main() -> None:
    """Print the share covered, by family, design and number of trials."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.critical_noise.coverage", description=__doc__)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--families", nargs="*", choices=FAMILIES, default=list(FAMILIES), metavar="FAMILY")
    parser.add_argument("--designs", nargs="*", choices=DESIGNS, default=list(DESIGNS))
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES))
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    print(
        f"{asked.repeats} repeats: a share of .95 is known to ±{2 * (0.95 * 0.05 / asked.repeats) ** 0.5:.2f}\n"
    )
    cells = list(product(asked.designs, asked.sizes))
    rows = []
    with ProcessPoolExecutor(asked.workers) as pool:
        for family in asked.families:
            shares = []
            for design, size in cells:
                again = [(family, design, size, repeat) for repeat in range(asked.repeats)]
                found = np.array(list(pool.map(covered, *zip(*again, strict=True))))
                shares.append((np.nanmean(found), np.isfinite(found).mean()))
            rows.append([family, *(f"{share:.2f} ({given:.2f})" for share, given in shares)])
    print(table(["family", *(f"{design}, {size}" for design, size in cells)], rows))


if __name__ == "__main__":
    main()
