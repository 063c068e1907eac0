"""Measure the exponents on planted grids. The table of docs/collapse.md:

python tests/analysis/collapse_coverage.py --repeats 100
"""

import argparse
from collections import Counter
from collections.abc import Iterator

import grids
import numpy as np
from grids import Grid
from scipy import stats

from analysis.collapse import find_collapse
from analysis.collapse.cells import Cells
from analysis.collapse.exponents import (
    KNOTS,
    PROFILE,
    Estimate,
    ExponentPosterior,
    spline_errors,
    spline_profile,
)

CASES = {
    "perfect": {},
    "scattered by .1 decade": {"scatter": 0.1},
    "b = .6": {"b": 0.6},
    "b = 1.5, scattered": {"b": 1.5, "scatter": 0.1},
    "heights differ by 15%": {"uneven": 0.15},
    "no standard errors": {"known": False},
    "momentum, c = .5": {"c": 0.5, "momenta": (0.0, 0.7, 0.9), "batch_sizes": 3},
}
BOOTSTRAPS = 100


def cells_of(grid: Grid, rng: np.random.Generator) -> Cells:
    return Cells.of(
        grid.lr,
        grid.batch_size,
        grid.momentum,
        grid.gain,
        sem=grid.sem,
        status=None,
        weight_decay=None,
        measured=None,
        expected=(1.0, 1.0),
        rng=rng,
    )


def planted(case: dict, shape: str, repeats: int) -> Iterator[tuple[Grid, Cells, np.random.Generator]]:
    for repeat in range(repeats):
        rng = np.random.default_rng([3, repeat])
        grid = grids.grid(rng, grids.SHAPES[shape](rng), **case)
        yield grid, cells_of(grid, rng), rng


def f_interval(cells: Cells) -> Estimate:
    """The 95% interval of b by the F test on the spline's profile: right if all errors were independent noise."""
    error = spline_errors(cells.x - (PROFILE[:, None] - 1) * cells.regressors["b"], cells.floored)
    free = len(cells) - len(KNOTS) - 1
    inside = PROFILE[error <= error.min() * (1 + stats.f.ppf(0.95, 1, free) / free)]
    return Estimate(PROFILE[error.argmin()], inside.min(), inside.max())


def bootstrap_interval(cells: Cells, rng: np.random.Generator) -> Estimate:
    """The percentile interval of the spline's b over curves drawn with replacement."""
    curves = np.unique(cells.curve)
    found = []
    while len(found) < BOOTSTRAPS:
        drawn = np.concatenate([np.flatnonzero(cells.curve == c) for c in rng.choice(curves, len(curves))])
        again = cells.where(drawn)
        if "b" in again.regressors:
            found.append(spline_profile(again)["b"])
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(float(np.median(found)), low, high)


def holds(found: Estimate, truth: float) -> bool:
    return found.low <= truth <= found.high


def scores(case: dict, shape: str, repeats: int, baselines: bool) -> np.ndarray:
    """Return the means of: b covered, trimmed b covered, F, bootstrap, c covered, width, trimmed width, bias."""
    rows = []
    for grid, cells, rng in planted(case, shape, repeats):
        posterior = ExponentPosterior.fit(cells, rng)
        b = posterior.exponent("b")
        trimmed = ExponentPosterior.fit(cells.where(cells.before_collapse), rng).exponent("b")
        momentum = "c" in cells.regressors
        plain = baselines and not momentum
        rows.append(
            (
                holds(b, grid.b),
                holds(trimmed, grid.b),
                holds(f_interval(cells), grid.b) if plain else np.nan,
                holds(bootstrap_interval(cells, rng), grid.b) if plain else np.nan,
                holds(posterior.exponent("c"), grid.c) if momentum else np.nan,
                b.high - b.low,
                trimmed.high - trimmed.low,
                b.value - grid.b,
            )
        )
    return np.mean(rows, axis=0)


def verdicts(case: dict, shape: str, repeats: int) -> Counter:
    """Return how often a collapse holds, is imperfect, and can't be told."""
    return Counter(
        find_collapse(grid.lr, grid.batch_size, grid.momentum, grid.gain, sem=grid.sem).verdict
        for grid, _, _ in planted(case, shape, repeats)
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--verdicts", action="store_true", help="how often a collapse is said to hold, instead"
    )
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--shapes", nargs="*", default=list(grids.SHAPES))
    parser.add_argument("--baselines", action="store_true", help="the F test and the bootstrap as well")
    arguments = parser.parse_args()
    if arguments.verdicts:
        for name in arguments.cases:
            for shape in arguments.shapes:
                print(name, shape, dict(verdicts(CASES[name], shape, arguments.repeats)), flush=True)
        return
    print("| collapse | shape | b | trimmed | F test | bootstrap | c | width | trimmed | bias |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in arguments.cases:
        for shape in arguments.shapes:
            found = scores(CASES[name], shape, arguments.repeats, arguments.baselines)
            numbers = " | ".join("–" if np.isnan(value) else f"{value:.2f}" for value in found)
            print(f"| {name} | {shape} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
