"""Where the points of a sweep come from: the grid through Tune's variant generator, the rest through Optuna.

Both write a point to the ledger before its trial starts, and hand out nothing once a stop is asked for.
"""

import logging
import math
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any, cast

import optuna
from optuna.trial import TrialState, create_trial
from ray.tune.search import Searcher
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

from analysis.records import Suggestion
from analysis.search.stopping import Stopping
from analysis.verdict import objective_selection
from search_spaces.recipe import noise_path
from sweeper.data import derive_seed
from sweeper.store import StorageError
from sweeper.tuning.drain import Drain
from sweeper.tuning.job import Job, Suggested, grid_order
from sweeper.tuning.results import DRAINED, METRIC, SUGGESTED
from sweeper.tuning.search.critical_noise import SEM, STATUS
from sweeper.tuning.search.samplers import SAMPLERS
from sweeper.tuning.search.space import distributions, to_params, to_point
from sweeper.tuning.search.told import Told, explain, finished, observations, stopping, views

LOG = logging.getLogger(__name__)


class History:
    """What earlier runs of a sweep left, and what is still to do. Trials are numbered in order of suggestion."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._ledger = job.ledger()
        grid = job.recipe.search.sampler == "grid"
        suggestions = self._ledger.suggestions()
        known = {s.trial: Suggested(s.number, s.overrides) for s in suggestions}
        outcomes = {t: o for t, o in self._ledger.outcomes().items() if o.status != "failed"}
        self._recorded = set(known)
        if grid:
            # A grid knows its points: one whose suggestion is damaged is not run again.
            points = [Suggested(number, point) for number, point in enumerate(grid_order(job.recipe))]
            known = {job.trial(suggested)[0]: suggested for suggested in points}
        self.total = len(known) if grid else job.recipe.search.trials or 0
        self.finished = [(s, outcomes[trial]) for trial, s in known.items() if trial in outcomes]
        """What is done: points with how they ended."""
        self.told = finished(job.recipe.search, suggestions, outcomes)
        """What an adaptive search is told of it, by trial, in the order it ended."""
        self.unfinished = [suggested for trial, suggested in known.items() if trial not in outcomes]
        """Points to run before any new one; of a grid, all there are to run."""
        numbers = [suggested.number for suggested in known.values()] + [o.number for o in outcomes.values()]
        self.next_number = max(numbers, default=-1) + 1

    @cached_property
    def rule(self) -> Stopping | None:
        """The stopping rule as the finished trials leave it, None if there is none."""
        return stopping(self.job.recipe, self._ledger, self.told.values())

    @property
    def stopped_early(self) -> str:
        """Why the search ended itself, after how many trials; empty if it didn't."""
        return explain(self.rule)

    @property
    def remaining(self) -> int:
        """How many trials are to be run."""
        if self.stopped_early:
            return 0
        return max(len(self.unfinished), self.total - len(self.finished))

    @property
    def sampler_seed(self) -> int:
        """A 32-bit seed of what is drawn from here on: a sampler started again must not repeat itself."""
        return derive_seed("sampler", self.job.recipe.seed, self.next_number) % 2**32

    @cached_property
    def watches(self) -> bool:
        """Whether the sampler goes by what branch points say of trials that still run."""
        recipe = self.job.recipe
        return recipe.search.sampler == "critical_noise" and recipe.compares_branch_points

    def views(self, trial: str) -> dict[int, float]:
        """Return what the branch points of a trial that the ledger holds say, by their number."""
        if not self.watches:
            return {}
        selection = objective_selection(self.job.recipe.model_dump(mode="json"))
        return views(self._ledger.stages(trial), self.job.recipe.search, selection)

    def record(self, suggested: Suggested) -> None:
        """Write a point to the ledger before its trial starts."""
        trial, config = self.job.trial(suggested)
        if trial in self._recorded:
            return
        self._recorded.add(trial)
        self._ledger.suggest(
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
    """Tune's variant generator over a list of points, with a ledger and a drain."""

    def __init__(self, history: History, points: Sequence[Suggested], drain: Drain, concurrency: int) -> None:
        # Not as a `grid_search`, all of whose values Tune copies once per trial: ten thousand times ten thousand.
        super().__init__([{SUGGESTED: point} for point in points], max_concurrent=concurrency)
        self.samples = len(points)
        self._history = history
        self._drain = drain

    def next_trial(self) -> Any:
        """Return the next trial, its point recorded; None when draining."""
        trial = None if self._drain() else super().next_trial()
        if trial is not None:
            try:
                self._history.record(trial.config[SUGGESTED])
            except StorageError as error:
                self._drain.fail(error)
                trial = None
        if self._drain():
            self.set_finished()
        return trial


class NoiseSearch(OptunaSearch):
    """Ray's Optuna searcher, made to survive what sweeps meet, and to end when its stopping rule says so.

    A result without a finite objective is told as the floor (Optuna would leave such a trial running for ever);
    a lost trial as FAIL; results that come late or twice are dropped. Points of an earlier run of the sweep are
    replayed: finished ones as they ended, unfinished ones by being suggested first. Concurrency is limited
    here, since Tune's limiter swallows late results. What a trial's branch points say so far are its intermediate
    values; nothing is pruned by them.
    """

    def __init__(self, history: History, drain: Drain, concurrency: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        recipe = history.job.recipe
        self._recipe = recipe
        self._declared = recipe.space[0]
        # The noise scale comes first, so that the others spread over it; a learning rate last, since it follows from
        # the noise scale and them.
        order = {"train/noise_scale": -1, "train/lr": 1}
        compiled = distributions(self._declared)
        path = noise_path(self._declared) or ""
        self._distributions = dict(
            sorted(compiled.items(), key=lambda item: order[path] if item[0] == path else 0)
        )
        super().__init__(
            space=self._distributions,
            metric=METRIC,
            mode="max",
            sampler=SAMPLERS[recipe.search.sampler](recipe, history.sampler_seed),
        )
        self.samples = history.remaining
        self._history = history
        self._drain = drain
        self._concurrency = concurrency
        self._live: set[str] = set()
        self._waiting = list(history.unfinished)
        self._next = history.next_number
        self._new = history.remaining - len(self._waiting)
        self._rule = history.rule
        self._told = list(history.told.values())
        for name, (point, told) in history.told.items():
            self._study.add_trial(
                create_trial(
                    params=to_params(self._declared, point),
                    distributions=self._distributions,
                    value=told.value,
                    user_attrs={STATUS: told.status} | ({} if told.sem is None else {SEM: told.sem}),
                    intermediate_values=history.views(name),
                )
            )

    @property
    def _study(self) -> optuna.Study:
        return cast(optuna.Study, self._ot_study)

    def suggest(self, trial_id: str) -> Any:
        """Return the next point, None while as many trials run as may, FINISHED at the end."""
        stopped = self._rule is not None and self._rule.reason is not None
        if stopped or self._drain() or not (self._waiting or self._new):
            return Searcher.FINISHED
        if len(self._live) >= self._concurrency:
            return None
        if self._waiting:
            suggested = self._waiting.pop(0)
            self._study.enqueue_trial(to_params(self._declared, suggested.point))
            super().suggest(trial_id)
            for count, value in self._history.views(self._history.job.trial(suggested)[0]).items():
                self._ot_trials[trial_id].report(value, count)
        else:
            super().suggest(trial_id)
            suggested = Suggested(self._next, to_point(self._declared, self._ot_trials[trial_id].params))
            self._next += 1
            self._new -= 1
        try:
            self._history.record(suggested)
        except StorageError as error:
            self._drain.fail(error)
            return Searcher.FINISHED
        self._live.add(trial_id)
        return {SUGGESTED: suggested}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Take up what the branch points of a trial say so far."""
        trial = self._ot_trials.get(trial_id)
        if trial is not None and self._history.watches:
            view = result["view"]
            trial.report(math.nan if view is None else view, result["branch_points"])

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
        told = Told.of(self._recipe.search, result.get(METRIC), result.get("status", "ok"), result.get("sem"))
        trial.set_user_attr(STATUS, told.status)
        if told.sem is not None:
            trial.set_user_attr(SEM, told.sem)
        self._study.tell(trial, told.value)
        if self._rule is not None:
            self._told.append((to_point(self._declared, trial.params), told))
            self._rule.see_trials(observations(self._recipe, self._told))
