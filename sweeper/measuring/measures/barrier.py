"""The loss barrier on the path between two endpoints."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from search_spaces.merges import PATHS
from sweeper.measuring.measures.base import Number, Site

FIELDS = ("key_a", "key_b", "merge", "merge_settings", "batchnorm", "eval_task", "split", "metric")
"""What the records of one path have in common."""


class Barrier(NamedTuple):
    """How far losses on a path rise above its ends: above the line between them, and above their mean."""

    above_line: float
    above_mean: float


def barrier_of(alphas: Sequence[float], losses: Sequence[float], first: float, last: float) -> Barrier:
    """Return max_α [L(α) − ((1−α) L₀ + α L₁)] and max_α L(α) − (L₀ + L₁)/2.

    `losses` are L(α) at `alphas` in [0, 1]; L₀ = `first` and L₁ = `last` are on the path too, so neither is negative.

    Source: Entezari et al. (2022), Eq. 1; Frankle et al. (2020), section 2.
    """
    path = [(0.0, first), *zip(alphas, losses, strict=True), (1.0, last)]
    return Barrier(
        max(loss - ((1 - alpha) * first + alpha * last) for alpha, loss in path),
        max(loss for _, loss in path) - (first + last) / 2,
    )


def barrier(site: Site) -> Iterator[Number]:
    """Yield the barriers of every path that was merged, in nats of loss, or in percent of error for accuracy."""
    paths: dict[tuple[str, ...], dict[float, tuple[float | None, ...]]] = {}
    for record in site.records:
        if record.merge in PATHS and record.alpha is not None and 0 <= record.alpha <= 1:
            path = paths.setdefault(tuple(getattr(record, name) for name in FIELDS), {})
            path[record.alpha] = (record.f_merged, record.f_a, record.f_b)
    for fields, path in paths.items():
        described = dict(zip(FIELDS, fields, strict=True))
        subject = (described.pop("key_a"), described.pop("key_b"))
        # A path on which some network has no finite loss has no finite barrier either.
        values = [[math.nan if f is None else f for f in point] for point in path.values()]
        sign = 1.0 if described["metric"] == "loss" else -1.0
        found = (
            barrier_of(
                list(path),
                [sign * merged for merged, _, _ in values],
                *(sign * end for end in values[0][1:]),
            )
            if all(math.isfinite(f) for point in values for f in point)
            else Barrier(math.nan, math.nan)
        )
        settings = described | {
            "alphas": sorted(path),
            "merge_settings": json.loads(described["merge_settings"]),
        }
        yield Number(subject, "barrier", found.above_line, settings)
        yield Number(subject, "barrier_above_mean", found.above_mean, settings)
