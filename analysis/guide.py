"""Which learning rate follows from a peak, for a batch size and momentum: what to expect there, and short of it."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.critical_point import FEWEST_TRIALS, CriticalPoint
from analysis.hump.gaussian_process import smooth
from analysis.table import GainCurve, Selection, trial_names
from search_spaces.noise import noise_denominator

NORMAL = 1.96
"""Standard deviations on each side of a 95% interval."""


@dataclass(frozen=True)
class Merged:
    """What the merged network is expected to reach, with its 95% interval; percent for accuracy, nats for loss."""

    metric: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Stable:
    """The largest tried learning rate short of the peak at which no trial collapsed or was too inaccurate."""

    lr: float
    lost: float
    """Expected gain at the peak less that at `lr`, in the metric's unit."""


@dataclass(frozen=True)
class Recommendation:
    """The learning rate at the peak for one batch size, with the 95% interval that the peak leaves it.

    Where no peak is found it is that of the best place seen, and the ends of the interval are NaN.
    """

    batch_size: int
    momentum: float
    lr: float
    low: float
    high: float
    metric: str
    gain: float
    """Expected gain at the peak, in the metric's unit, with its 95% interval."""
    gain_low: float
    gain_high: float
    note: str = ""
    """What to be careful about; empty if the batch size was swept and S aligns all of them."""
    merged: Merged | None = None
    """None where it wasn't asked for, or too few trials are stable."""
    stable: Stable | None = None
    """None where it wasn't asked for, or no tried learning rate is stable."""


@dataclass(frozen=True)
class Guide:
    """A peak, and the axis lr / (B^b (1 − μ)^c) it is on."""

    curve: GainCurve
    """Its trials; `noise_scale` is their place on the axis."""
    point: CriticalPoint
    axis: tuple[float, float]
    """(b, c)."""
    note: str = ""

    def lr_per_scale(self, batch_size: int, momentum: float) -> float:
        """Return B^b (1 − μ)^c.

        Raises:
            ValueError: if batch_size < 1 or momentum is outside [0, 1).
        """
        b, c = self.axis
        # For b = c the rounding of B (1 − μ) keeps the learning rates of round noise scales round.
        return float(batch_size ** (b - c) * noise_denominator(batch_size, momentum) ** c)

    def recommend(self, batch_size: int, momentum: float, metric: str, swept: list[int]) -> Recommendation:
        """Return the learning rate at the peak for one batch size and momentum.

        Raises:
            ValueError: if batch_size < 1 or momentum is outside [0, 1).
        """
        per_scale, point = self.lr_per_scale(batch_size, momentum), self.point
        notes = [self.note] if self.note else []
        if not swept[0] <= batch_size <= swept[-1]:
            notes.append(
                f"batch size {batch_size} is outside of the swept {swept[0]} to {swept[-1]}: extrapolated"
            )
        elif batch_size not in swept:
            notes.append(f"batch size {batch_size} was not swept, its neighbours were")
        return Recommendation(
            batch_size,
            momentum,
            lr=point.noise_scale * per_scale,
            low=point.low * per_scale,
            high=point.high * per_scale,
            metric=metric,
            gain=point.gain,
            gain_low=point.gain_low,
            gain_high=point.gain_high,
            note="; ".join(notes),
        )

    def stable(self, batch_size: int, momentum: float) -> Stable | None:
        """Return the nearest stable learning rate, tried at this batch size or at the nearest that was swept."""
        own = self.curve.where(self.curve.batch_size == nearest(batch_size, self.curve))
        # Trials at one place count together, whatever the last digits of their learning rates.
        survived = (
            pd.Series((own.collapsed == 0) & (own.status == "ok"))
            .groupby(np.round(np.log10(own.noise_scale), 6))
            .all()
        )
        places = 10 ** survived.index[survived].to_numpy(float)
        places = places[places <= self.point.noise_scale * (1 + 1e-5)]
        if not len(places):
            return None
        best = float(places.max())
        return Stable(best * self.lr_per_scale(batch_size, momentum), self.point.gain - self.gain_at(best))

    def gain_at(self, place: float) -> float:
        """Return the expected gain at a place on the axis."""
        curve = self.point.curve
        return float(np.interp(math.log(place), np.log(curve.noise_scale), curve.mean))

    def merged(self, table: pd.DataFrame, selection: Selection, batch_size: int) -> Merged | None:
        """Return the expected accuracy of the merge, or loss where no accuracy was measured, at the peak.

        A Gaussian process through the trials that did not collapse, of the nearest swept batch size if it has
        enough of them: single networks, unlike gains, need not agree between batch sizes.
        """
        metric = "accuracy" if (table["metric"] == "accuracy").any() else selection.metric
        rows = Selection(**{**vars(selection), "metric": metric}).rows(table)
        reached = rows["f_merged"].groupby(trial_names(rows)).mean()
        value = reached.reindex(self.curve.trial).to_numpy(float)
        usable = (self.curve.collapsed == 0) & np.isfinite(value)
        own = usable & (self.curve.batch_size == nearest(batch_size, self.curve))
        chosen = own if own.sum() >= FEWEST_TRIALS else usable
        if chosen.sum() < FEWEST_TRIALS:
            return None
        x = np.log10(self.curve.noise_scale[chosen])
        # Beyond the stable trials the process would return to their mean.
        at = np.clip(np.log10([self.point.noise_scale]), x.min(), x.max())
        fit = smooth(x, value[chosen], at, np.random.default_rng(0))
        middle, error = float(fit.mean[0]), NORMAL * float(fit.deviation[0])
        high = middle + error
        return Merged(metric, middle, middle - error, min(high, 100.0) if metric == "accuracy" else high)


def nearest(batch_size: int, curve: GainCurve) -> int:
    """Return the swept batch size nearest to `batch_size` in ratio."""
    swept = np.unique(curve.batch_size)
    return int(swept[np.abs(np.log(swept / batch_size)).argmin()])
