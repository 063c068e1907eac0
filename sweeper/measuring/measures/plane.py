"""Slices of the loss landscape: the plane through three networks.

Notation: θ₀, θ₁, θ₂ the anchors. x runs along u = θ₂ − θ₀, y along v, which is θ₁ − θ₀ less its part along u; both
are distances in parameter space. So θ₀ lies at (0, 0), θ₂ at (‖u‖, 0) and θ₁ at (p, ‖v‖), p its part along u.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sweeper.measuring.measures.base import Number, Site
from sweeper.merging import StateDict, linear

MARGIN = 0.25
"""How far the grid reaches beyond the anchors, in shares of their extent."""
LINE = 1e-6
"""Height over length of a triangle below which its corners lie on a line."""


@dataclass(frozen=True)
class Plane:
    """Where the anchors lie; a point of the plane is a weighted mean of them."""

    length: float
    """‖u‖, of θ₀ to θ₂."""
    foot: float
    """p, the place of θ₁ along u."""
    height: float
    """‖v‖, of θ₁ above that."""

    def weights(self, x: float, y: float) -> tuple[float, float, float]:
        """Return (w₀, w₁, w₂), Σ w = 1, for which Σ w_i θ_i lies at (x, y); at an anchor exactly 0 and 1."""
        first = y / self.height
        second = (x - first * self.foot) / self.length
        return 1.0 - first - second, first, second

    def axes(self, points: int) -> tuple[list[float], list[float]]:
        """Return the coordinates of a grid: `points` at equal distances on each axis, and those of the anchors."""
        return _axis((0.0, self.foot, self.length), points), _axis((0.0, self.height), points)


def plane_through(anchors: Sequence[StateDict], names: Sequence[str]) -> Plane | None:
    """Return the plane through three networks in the space of the parameters `names`; None if they lie on a line.

    Source: Garipov et al. (2018), section 3, with distances as coordinates.
    """
    along = across = inner = 0.0
    origin, one, two = anchors
    for name in names:
        zero = origin[name].double()
        u, v = two[name].double() - zero, one[name].double() - zero
        along += float(u.square().sum())
        across += float(v.square().sum())
        inner += float((u * v).sum())
    height_squared = across - inner**2 / along if along else 0.0
    if height_squared <= LINE**2 * max(along, across):
        return None
    length = math.sqrt(along)
    return Plane(length, inner / length, math.sqrt(height_squared))


def plane(site: Site) -> Iterator[Number]:
    """Yield loss and accuracy on a grid in the plane through the branch point and each pair of endpoints.

    Batch norm is recalibrated at every point: statistics between networks belong to none of them.
    """
    start, measures = site.start, site.config.measures
    if start.state is None:
        return
    names = [name for name, _ in site.meter.network.named_parameters()]
    for (key_a, a), (key_b, b) in itertools.combinations(site.ends.items(), 2):
        anchors = [start.state, a, b]
        if (found := plane_through(anchors, names)) is None:
            continue
        xs, ys = found.axes(measures.plane_points)
        for index, (y, x) in enumerate(itertools.product(ys, xs)):
            weights = found.weights(x, y)
            scores = site.meter.scores(linear(anchors, weights=weights), "recalibrated")
            for ((eval_task, split), score), metric in itertools.product(scores.items(), measures.metrics):
                value = math.nan if score is None else score[metric]
                settings = {"eval_task": eval_task, "split": split, "metric": metric, "weights": weights}
                yield Number((start.key, key_a, key_b), "plane", value, settings | {"x": x, "y": y}, index)


def _axis(anchors: Sequence[float], points: int) -> list[float]:
    low, high = min(anchors), max(anchors)
    margin = MARGIN * (high - low)
    even = np.linspace(low - margin, high + margin, points)
    # A point beside an anchor would tell nothing of its own.
    apart = [at for at in even.tolist() if min(abs(at - anchor) for anchor in anchors) > LINE * (high - low)]
    return sorted({*apart, *anchors})
