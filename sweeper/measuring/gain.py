"""Merge gain, and when it means something.

Notation: f_A, f_B, f_M the metric of two endpoints and of their merge, on one split.
"""

import math
from collections.abc import Iterable

from torch import Tensor

from analysis.records import MergeRecord, Status
from search_spaces.recipe import Search

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


def status(accuracies: Iterable[float | None], chance: float) -> Status:
    """Return `diverged` if an endpoint has no accuracy, `at_chance` if one is no better than chance, else `ok`."""
    known = list(accuracies)
    if None in known:
        return "diverged"
    return "at_chance" if any(accuracy <= chance for accuracy in known if accuracy is not None) else "ok"


def objective(records: Iterable[MergeRecord], search: Search) -> float | None:
    """Return what the searcher maximises: the mean over a trial's branch points and pairs, finite.

    It is taken over the first merge, first coefficient and first batch-norm policy among `records`, on the
    search's split and metric: the gain, or the merged network's own accuracy or negative loss. Merges of
    diverged and at-chance endpoints count as the floor, and nothing counts as less. None if there is no record.
    """
    floor = FLOORS[search.objective, search.metric] if search.floor is None else search.floor
    chosen = [
        r for r in records if (r.split, r.metric) == (search.split, search.metric) and r.eval_task == r.task
    ]
    if not chosen:
        return None
    first = chosen[0]
    same = ("merge", "merge_settings", "alpha", "batchnorm")
    values = [
        max(floor, _value(record, search)) if record.status == "ok" else floor
        for record in chosen
        if all(getattr(record, name) == getattr(first, name) for name in same)
    ]
    return math.fsum(values) / len(values)


def _value(record: MergeRecord, search: Search) -> float:
    value = record.gain if search.objective == "gain" else record.f_merged
    assert value is not None
    return -value if search.objective == "merged" and search.metric == "loss" else value
