"""The learning rates that follow from a verdict, on the axis that the collapse of the batch sizes supports."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from analysis.collapse import Collapse, axis_words, expected_exponents, find_collapse, measured_noise
from analysis.critical_point import CriticalPoint
from analysis.guide import Guide, Recommendation
from analysis.reading import RunPath, read_measurements, read_run_info
from analysis.table import GainCurve
from analysis.verdict import Verdict, find_peak, judge, read_objective, swept_batch_sizes, usual_momentum


def whole_verdict(run_path: RunPath, **selection: Any) -> Verdict:
    """Return what the run at `run_path` says on its objective, with its collapse and all that is to be recommended.

    `selection` changes fields of `Selection`.

    Raises:
        RunError: if `run_path` holds no run, or a damaged one.
    """
    return _read(run_path, selection)[1]


def with_collapse(found: Verdict, table: pd.DataFrame, measured: pd.Series | None = None) -> Verdict:
    """Return `found`, judged from `table`, with its collapse, which its recommendations and warnings heed.

    `measured` is trial → S_eff, as `effective_noise` gives, a further axis.

    Where the expected exponents are rejected, learning rates are taken at the peak on the fitted axis, or at each
    batch size's own. It takes a second or two.
    """
    curve = found.curve
    if found.point is None or curve is None:
        return found
    aligned = find_collapse(
        curve.lr,
        curve.batch_size,
        curve.momentum,
        curve.gain,
        sem=curve.sem,
        status=curve.status,
        measured=None if measured is None else pd.Series(curve.trial).map(measured),
        expected=expected_exponents(found.optimizer),
    )
    guide_for = _guides(curve, found.point, aligned)
    sizes, momentum = swept_batch_sizes(curve), usual_momentum(curve)
    recommendations = tuple(
        _recommend(found, guide_for(size), aligned, table, size, momentum, sizes) for size in sizes
    )
    remedy = () if aligned.axis == aligned.expected else (_remedy(aligned),)
    return replace(
        found,
        collapse=aligned,
        recommendations=recommendations,
        warnings=(*found.warnings, *remedy),
    )


def _guides(curve: GainCurve, point: CriticalPoint, aligned: Collapse) -> Callable[[int], Guide]:
    """Return batch size → the peak at which its learning rate is taken."""
    if aligned.axis is None:

        def of_nearest(batch_size: int) -> Guide:
            size = min(aligned.peaks, key=lambda swept: abs(math.log(swept / batch_size)))
            own = curve.where(curve.batch_size == size)
            return Guide(
                own, find_peak(own), aligned.expected, f"taken at the peak of batch size {size} alone"
            )

        return of_nearest
    if aligned.axis == aligned.expected:
        shared = Guide(curve, point, aligned.expected)
    else:
        moved = replace(curve, noise_scale=aligned.coordinate(curve.lr, curve.batch_size, curve.momentum))
        note = f"taken at the peak over {axis_words(aligned.axis)}"
        shared = Guide(moved, find_peak(moved), aligned.axis, note)
    return lambda _: shared


def _recommend(
    verdict: Verdict,
    guide: Guide,
    aligned: Collapse,
    table: pd.DataFrame,
    batch_size: int,
    momentum: float,
    swept: list[int],
) -> Recommendation:
    """Return the learning rate at a guide's peak; fitted exponents are themselves uncertain, which widens it."""
    found = guide.recommend(batch_size, momentum, verdict.selection.metric, swept)
    spread = aligned.lr_at(batch_size, momentum)
    if spread is not None and guide.point.hump and guide.axis != aligned.expected:
        found = replace(found, low=min(found.lr, spread.low), high=max(found.lr, spread.high))
    return replace(
        found,
        merged=guide.merged(table, verdict.selection, batch_size),
        stable=guide.stable(batch_size, momentum),
    )


def _remedy(aligned: Collapse) -> str:
    """Return what is done about exponents that were rejected."""
    wrong = f"{axis_words(aligned.expected)} does not align the batch sizes"
    if aligned.axis is None:
        return f"{wrong}, nor does any power: learning rates are those of each one's own peak."
    return f"{wrong}: learning rates are those of the peak over {axis_words(aligned.axis)}."


def recommend_info(
    run_path: RunPath, batch_size: int, momentum: float | None = None, **selection: Any
) -> Recommendation:
    """Return the learning rate at the peak for `batch_size`; `momentum` defaults to the sweep's usual one.

    All swept batch sizes enter, on the axis that the collapse supports. What is expected there is that of the split
    the search saw.

    Raises:
        ValueError: if the run has no critical point, or a setting is out of range.
    """
    table, found = _read(run_path, selection)
    if found.point is None or found.curve is None or found.collapse is None:
        raise ValueError(f"{run_path}: {found.reason}")
    momentum = usual_momentum(found.curve) if momentum is None else momentum
    guide = _guides(found.curve, found.point, found.collapse)(batch_size)
    swept = swept_batch_sizes(found.curve)
    return _recommend(found, guide, found.collapse, table, batch_size, momentum, swept)


def _read(run_path: RunPath, selection: Mapping[str, Any]) -> tuple[pd.DataFrame, Verdict]:
    """Return the records of a run and what they say on its objective, collapse included."""
    table, chosen, min_accuracy = read_objective(run_path, selection)
    measured = measured_noise(read_run_info(run_path).recipe, partial(read_measurements, run_path))
    return table, with_collapse(judge(table, chosen, min_accuracy), table, measured)
