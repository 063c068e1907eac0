"""Whether a trial is hopeless, by what the complete trials of its run gave; `analysis.search.fidelity` has the rule."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Self

import numpy as np

from analysis.records import Outcome, Stage
from analysis.search.fidelity import Trend, collapse_is_final
from analysis.table import Selection
from search_spaces.recipe import Search
from sweeper.measuring import branch_values, floor_of, selected
from sweeper.store import Ledger
from sweeper.tuning.search.told import Told


@dataclass(frozen=True)
class Foretold:
    """What the searcher is told of a trial that is ended: its objective over all branch points, as expected."""

    objective: float
    sem: float | None


@dataclass(frozen=True)
class _Views:
    """One trial, at the branch points it has."""

    x: float
    """log10 of the noise scale."""
    values: list[float]
    """What the search maximises, by branch point; empty if some pair has collapsed."""
    collapsed: bool
    """Every pair has."""

    @classmethod
    def of(cls, stages: Mapping[int, Stage], search: Search, selection: Selection) -> Self:
        records = [record for step in sorted(stages) for record in selected(stages[step].records, selection)]
        states = {record.status for record in records}
        values = list(branch_values(records, search).values()) if states == {"ok"} else []
        return cls(math.log10(records[0].noise_scale), values, "ok" not in states)


class EarlyStop:
    """The rule for the trials of one worker, which reads each complete trial once."""

    def __init__(self, ledger: Ledger, search: Search, selection: Selection) -> None:
        self._ledger, self._search, self._selection = ledger, search, selection
        self._complete: list[tuple[_Views, float]] = []
        self._seen: set[str] = set()

    def refresh(self) -> None:
        """Take up the trials that have run to their end since the last call."""
        for trial, outcome in self._ledger.outcomes(but_for=self._seen).items():
            if outcome.status == "failed":
                continue
            self._seen.add(trial)
            # A trial whose stages are all damaged has nothing to say.
            if not outcome.epochs_saved and (stages := self._ledger.stages(trial)):
                self._complete.append((_Views.of(stages, self._search, self._selection), self._gain(outcome)))

    def judge(self, stages: Mapping[int, Stage]) -> Foretold | None:
        """Return what a trial with these first branch points would have given if it is hopeless, else None."""
        trial = _Views.of(stages, self._search, self._selection)
        x = [views.x for views, _ in self._complete]
        if trial.collapsed:
            collapsed = np.array([views.collapsed for views, _ in self._complete], bool)
            final = collapse_is_final(trial.x, x, collapsed)
            return Foretold(floor_of(self._search), None) if final else None
        if not trial.values:
            return None
        count = len(trial.values)
        early = [_mean(views.values[:count]) for views, _ in self._complete]
        trend = Trend.fit(x, early, [full for _, full in self._complete])
        mean = fmean(trial.values)
        if trend is None or not trend.hopeless(mean):
            return None
        value, error = trend.predict(mean)
        return Foretold(max(floor_of(self._search), float(value)), float(error))

    def _gain(self, outcome: Outcome) -> float:
        """Return the objective of a complete trial, NaN where it says only that it is low."""
        told = Told.of(self._search, outcome.objective, outcome.status, outcome.sem)
        return told.value if told.status == "ok" else math.nan


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else math.nan
