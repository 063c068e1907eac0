"""Domains of a search: what one hyperparameter may be. Bounds are inclusive on both sides.

Back ends differ (Ray's `randint` excludes its upper bound, Optuna's includes it), so a domain is declared
once here and compiled for each back end in `sweeper.tuning`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, model_validator

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


def _kind(value: Any) -> str:
    if isinstance(value, Choice) or (isinstance(value, Mapping) and "values" in value):
        return "choice"
    bounds = [
        value.get(name) if isinstance(value, Mapping) else getattr(value, name) for name in ("low", "high")
    ]
    return "int" if all(isinstance(bound, int) for bound in bounds) else "float"


Domain = Annotated[
    Annotated[Float, Tag("float")] | Annotated[Int, Tag("int")] | Annotated[Choice, Tag("choice")],
    Discriminator(_kind),
]
"""`{values: […]}` is a Choice; `{low, high}` an Int if both bounds are written as whole numbers."""


def _check_bounds(low: float, high: float, log: bool) -> None:
    if low > high:
        raise ValueError(f"low {low} is above high {high}")
    if log and low <= 0:
        raise ValueError(f"low {low} must be positive on a log axis")
