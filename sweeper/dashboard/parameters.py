"""What the spaces of a recipe vary, as axes to look along.

`sweeper.tuning.search.space` compiles a space to be searched, where listed values have no order and tied points are one
parameter. To look at, a listed number is a number, a tied setting a parameter of its own, and the spaces of a
union share their axes.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search_spaces.domain import Choice, Domain
from search_spaces.space import Space

LOG_RATIO = 5.0
"""Listed positive numbers whose ends differ by this factor or more are drawn on a logarithmic axis."""


class _Values(NamedTuple):
    values: tuple[Any, ...]
    """All that are listed, or the two bounds."""
    log: bool


def parameters(spaces: Iterable[Space]) -> dict[str, BaseDistribution]:
    """Return path → the range or the values that the spaces give it, over all of them."""
    found: dict[str, list[_Values]] = {}
    for space in spaces:
        for path in space.points[0] if space.points else ():
            found.setdefault(path, []).append(_listed(tuple(point[path] for point in space.points)))
        for path, domain in space.domains.items():
            found.setdefault(path, []).append(_declared(domain))
    return {path: _distribution(values) for path, values in found.items()}


def coordinates(point: Mapping[str, Any], axes: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Return the place of a point on those of the axes that it has."""
    return {path: _encoded(value) for path, value in point.items() if path in axes}


def _declared(domain: Domain) -> _Values:
    return (
        _listed(domain.values)
        if isinstance(domain, Choice)
        else _Values((domain.low, domain.high), domain.log)
    )


def _listed(values: tuple[Any, ...]) -> _Values:
    numeric = all(map(_is_number, values))
    return _Values(values, log=numeric and min(values) > 0 and max(values) >= LOG_RATIO * min(values))


def _distribution(found: list[_Values]) -> BaseDistribution:
    values = [value for each in found for value in each.values]
    if not all(map(_is_number, values)):
        return CategoricalDistribution(tuple(dict.fromkeys(map(_encoded, values))))
    whole = all(isinstance(value, int) for value in values)
    kind = IntDistribution if whole else FloatDistribution
    return kind(min(values), max(values), log=all(each.log for each in found))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _encoded(value: Any) -> Any:
    """Return a value as Optuna takes it: sections such as a model become JSON."""
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
