"""Domains of a search: what one hyperparameter may be. Bounds are inclusive on both sides.

Back ends differ (Ray's `randint` excludes its upper bound, Optuna's includes it), so a domain is declared
once here and compiled for each back end in `sweeper.tuning`.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from search_spaces.base import Frozen, Value


class Float(Frozen):
    """Real numbers in [low, high]; sampled in log space if `log`."""

    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    log: bool = False

    @model_validator(mode="after")
    def _bounds_ordered(self) -> Self:
        _check_bounds(self.low, self.high, self.log)
        return self


class Int(Frozen):
    """Whole numbers low, …, high, both included; sampled in log space if `log`."""

    low: int = Field(strict=True)
    high: int = Field(strict=True)
    log: bool = False

    @model_validator(mode="after")
    def _bounds_ordered(self) -> Self:
        _check_bounds(self.low, self.high, self.log)
        return self


class Choice(Frozen):
    """One of `values`, each a number, a string, or a whole section such as a model."""

    values: tuple[Value, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _values_differ(self) -> Self:
        for index, value in enumerate(self.values):
            if value in self.values[:index]:
                raise ValueError(f"value {value!r} is listed twice")
        return self


Domain = Float | Int | Choice


def parse_domain(value: Any) -> Any:
    """Return the domain class's keywords for `value`: `{low, high}` with whole bounds is an `Int`."""
    if isinstance(value, Mapping):
        if "values" in value:
            return Choice.model_validate(dict(value))
        if all(isinstance(value.get(bound), int) for bound in ("low", "high")):
            return Int.model_validate(dict(value))
        return Float.model_validate(dict(value))
    return value


def _check_bounds(low: float, high: float, log: bool) -> None:
    if low > high:
        raise ValueError(f"low {low} is above high {high}")
    if log and low <= 0:
        raise ValueError(f"low {low} must be positive on a log axis")
