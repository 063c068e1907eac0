"""What the search is told of trials, finished and running, and whether that is enough to end it."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from analysis.records import MergeRecord, Outcome, Stage, Suggestion
from analysis.search.acquisition import Observations
from analysis.search.stopping import Stopping
from analysis.table import Selection
from search_spaces.recipe import Recipe, Search
from search_spaces.space import Point
from sweeper.measuring import floor_of, objective, selected
from sweeper.store import Ledger


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


def finished(
    search: Search, suggestions: Iterable[Suggestion], outcomes: Mapping[str, Outcome]
) -> dict[str, tuple[Point, Told]]:
    """Return trial → point and end of the trials that have ended, but for failed ones, in the order they did."""
    ended = [(s.overrides, outcomes[s.trial]) for s in suggestions if s.trial in outcomes]
    return {
        outcome.trial: (point, Told.of(search, outcome.objective, outcome.status, outcome.sem))
        for point, outcome in sorted(ended, key=lambda each: each[1].time)
        if outcome.status != "failed"
    }


def view(records: Sequence[MergeRecord], search: Search, selection: Selection) -> float:
    """Return the objective over a trial's first branch points; NaN where it doesn't foretell that over all.

    It doesn't if a pair has collapsed, or the objective is the floor: networks at chance may learn later.
    """
    value = objective(records, search, selection)
    collapsed = any(record.status != "ok" for record in selected(records, selection))
    return math.nan if value is None or collapsed or value <= floor_of(search) else value


def views(stages: Mapping[int, Stage], search: Search, selection: Selection) -> dict[int, float]:
    """Return number of branch points → `view` over as many."""
    seen: dict[int, float] = {}
    records: list[MergeRecord] = []
    for count, step in enumerate(sorted(stages), start=1):
        records += stages[step].records
        seen[count] = view(records, search, selection)
    return seen


def stopping(recipe: Recipe, ledger: Ledger, ended: Collection[tuple[Point, Told]]) -> Stopping | None:
    """Return the stopping rule as the trials that have ended leave it, None if there is none.

    Whoever asks for more trials than the run was begun with overrules it.
    """
    rule, info = recipe.search.stop, ledger.info()
    asked = max(recipe.search.trials or 0, ledger.requested_trials())
    if rule is None or (info is not None and asked > info.recipe["search"]["trials"]):
        return None
    replayed = Stopping(rule.within, rule.mass, rule.regret)
    replayed.replay(observations(recipe, ended))
    return replayed


def observations(recipe: Recipe, ended: Collection[tuple[Point, Told]]) -> Observations:
    """Return finished trials on the noise axis."""
    scales = [recipe.trial(point).train.resolved_noise_scale for point, _ in ended]
    return Observations.of(
        [math.log10(scale) for scale in scales],
        [told.value for _, told in ended],
        [told.status for _, told in ended],
        [math.nan if told.sem is None else told.sem for _, told in ended],
    )


def explain(rule: Stopping | None) -> str:
    """Return in words what ended the search, after how many trials; empty if nothing did."""
    if rule is None or rule.reason is None:
        return ""
    what = {
        "located": f"S* is located within ×{rule.within:g}",
        "plateau": f"the peak is so flat that S* loses no more than {100 * rule.regret:g}% of it",
    }
    return f"{what[rule.reason]} with probability {rule.mass:g}, after {rule.trials} trials"
