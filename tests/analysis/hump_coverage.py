"""Measure the critical-point estimator on planted humps. The table of docs/critical-point.md:

python tests/analysis/hump_coverage.py --repeats 150 --trials 24
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import humps
import numpy as np

from analysis.critical_point import CriticalPoint, critical_point


@dataclass(frozen=True)
class Scores:
    """Shares of repeats."""

    covered: float
    """The 95% interval, where one is given, holds the truth."""
    hit: float
    """The estimate lies within ×1.25 of the truth."""
    gp_covered: float
    gp_hit: float
    hump: float
    """A hump is claimed."""
    two_lines: float
    """The two-lines test says hump."""
    width: float
    """Median width of the interval, in decades."""


def estimate(planted: humps.Planted, seed: int) -> CriticalPoint:
    status = None if planted.at_chance is None else np.where(planted.at_chance, "at_chance", "ok")
    return critical_point(10**planted.x, planted.gain, status=status, seed=seed)


def points(family, repeats: int, trials: int) -> Iterator[tuple[humps.Planted, CriticalPoint]]:
    for repeat in range(repeats):
        planted = family(np.random.default_rng([1, repeat]), trials)
        yield planted, estimate(planted, seed=repeat)


def measure(family, repeats: int, trials: int) -> Scores:
    rows = []
    for planted, point in points(family, repeats, trials):
        truth = 10**planted.truth
        rows.append(
            (
                point.low <= truth <= point.high,
                1 / 1.25 <= point.noise_scale / truth <= 1.25,
                point.gp.low <= truth <= point.gp.high,
                1 / 1.25 <= point.gp.noise_scale / truth <= 1.25,
                point.hump,
                point.two_lines.hump,
                np.log10(point.high / point.low),
            )
        )
    table = np.array(rows, float)
    claimed = table[:, 4] == 1
    covered, width = np.nan, np.nan
    if claimed.any():
        covered, width = table[claimed, 0].mean(), np.median(table[claimed, 6])
    return Scores(covered, *table[:, 1:6].mean(axis=0), float(width))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=150)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--families", nargs="*", default=[*humps.FAMILIES, *humps.NULLS])
    arguments = parser.parse_args()
    print(f"{arguments.repeats} repeats of {arguments.trials} trials")
    print("| family | covered | hit | GP covered | GP hit | hump | two lines | width |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.families:
        family = (humps.FAMILIES | humps.NULLS)[name]
        s = measure(family, arguments.repeats, arguments.trials)
        truth = [
            f"{v:.2f}" if name in humps.FAMILIES else "–" for v in (s.covered, s.hit, s.gp_covered, s.gp_hit)
        ]
        print(
            f"| {name} | {' | '.join(truth)} | {s.hump:.2f} | {s.two_lines:.2f} | {s.width:.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
