"""Spaces compiled for Optuna. Optuna's bounds are inclusive, as ours are."""

import json
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search_spaces.domain import Choice, Domain, Float
from search_spaces.space import Point, Space

POINTS = "points"
"""The parameter that chooses among tied points: its value is their index."""


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return Optuna's distributions by path; tied points are one categorical parameter."""
    compiled = {path: _distribution(domain) for path, domain in space.domains.items()}
    if space.points:
        compiled[POINTS] = CategoricalDistribution(tuple(range(len(space.points))))
    return compiled


def to_point(space: Space, params: dict[str, Any]) -> Point:
    """Return the point that Optuna's parameters stand for."""
    point: Point = dict(space.points[params[POINTS]]) if space.points else {}
    for path, domain in space.domains.items():
        value = params[path]
        point[path] = domain.values[_encoded(domain).index(value)] if isinstance(domain, Choice) else value
    return point


def to_params(space: Space, point: Point) -> dict[str, Any]:
    """Return Optuna's parameters for a point, the inverse of `to_point`."""
    params: dict[str, Any] = {}
    if space.points:
        tied = {path: point[path] for path in space.points[0]}
        params[POINTS] = space.points.index(tied)
    for path, domain in space.domains.items():
        value = point[path]
        params[path] = _encoded(domain)[domain.values.index(value)] if isinstance(domain, Choice) else value
    return params


def _distribution(domain: Domain) -> BaseDistribution:
    if isinstance(domain, Choice):
        return CategoricalDistribution(_encoded(domain))
    if isinstance(domain, Float):
        return FloatDistribution(domain.low, domain.high, log=domain.log)
    return IntDistribution(domain.low, domain.high, log=domain.log)


def _encoded(domain: Choice) -> list[Any]:
    """Return the values as Optuna takes them: sections such as a model become JSON."""
    return [
        json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
        for value in domain.values
    ]
