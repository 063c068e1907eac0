"""Merge gain, and when it means something.

Notation: f_A, f_B, f_M the metric of two endpoints and of their merge, on one split.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict

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
    loss. Merges of diverged and at-chance endpoints count as the floor, and nothing counts as less. None if no
    record is selected.
    """
    floor = floor_of(search)
    values = [
        max(floor, _value(record, search)) if record.status == "ok" else floor
        for record in records
        if record.eval_task == record.task and _selected(record, selection)
    ]
    return math.fsum(values) / len(values) if values else None


def _selected(record: MergeRecord, selection: Selection) -> bool:
    return all(getattr(record, name) == value for name, value in asdict(selection).items())


def _value(record: MergeRecord, search: Search) -> float:
    value = record.gain if search.objective == "gain" else record.f_merged
    assert value is not None
    return -value if search.objective == "merged" and search.metric == "loss" else value
