"""Merge gain, and when it means something.

Notation: f_A, f_B, f_M the metric of two endpoints and of their merge, on one split.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from statistics import fmean, stdev

from torch import Tensor

from analysis.records import MergeRecord, Status
from analysis.table import Selection
from search_spaces.recipe import Search
from sweeper.measuring.metrics import Scores

FLOORS = {
    ("gain", "accuracy"): -10.0,
    ("gain", "loss"): -3.0,
    ("merged", "accuracy"): 0.0,
    ("merged", "loss"): -10.0,
}
"""What a searcher is told of diverged and at-chance merges, by (objective, metric); worse gains are raised to it."""

CHANCE_ERRORS = 2.0
"""Standard errors above chance at which an accuracy stops being luck."""


def gain(metric: str, merged: float, mean: float) -> float:
    """Return f_M − (f_A + f_B)/2 for accuracy and its negative for loss: larger is better in both.

    Source: Zhang et al. (2026), section 3.1 and appendix G.
    """
    return merged - mean if metric == "accuracy" else mean - merged


def chance_level(targets: Tensor) -> float:
    """Return the largest accuracy, in percent, that guessing reaches by luck on `targets`, shape (N,).

    It is the share p of the most frequent class plus two of its standard errors, √(p (1 − p) / N).
    """
    share = float(targets.bincount().max()) / len(targets)
    return 100.0 * (share + CHANCE_ERRORS * math.sqrt(share * (1.0 - share) / len(targets)))


def status(scores: Iterable[Scores | None], chance: float) -> Status:
    """Return `diverged` if an endpoint has no scores, `at_chance` if one is no better than chance, else `ok`."""
    known = list(scores)
    if None in known:
        return "diverged"
    return "at_chance" if any(each is not None and each.accuracy <= chance for each in known) else "ok"


def floor_of(search: Search) -> float:
    """Return what the searcher is told of merges that mean nothing."""
    return FLOORS[search.objective, search.metric] if search.floor is None else search.floor


def objective(records: Iterable[MergeRecord], search: Search, selection: Selection) -> float | None:
    """Return what the searcher maximises: the mean over a trial's branch points and pairs, finite.

    It is taken over the records of `selection`: the gain, or the merged network's own accuracy or negative
    loss. A pair that has collapsed counts as in `analysis.table`: beside others as a gain of 0, or as their mean where
    that is less; where all have, and for the merged network itself, as the floor. Nothing counts as less than the
    floor, and as the floor counts the whole trial if its single models are on average less accurate than
    `search.min_accuracy`. None if no record is selected.
    """
    known, floor = list(records), floor_of(search)
    values = _values(selected(known, selection), search)
    if not values:
        return None
    if search.min_accuracy is not None and _single_accuracy(known, selection) < search.min_accuracy:
        return floor
    return math.fsum(values) / len(values)


def objective_sem(records: Iterable[MergeRecord], search: Search, selection: Selection) -> float | None:
    """Return the standard error of `objective`: s / √m of the means at m branch points.

    With one branch point it is that of its pairs, a lower bound, since pairs share endpoints. None if there is but one
    value, or if a pair has collapsed: what it counts as is no measurement.
    """
    chosen = selected(records, selection)
    if any(record.status != "ok" for record in chosen):
        return None
    means = list(branch_values(chosen, search).values())
    spread = means if len(means) > 1 else _values(chosen, search)
    return stdev(spread) / math.sqrt(len(spread)) if len(spread) > 1 else None


def selected(records: Iterable[MergeRecord], selection: Selection) -> list[MergeRecord]:
    """Return the records of `selection` on the trial's own task; merges that failed say nothing."""
    wanted = asdict(selection).items()
    return [
        record
        for record in records
        if record.status != "failed"
        and record.eval_task == record.task
        and all(getattr(record, name) == value for name, value in wanted)
    ]


def branch_values(records: Iterable[MergeRecord], search: Search) -> dict[int, float]:
    """Return branch step → mean over its pairs of what the searcher maximises, in the order of `records`."""
    known, values = list(records), dict[int, list[float]]()
    for record, value in zip(known, _values(known, search), strict=True):
        values.setdefault(record.branch_step, []).append(value)
    return {step: fmean(each) for step, each in values.items()}


def _single_accuracy(records: Iterable[MergeRecord], selection: Selection) -> float:
    """Return the mean accuracy of the single models, in percent; diverged ones are left out."""
    accuracies = [
        record.f_mean
        for record in selected(records, replace(selection, metric="accuracy"))
        if record.f_mean is not None
    ]
    return fmean(accuracies) if accuracies else 0.0


def _values(records: Sequence[MergeRecord], search: Search) -> list[float]:
    """Return what each merge of a trial tells the searcher, by the rules of `objective`."""
    floor = floor_of(search)
    known = [
        max(floor, _quality(record, search)) if record.status == "ok" else math.nan for record in records
    ]
    alive = [value for value in known if math.isfinite(value)]
    lost = min(0.0, fmean(alive)) if alive and search.objective == "gain" else floor
    return [value if math.isfinite(value) else lost for value in known]


def _quality(record: MergeRecord, search: Search) -> float:
    """Return the gain, or the quality of the merged network; larger is better."""
    value = record.gain if search.objective == "gain" else record.f_merged
    assert value is not None
    return -value if search.objective == "merged" and search.metric == "loss" else value
