"""The critical noise scale S* = argmax of gain over S, with its interval and tests that there is a peak at all."""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.hump.gaussian_process import smooth, squash
from analysis.hump.posterior import HumpPosterior
from analysis.hump.smc import Array
from analysis.hump.two_lines import TwoLines, two_lines

Finding = Literal["peak", "lower edge", "upper edge", "no hump"]

FEWEST_TRIALS = 5
CLAIM = 0.9
"""Posterior probability of a hump above which one is claimed."""
WITHIN = math.log10(1.25)
"""Half the window, in decades, in which an estimate counts as a hit."""
GRID, GP_GRID = 256, 100
THIN = 8
"""Every how many draws a curve is computed: neighbouring populations of the sampler are alike."""


@dataclass(frozen=True)
class Location:
    """A noise scale with its 95% interval."""

    noise_scale: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Band:
    """The posterior of the gain on a grid of noise scales: mean and pointwise 95% band, each (G,)."""

    noise_scale: Array
    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class CriticalPoint:
    """Where the gain peaks, how sure that is, and what it is worth. Gains are in the caller's unit."""

    noise_scale: float
    """S*, within the measured range; the best place seen where no peak is found."""
    low: float
    """95% interval of S*, which may reach .75 decades beyond the measured range; NaN where no peak is found."""
    high: float
    gain: float
    """Expected gain at S*, with its 95% interval."""
    gain_low: float
    gain_high: float
    interior: bool
    """95% of the posterior of S* lie inside the measured range."""
    finding: Finding
    """A peak that stands out from both ends of the measured range with probability .9; or the end at which gain is
    highest, if it stands out from the other one; or neither."""
    hump_probability: float
    """P(drop > max(.1 |T|, s)): the peak T stands out from both ends by more than the noise s."""
    point: Literal["least_regret", "most_mass"]
    """What `noise_scale` is: the argmax of the posterior mean curve, or, where the peak lies at a cliff, the
    centre of the ×1.25 window that most likely holds it."""
    regret: float
    """Expected gain lost by using S* instead of the true argmax."""
    two_lines: TwoLines
    gp: Location
    """The estimate of a plain Gaussian process, as a check."""
    curve: Band = field(repr=False)
    draws: Array = field(repr=False)
    """Draws of the noise scale at the peak."""
    n: int
    """Observations used: trials, diverged ones included, failed ones not."""

    @property
    def hump(self) -> bool:
        """Whether a peak is found."""
        return self.finding == "peak"


def critical_point(
    noise_scale: ArrayLike,
    gain: ArrayLike,
    sem: ArrayLike | None = None,
    group: ArrayLike | None = None,
    status: ArrayLike | None = None,
    seed: int = 0,
) -> CriticalPoint:
    """Return the noise scale S* at which the gain peaks, with a 95% interval.

    The unit of the gain does not matter; neither does the order of the rows.

    Args:
        noise_scale: S > 0, one per row.
        gain: larger is better; NaN means diverged.
        sem: known standard errors. Their median is a lower bound of the noise assumed beforehand.
        group: the trial of each row. A trial's rows are one observation: the mean of their gains at the
            geometric mean of their S. It is diverged if any of its rows is, and at chance if all are.
        status: ok, diverged or low (both known only to be low), at_chance (the gain bounds the curve from above)
            or failed (left out).
        seed: of the sampler; the result is a function of the arguments.

    Raises:
        ValueError: if lengths differ, a noise scale is not positive, fewer than 5 trials remain, or none of
            them has a gain.

    Source: `analysis.hump` for the posterior, `analysis.hump.two_lines` for the two lines.
    """
    trials = _observations(noise_scale, gain, sem, group, status)
    x, diverged, at_chance = (
        trials["x"].to_numpy(),
        trials["diverged"].to_numpy(),
        trials["at_chance"].to_numpy(),
    )
    rng = np.random.default_rng(seed)
    noise = 0.0 if sem is None else math.sqrt(trials["variance"].median())
    posterior = HumpPosterior.fit(x, trials["gain"].to_numpy(), diverged, at_chance, rng, least_noise=noise)

    grid = np.linspace(posterior.x[0], posterior.x[-1], GRID)
    curves = posterior.curves(grid, THIN)
    mean = curves.mean(axis=0)
    places = np.sort(posterior.argmax_draws)
    at_cliff = posterior.cliff(float(np.median(places))) is not None
    best = _most_mass(places, grid) if at_cliff else int(mean.argmax())
    # The recommendation stays in the measured range, and its interval must hold it.
    low, high = posterior.interval()
    low, high = min(low, grid[best]), max(high, grid[best])
    finding = _finding(posterior)
    claimed = finding == "peak"
    band_low, band_high = np.quantile(curves, [0.025, 0.975], axis=0)
    gp, lines = _checks(posterior, rng)
    return CriticalPoint(
        noise_scale=float(10 ** grid[best]),
        low=float(10**low) if claimed else math.nan,
        high=float(10**high) if claimed else math.nan,
        gain=float(mean[best]),
        gain_low=float(band_low[best]),
        gain_high=float(band_high[best]),
        interior=bool(grid[0] <= low and high <= grid[-1]),
        finding=finding,
        hump_probability=posterior.hump_probability(),
        point="most_mass" if at_cliff else "least_regret",
        regret=float((posterior.peaks(THIN) - curves[:, best]).mean()),
        two_lines=lines,
        gp=gp,
        curve=Band(10**grid, mean, band_low, band_high),
        draws=10**posterior.argmax_draws,
        n=len(x),
    )


def _finding(posterior: HumpPosterior) -> Finding:
    stands_out = posterior.stands_out()
    from_low, from_high = (stands_out.mean(axis=0) > CLAIM).tolist()
    if stands_out.all(axis=1).mean() > CLAIM:
        return "peak"
    if from_low != from_high:
        return "upper edge" if from_low else "lower edge"
    return "no hump"


def _most_mass(places: Array, grid: Array) -> int:
    """Return the index of the grid point, the middle one of equals, around which most of `places` lie."""
    mass = np.searchsorted(places, grid + WITHIN, "right") - np.searchsorted(places, grid - WITHIN, "left")
    return int(np.median(np.flatnonzero(mass == mass.max())))


def _checks(posterior: HumpPosterior, rng: np.random.Generator) -> tuple[Location, TwoLines]:
    """Return the Gaussian process's estimate and the two-lines test of the same trials."""
    x, unit = posterior.x, posterior.scale.unit
    relative = posterior.y / unit
    lowest = min(np.nanmin(relative), posterior.scale.floor / unit)
    grid = np.linspace(x[0], x[-1], GP_GRID)
    fit = smooth(x, squash(np.where(np.isnan(relative), lowest, relative)), grid, rng)
    low, middle, high = (float(10**q) for q in np.quantile(fit.argmax_draws, [0.025, 0.5, 0.975]))
    error = float(fit.deviation[fit.mean.argmax()])
    lines = two_lines(x, posterior.floored, np.interp(x, grid, fit.mean), error)
    return Location(middle, low, high), lines


def _observations(
    noise_scale: ArrayLike,
    gain: ArrayLike,
    sem: ArrayLike | None,
    group: ArrayLike | None,
    status: ArrayLike | None,
) -> pd.DataFrame:
    """Return one row per trial: x, gain, variance (NaN if unknown), diverged, at_chance.

    Raises:
        ValueError: as `critical_point`.
    """
    n = np.size(noise_scale)
    for name, values in {"gain": gain, "sem": sem, "group": group, "status": status}.items():
        if values is not None and np.size(values) != n:
            raise ValueError(f"{name} has {np.size(values)} values and noise_scale {n}: give one per row")
    rows = pd.DataFrame(
        {
            "noise_scale": np.asarray(noise_scale, float),
            "gain": np.asarray(gain, float),
            "variance": np.nan if sem is None else np.asarray(sem, float) ** 2,
            "group": np.arange(n) if group is None else np.asarray(group),
            "status": "ok" if status is None else np.asarray(status),
        }
    )
    rows = rows[rows["status"] != "failed"]
    positive = rows["noise_scale"] > 0
    if not positive.all():
        wrong = rows.loc[~positive, "noise_scale"].iloc[0]
        raise ValueError(f"noise_scale {wrong} is not positive: critical_point works on its logarithm")
    rows["x"] = np.log10(rows["noise_scale"])
    rows["at_chance"] = (rows["status"] == "at_chance") & np.isfinite(rows["gain"])
    rows["diverged"] = rows["status"].isin(["diverged", "low"]) | ~np.isfinite(rows["gain"])
    # A trial's gain is that of the rows in which the network had learned something, if there are any.
    rows["learned"] = rows["gain"].where(~rows["at_chance"])
    by_trial = rows.groupby("group", dropna=False)
    trials = by_trial[["x", "gain", "learned"]].mean()
    trials["gain"] = trials["learned"].fillna(trials["gain"])
    trials["variance"] = by_trial["variance"].sum(min_count=1) / by_trial.size() ** 2
    trials["diverged"], trials["at_chance"] = by_trial["diverged"].any(), by_trial["at_chance"].all()
    if len(trials) < FEWEST_TRIALS:
        raise ValueError(f"critical_point needs at least {FEWEST_TRIALS} trials, got {len(trials)}: run more")
    if (trials["diverged"] | trials["at_chance"]).all():
        raise ValueError(
            f"none of {len(trials)} trials has a gain: all diverged or are at chance; try smaller noise scales"
        )
    return trials
