"""What the search is told of finished trials, and whether that is enough to end it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from analysis.acquisition import Observations
from analysis.stopping import Stopping
from search_spaces.recipe import Recipe, Search
from search_spaces.space import Point
from sweeper.measuring import floor_of


@dataclass(frozen=True)
class Told:
    """One finished trial. The value is finite whatever happened to it: the declared floor where it means nothing."""

    value: float
    status: str
    """ok, diverged, at_chance; or low, where all that is known is that the value is at the floor."""
    sem: float | None

    @classmethod
    def of(cls, search: Search, value: float | None, status: str, sem: float | None) -> Self:
        """Return what is told of a trial that ended with `value` and `status`."""
        floor = floor_of(search)
        finite = value if value is not None and math.isfinite(value) else floor
        return cls(finite, "low" if status == "ok" and finite <= floor else status, sem)


def stopping(search: Search) -> Stopping | None:
    """Return a fresh stopping rule, None if the search has none."""
    rule = search.stop
    return None if rule is None else Stopping(rule.within, rule.mass, rule.regret)


def observations(recipe: Recipe, finished: Sequence[tuple[Point, Told]]) -> Observations:
    """Return finished trials on the noise axis."""
    scales = [recipe.trial(point).train.resolved_noise_scale for point, _ in finished]
    return Observations.of(
        [math.log10(scale) for scale in scales],
        [told.value for _, told in finished],
        [told.status for _, told in finished],
        [math.nan if told.sem is None else told.sem for _, told in finished],
    )


def explain(rule: Stopping) -> str:
    """Return in words what ended the search, after how many trials; empty if nothing did."""
    if rule.reason is None:
        return ""
    what = {
        "located": f"S* is located within ×{rule.within:g}",
        "plateau": f"the peak is so flat that S* loses no more than {100 * rule.regret:g}% of it",
    }
    return f"{what[rule.reason]} with probability {rule.mass:g}, after {rule.trials} trials"
