"""Where the points of a sweep come from: the grid through Tune's variant generator, the rest through Optuna.

Both write a point to the ledger before its trial starts, and hand out nothing once a stop is asked for.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState, create_trial
from ray.tune.search import Searcher
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

from analysis.records import Outcome, Suggestion
from search_spaces.recipe import Recipe
from sweeper.measuring import floor_of
from sweeper.tuning.job import Job, Suggested
from sweeper.tuning.space import distributions, to_params, to_point
from sweeper.tuning.trainable import DRAINED, METRIC

LOG = logging.getLogger(__name__)

SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


class Notebook:
    """Writes suggestions to the ledger, and knows whether the sweep is to be drained."""

    def __init__(self, job: Job, known: Iterable[Suggestion]) -> None:
        self.job = job
        self.ledger = job.ledger()
        self.written = {suggestion.number for suggestion in known}

    def write(self, suggested: Suggested) -> None:
        """Record a point, unless an earlier run of this sweep has."""
        if suggested.number in self.written:
            return
        trial, config = self.job.trial(suggested)
        self.written.add(suggested.number)
        self.ledger.suggest(
            Suggestion(
                trial=trial,
                attempt=0,
                number=suggested.number,
                overrides=dict(suggested.point),
                config=config.model_dump(mode="json"),
                time=time.time(),
            )
        )


class GridSearch(BasicVariantGenerator):
    """Tune's variant generator, with a ledger and a drain."""

    def __init__(self, notebook: Notebook, draining: Callable[[], bool], concurrency: int) -> None:
        super().__init__(max_concurrent=concurrency)
        self._notebook = notebook
        self._draining = draining

    def next_trial(self) -> Any:
        """Return the next trial, its point recorded; None when draining."""
        if self._draining():
            self.set_finished()
            return None
        trial = super().next_trial()
        if trial is not None:
            self._notebook.write(Suggested.from_config(trial.config["suggested"]))
        return trial


class NoiseSearch(OptunaSearch):
    """Ray's Optuna searcher, made to survive what sweeps meet.

    A result without a finite objective is told as the floor (Optuna would leave such a trial running for ever);
    a lost trial as FAIL; results that come late or twice are dropped. Points of an earlier run of the sweep are
    replayed: finished ones as they ended, unfinished ones by being suggested first. Concurrency is limited
    here, since Tune's limiter swallows late results.
    """

    def __init__(
        self,
        recipe: Recipe,
        notebook: Notebook,
        draining: Callable[[], bool],
        concurrency: int,
        trials: int,
        known: Iterable[Suggestion],
        outcomes: dict[str, Outcome],
    ) -> None:
        self._recipe = recipe
        self._declared = recipe.space[0]
        self._distributions: dict[str, BaseDistribution] = distributions(self._declared)
        super().__init__(
            space=self._distributions,
            metric=METRIC,
            mode="max",
            sampler=SAMPLERS[recipe.search.sampler](recipe.seed),
        )
        self._notebook = notebook
        self._draining = draining
        self._concurrency = concurrency
        self._trials = trials
        self._live: set[str] = set()
        self._unfinished: list[Suggested] = []
        self._next = 0
        for suggestion in known:
            self._replay(suggestion, outcomes.get(suggestion.trial))

    @property
    def _study(self) -> optuna.Study:
        return cast(optuna.Study, self._ot_study)

    def suggest(self, trial_id: str) -> Any:
        """Return the next point, None while as many trials run as may, FINISHED at the end."""
        if self._draining() or (not self._unfinished and self._next >= self._trials):
            return Searcher.FINISHED
        if len(self._live) >= self._concurrency:
            return None
        if self._unfinished:
            suggested = self._unfinished.pop(0)
            self._study.enqueue_trial(to_params(self._declared, suggested.point))
            super().suggest(trial_id)
        else:
            super().suggest(trial_id)
            suggested = Suggested(self._next, to_point(self._declared, self._ot_trials[trial_id].params))
            self._next += 1
        self._notebook.write(suggested)
        self._live.add(trial_id)
        return {"suggested": suggested.to_config()}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Ignore intermediate results: nothing is pruned by them."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell Optuna how a trial ended, once."""
        self._live.discard(trial_id)
        trial = self._ot_trials.pop(trial_id, None)
        if trial is None:
            LOG.info("a late result of trial %s is dropped", trial_id)
            return
        if error or not result or result.get(DRAINED):
            self._study.tell(trial, state=TrialState.FAIL)
            return
        self._study.tell(trial, self._finite(result.get(METRIC)))

    def _finite(self, value: float | None) -> float:
        return value if value is not None and math.isfinite(value) else floor_of(self._recipe.search)

    def _replay(self, suggestion: Suggestion, outcome: Outcome | None) -> None:
        self._next = max(self._next, suggestion.number + 1)
        if outcome is None or outcome.status == "failed":
            self._unfinished.append(Suggested(suggestion.number, suggestion.overrides))
            return
        self._study.add_trial(
            create_trial(
                params=to_params(self._declared, suggestion.overrides),
                distributions=self._distributions,
                value=self._finite(outcome.objective),
            )
        )
