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
from pydantic import TypeAdapter

from analysis.collapse import Collapse, expected_exponents
from analysis.critical_point import CriticalPoint, critical_point
from analysis.guide import Guide, Recommendation
from analysis.reading import RunPath, read_records, read_run_info
from analysis.table import GainCurve, Selection, gain_curve
from search_spaces.merges import MergeConfig

MOST_OBSERVATIONS = 300


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
    collapse: Collapse | None = None
    """None until `analysis.with_collapse` adds it: a live view can't wait for it."""


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
    return judge(*read_objective(run_path, selection))


def read_objective(
    run_path: RunPath, changes: Mapping[str, Any]
) -> tuple[pd.DataFrame, Selection, float | None]:
    """Return the records that a run is judged by, the selection of its objective with `changes`, and `min_accuracy`.

    Raises:
        RunError: if `run_path` holds no run, or a damaged one.
    """
    recipe = read_run_info(run_path).recipe
    table = read_records(run_path)
    # Like the searcher, it looks at the trial's own task, not at others it was evaluated on.
    own = table[(table["eval_task"] == table["task"]) & of_objective(table, recipe)]
    return own, replace(objective_selection(recipe), **changes), recipe["search"].get("min_accuracy")


def of_objective(table: pd.DataFrame, recipe: Mapping[str, Any]) -> "pd.Series[bool]":
    """Return which records are not of the objective's kind of merge under settings that were added later."""
    settings = {
        merge.settings
        for merge in map(TypeAdapter(MergeConfig).validate_python, recipe["merges"])
        if merge.kind == recipe["merges"][0]["kind"]
    }
    other_kind: pd.Series[bool] = table["merge"] != recipe["merges"][0]["kind"]
    return other_kind | table["merge_settings"].isin(settings)


def judge(table: pd.DataFrame, selection: Selection, min_accuracy: float | None = None) -> Verdict:
    """Return what the records of one experiment say; too few or mixed records are a reason, not an error.

    Args:
        table: the records.
        selection: which of them make the curve.
        min_accuracy: percent; trials whose single models are worse count as low, as `search/min_accuracy` has it.
    """
    return judge_all(table, [selection], min_accuracy)[selection]


def judge_all(
    table: pd.DataFrame, selections: Iterable[Selection], min_accuracy: float | None = None
) -> dict[Selection, Verdict]:
    """Return the verdict of each selection of the same records, fitting no curve twice."""
    peak = cache(partial(_peak, table, min_accuracy))
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
            guide = Guide(curve, point, expected_exponents(optimizer))
            recommendations = tuple(
                guide.recommend(size, momentum, selection.metric, sizes) for size in sizes
            )
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


def _peak(
    table: pd.DataFrame, min_accuracy: float | None, selection: Selection
) -> tuple[GainCurve | None, CriticalPoint | None, str]:
    """Return curve, critical point, and the reason why one of them is None."""
    curve = None
    try:
        curve = gain_curve(table, **asdict(selection), min_accuracy=min_accuracy)
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


def headline(point: CriticalPoint) -> str:
    """Return S* with its interval; where there is no interior peak, a sentence that says so."""
    low, high = point.curve.noise_scale[[0, -1]]
    probability = f"(probability of a hump {point.hump_probability:.2f})"
    match point.finding:
        case "peak":
            return f"S* = {point.noise_scale:.3g}, 95% interval {point.low:.3g} to {point.high:.3g}"
        case "no hump":
            return f"No hump {probability}: gain may be flat, or these trials can't tell."
        case "upper edge":
            return f"Edge of the range {probability}: gain still rises towards its upper end, {high:.2g}; widen it."
        case "lower edge":
            return f"Edge of the range {probability}: gain still rises towards its lower end, {low:.2g}; widen it."


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
    if point.hump and not point.interior:
        end = "lower" if point.noise_scale * point.noise_scale < low * high else "upper"
        found.append(
            f"The peak may lie beyond the {end} end of the swept range, {low:.2g} to {high:.2g}: widen it."
        )
    if not point.hump:
        found.append(f"{headline(point)} Learning rates are those of the best place seen, without intervals.")
    if len(np.unique(curve.batch_size)) == 1:
        found.append("One batch size was swept: that curves align on S is assumed here, not tested.")
    if optimizer == "adamw":
        found.append("For AdamW the axis is the proxy lr / √B, not Eq. 3; its exponent was not fitted.")
    if (lost := np.mean(curve.collapsed > 0)) > 0.5:
        found.append(
            f"{100 * lost:.0f}% of the trials collapsed, all or in part: sample smaller noise scales."
        )
    if poor := int((curve.status == "low").sum()):
        found.append(
            f"{poor} of {len(curve)} trials count as low, since their single models are less accurate than "
            "search/min_accuracy asks."
        )
    return tuple(found)
