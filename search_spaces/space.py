"""What a sweep varies: domains by path, and tied points."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import model_serializer, model_validator

from search_spaces.base import Frozen, Value
from search_spaces.domain import Choice, Domain

Point = dict[str, Value]
"""One setting of the search: path → value."""


class Space(Frozen):
    """The product of independent `domains` with a list of tied `points`.

    In YAML both stand side by side: `train/momentum: {values: [0, 0.9]}` declares a domain, and
    `points: [{train/lr: 1.0e-4, branch/decay_epochs: 20}, …]` lists settings that move together. A bare list is
    short for `values`; a single value, `train/lr: 0.1`, is a domain of one.
    """

    domains: dict[str, Domain]
    points: tuple[Point, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or set(value) == {"domains", "points"}:
            return value
        domains = {path: domain for path, domain in value.items() if path != "points"}
        for path, domain in domains.items():
            if not isinstance(domain, Frozen) and not _is_domain(domain):
                domains[path] = {"values": domain if isinstance(domain, list | tuple) else [domain]}
        return {"domains": domains, "points": value.get("points", ())}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.domains and not self.points:
            raise ValueError("the space is empty: name a path and its domain")
        if self.points:
            first = set(self.points[0])
            for point in self.points:
                if set(point) != first:
                    raise ValueError(f"points must name the same paths: {sorted(first)} and {sorted(point)}")
            if twice := sorted(first & set(self.domains)):
                raise ValueError(f"{twice[0]} is both in points and a domain of its own")
        return self

    @model_serializer
    def _to_flat(self) -> dict[str, Any]:
        flat: dict[str, Any] = {path: domain.model_dump(mode="json") for path, domain in self.domains.items()}
        return {**flat, "points": [dict(point) for point in self.points]} if self.points else flat

    @property
    def paths(self) -> list[str]:
        """All paths that vary, the tied ones first."""
        return [*(self.points[0] if self.points else ()), *self.domains]

    @property
    def is_finite(self) -> bool:
        """Whether every domain is a list of values, so that the space is a grid."""
        return all(isinstance(domain, Choice) for domain in self.domains.values())

    @property
    def size(self) -> int:
        """How many points the grid has.

        Raises:
            ValueError: if a domain is an interval, which has no grid.
        """
        return math.prod(len(values) for values in self._listed()) * max(1, len(self.points))

    def corners(self) -> Iterator[Point]:
        """Yield settings that show every bound and every listed value at least once."""
        extremes = [
            domain.values if isinstance(domain, Choice) else (domain.low, domain.high)
            for domain in self.domains.values()
        ]
        rows = list(self.points) or [{}]
        for index in range(max([len(rows), *map(len, extremes)])):
            chosen = (values[min(index, len(values) - 1)] for values in extremes)
            yield {**rows[min(index, len(rows) - 1)], **dict(zip(self.domains, chosen, strict=True))}

    def grid(self) -> Iterator[Point]:
        """Yield every combination of the listed values with every tied point, the last path fastest.

        Raises:
            ValueError: if a domain is an interval, which has no grid.
        """
        values = self._listed()
        for tied in self.points or ({},):
            for combination in itertools.product(*values):
                yield {**tied, **dict(zip(self.domains, combination, strict=True))}

    def _listed(self) -> list[tuple[Value, ...]]:
        values = []
        for path, domain in self.domains.items():
            if not isinstance(domain, Choice):
                raise ValueError(f"space/{path}: a grid needs `values`, not low and high")
            values.append(domain.values)
        return values


def _is_domain(value: Any) -> bool:
    return isinstance(value, Mapping) and ("values" in value or "low" in value or "high" in value)
