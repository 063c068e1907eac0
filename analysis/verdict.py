"""What a run says: where gain peaks, whether it peaks at all, and which learning rate follows from it.

The command line and the report both speak through `verdict`, so that they agree.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd

from analysis.critical_point import CriticalPoint, critical_point
from analysis.reading import RunPath, read_records, read_run_info
from analysis.table import GainCurve, Selection, gain_curve
from search_spaces.noise import adam_noise_scale, lr_for_noise_scale

MOST_OBSERVATIONS = 300


@dataclass(frozen=True)
class Recommendation:
    """The learning rate at S* for one batch size, with the 95% interval that S* leaves it."""

    batch_size: int
    momentum: float
    lr: float
    low: float
    high: float
    gain: float
    """Expected gain at S*, in the metric's unit, with its 95% interval."""
    gain_low: float
    gain_high: float
    note: str = ""
    """What to be careful about; empty if the batch size was swept."""


@dataclass(frozen=True)
class Verdict:
    """The critical point of one experiment, or the reason why there is none."""

    selection: Selection
    optimizer: str
    curve: GainCurve | None
    point: CriticalPoint | None
    reason: str
    """Why there is no point; empty if there is one."""
    recommendations: tuple[Recommendation, ...]
    """One per swept batch size, in order; empty without a point."""
    reported: dict[str, tuple[float, float, float]]
    """Other measured splits → gain at S* with its 95% interval: what selection did not see."""
    warnings: tuple[str, ...]


def objective_selection(recipe: Mapping[str, Any]) -> Selection:
    """Return what the search of `recipe` (as in run.json) optimised, by its first merge.

    The headline is computed on the split that the search saw; others are reported beside it.
    """
    search, merge, measures = recipe["search"], recipe["merges"][0], recipe["measures"]
    alphas, mean = merge["alphas"], merge["kind"] == "linear" and merge["group"] > 2
    return Selection(
        metric=search["metric"],
        split=search["split"],
        merge=merge["kind"],
        alpha=None if mean else 0.5 if 0.5 in alphas else alphas[len(alphas) // 2],
        batchnorm=measures["batchnorm"][0],
    )


def verdict(run_path: RunPath, **selection: Any) -> Verdict:
    """Return what the run at `run_path` says on its objective; `selection` changes fields of `Selection`.

    Raises:
        RunError: if `run_path` holds no run, or a damaged one.
    """
    chosen = replace(objective_selection(read_run_info(run_path).recipe), **selection)
    table = read_records(run_path)
    # Like the searcher, it looks at the trial's own task, not at others it was evaluated on.
    return judge(table[table["eval_task"] == table["task"]], chosen)


def judge(table: pd.DataFrame, selection: Selection) -> Verdict:
    """Return what the records of one experiment say; too few or mixed records are a reason, not an error."""
    return judge_all(table, [selection])[selection]


def judge_all(table: pd.DataFrame, selections: Iterable[Selection]) -> dict[Selection, Verdict]:
    """Return the verdict of each selection of the same records, fitting no curve twice."""
    peak = cache(partial(_peak, table))
    splits = [split for split in table["split"].unique() if split != "train"]
    optimizer = ", ".join(sorted(table["optimizer"].unique()))
    found = {}
    for selection in selections:
        curve, point, reason = peak(selection)
        recommendations: tuple[Recommendation, ...] = ()
        reported: dict[str, tuple[float, float, float]] = {}
        warnings: tuple[str, ...] = ()
        if curve is not None and point is not None:
            sizes, momentum = swept_batch_sizes(curve), usual_momentum(curve)
            recommendations = tuple(recommend(point, optimizer, size, momentum, sizes) for size in sizes)
            others = {
                split: peak(replace(selection, split=split))[1]
                for split in splits
                if split != selection.split
            }
            reported = {split: gain_at(other, point.noise_scale) for split, other in others.items() if other}
            warnings = _warnings(curve, point, optimizer)
        found[selection] = Verdict(
            selection, optimizer, curve, point, reason, recommendations, reported, warnings
        )
    return found


def _peak(table: pd.DataFrame, selection: Selection) -> tuple[GainCurve | None, CriticalPoint | None, str]:
    """Return curve, critical point, and the reason why one of them is None."""
    curve = None
    try:
        curve = gain_curve(table, **asdict(selection))
        return curve, find_peak(curve), ""
    except ValueError as error:
        return curve, None, f"{error}"


def find_peak(curve: GainCurve) -> CriticalPoint:
    """Return the critical point of `curve`, whose trials are one observation each up to `MOST_OBSERVATIONS`.

    Of more trials, neighbours on the noise axis that ended alike are averaged: the check by a Gaussian process
    costs the cube of their number.

    Raises:
        ValueError: if its trials are too few to say.
    """
    sem = curve.sem if np.isfinite(curve.sem).any() else None
    observation = curve.trial
    if len(curve) > MOST_OBSERVATIONS:
        rank = pd.Series(curve.noise_scale).groupby(curve.status).rank("first") - 1
        size = math.ceil(len(curve) / MOST_OBSERVATIONS)
        observation = np.array(
            [f"{s} {r // size:.0f}" for s, r in zip(curve.status, rank, strict=True)], object
        )
    return critical_point(curve.noise_scale, curve.gain, sem=sem, group=observation, status=curve.status)


def recommend(
    point: CriticalPoint, optimizer: str, batch_size: int, momentum: float, swept: list[int]
) -> Recommendation:
    """Return the learning rate at S*: S* B (1 − μ) for SGD, S* √B for AdamW.

    Raises:
        ValueError: if batch_size < 1 or momentum is outside [0, 1).
    """
    if optimizer == "adamw":
        per_scale = 1.0 / adam_noise_scale(1.0, batch_size)
    else:
        per_scale = lr_for_noise_scale(1.0, batch_size, momentum)
    note = ""
    if not swept[0] <= batch_size <= swept[-1]:
        note = f"batch size {batch_size} is outside of the swept {swept[0]} to {swept[-1]}: extrapolated"
    elif batch_size not in swept:
        note = f"batch size {batch_size} was not swept, its neighbours were"
    return Recommendation(
        batch_size,
        momentum,
        lr=point.noise_scale * per_scale,
        low=point.low * per_scale,
        high=point.high * per_scale,
        gain=point.gain,
        gain_low=point.gain_low,
        gain_high=point.gain_high,
        note=note,
    )


def recommend_info(
    run_path: RunPath, batch_size: int, momentum: float | None = None, **selection: Any
) -> Recommendation:
    """Return the learning rate at S* for `batch_size`; `momentum` defaults to the sweep's usual one.

    All swept batch sizes enter S*. The expected gain is that of the split the search saw.

    Raises:
        ValueError: if the run has no critical point, or a setting is out of range.
    """
    found = verdict(run_path, **selection)
    if found.point is None or found.curve is None:
        raise ValueError(f"{run_path}: {found.reason}")
    swept = swept_batch_sizes(found.curve)
    chosen = usual_momentum(found.curve) if momentum is None else momentum
    return recommend(found.point, found.optimizer, batch_size, chosen, swept)


def usual_momentum(curve: GainCurve) -> float:
    """Return the momentum of most trials; of several, the largest."""
    values, counts = np.unique(curve.momentum, return_counts=True)
    return float(values[counts == counts.max()][-1])


def swept_batch_sizes(curve: GainCurve) -> list[int]:
    """Return the batch sizes of the trials, in order."""
    return sorted({int(size) for size in curve.batch_size})


def gain_at(point: CriticalPoint, noise_scale: float) -> tuple[float, float, float]:
    """Return the expected gain at `noise_scale`, and its 95% interval, from the curve that gave `point`."""
    where, grid = math.log(noise_scale), np.log(point.curve.noise_scale)
    mean, low, high = (
        float(np.interp(where, grid, y)) for y in (point.curve.mean, point.curve.low, point.curve.high)
    )
    return mean, low, high


def _warnings(curve: GainCurve, point: CriticalPoint, optimizer: str) -> tuple[str, ...]:
    low, high = curve.noise_scale.min(), curve.noise_scale.max()
    found = []
    if not point.interior:
        end = "lower" if point.noise_scale * point.noise_scale < low * high else "upper"
        found.append(
            f"The peak may lie beyond the {end} end of the swept range, {low:.2g} to {high:.2g}: widen it."
        )
    if not point.hump:
        found.append(
            f"No hump is claimed (probability {point.hump_probability:.2f}): gain may be flat, or rise or fall "
            "throughout."
        )
    if len(np.unique(curve.batch_size)) == 1:
        found.append("One batch size was swept: that curves align on S is assumed here, not tested.")
    if optimizer == "adamw":
        found.append("For AdamW the axis is the proxy lr / √B, not Eq. 3; its exponent was not fitted.")
    if (lost := np.mean(curve.collapsed > 0)) > 0.5:
        found.append(
            f"{100 * lost:.0f}% of the trials collapsed, all or in part: sample smaller noise scales."
        )
    return tuple(found)
