"""An Optuna sampler that looks for the noise scale at which the objective peaks.

It works with plain Optuna, in loops, with `n_jobs` and by ask and tell:

    sampler = CriticalNoiseSampler("noise_scale", seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=24)          # calls trial.suggest_float("noise_scale", 1e-4, 1, log=True)
"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from analysis.hump.smc import Array
from analysis.search.acquisition import Observations, suggest
from analysis.search.fidelity import foretell

STATUS, SEM = "status", "sem"
"""User attributes of finished trials that the sampler reads."""
NEAR_DECADES, NEAR_SHARE = 0.25, 0.1
"""At these distances, in log10 S and in a number's range, a trial crowds half as much."""
LEVELS = 16
"""How many values of an interval are weighed against each other."""

PerNoiseScale = Callable[[Mapping[str, Any]], float]


class CriticalNoiseSampler(BaseSampler):
    """Chooses the noise scale by `analysis.search.acquisition`, and spreads whatever else is suggested evenly over it.

    What a trial says is its value and these user attributes, both optional:

    - `status`: `ok`; `at_chance`, whose value bounds the curve from above; any other, such as `diverged`, for a
      trial that is known only to be low. Tell such a trial any finite value: it is not used.
    - `sem`: the standard error of the value.

    Running trials count as pending. Once 8 trials have ended, a running one's last intermediate value,
    `trial.report(value, step)`, foretells what it will end with, by what the others had said at that step
    (`analysis.search.fidelity.foretell`), and counts with the error of that; report NaN where it should not.

    Failed and pruned trials do not count. Given the seed, a suggestion is a function of the study's other trials
    and the trial's number.
    """

    def __init__(
        self,
        parameter: str = "noise_scale",
        *,
        seed: int | None = None,
        per_noise_scale: PerNoiseScale | None = None,
    ) -> None:
        """Name the parameter to search along.

        Args:
            parameter: The noise scale S, or a learning rate, which fixes S once the others are chosen.
            seed: Of all draws; None is a new one each time.
            per_noise_scale: `parameter` / S given the trial's parameters so far: B (1 − μ) for a learning rate, to
                be suggested after batch size and momentum. None if `parameter` is S.
        """
        self._parameter = parameter
        self._per_noise_scale: PerNoiseScale = per_noise_scale or _one
        self._seed = int(np.random.default_rng().integers(2**32)) if seed is None else seed

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return nothing: parameters are chosen one by one, each given the trial's earlier ones."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing: see `infer_relative_search_space`."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the trial's value of one parameter.

        Raises:
            ValueError: if the parameter to search along is not an interval of positive numbers.
        """
        rng = np.random.default_rng([self._seed, trial.number, zlib.crc32(param_name.encode())])
        states = (TrialState.COMPLETE, TrialState.RUNNING)
        others = [t for t in study.get_trials(False, states) if t.number != trial.number]
        if param_name != self._parameter:
            return self._spread(trial, others, param_name, param_distribution, rng)
        if not isinstance(param_distribution, FloatDistribution) or param_distribution.low <= 0:
            raise ValueError(
                f"{param_name} is {param_distribution}: CriticalNoiseSampler searches an interval of positive "
                "numbers; use suggest_float with low > 0"
            )
        per = self._per_noise_scale(trial.params)
        low, high = (math.log10(bound / per) for bound in (param_distribution.low, param_distribution.high))
        pending, known = self.known(others, study.direction)
        found = suggest(known, pending, low, high, rng)
        return float(np.clip(10**found * per, param_distribution.low, param_distribution.high))

    def place(self, trial: FrozenTrial) -> float | None:
        """Return log10 S of a trial, None if it has none yet."""
        if self._parameter not in trial.params:
            return None
        return math.log10(trial.params[self._parameter] / self._per_noise_scale(trial.params))

    def observations(self, trials: Sequence[FrozenTrial], direction: StudyDirection) -> Observations:
        """Return what finished trials say; values are turned such that larger is better."""
        rows = [
            (
                place,
                _sign(direction) * trial.value,
                trial.user_attrs.get(STATUS, "ok"),
                trial.user_attrs.get(SEM, math.nan),
            )
            for trial in trials
            if trial.value is not None and (place := self.place(trial)) is not None
        ]
        x, y, status, sem = zip(*rows, strict=True) if rows else ((), (), (), ())
        return Observations.of(x, y, status, sem)

    def known(
        self, trials: Sequence[FrozenTrial], direction: StudyDirection
    ) -> tuple[list[float], Observations]:
        """Return log10 S of running trials; and what finished ones say, with what is foretold of running ones."""
        placed = [(place, trial) for trial in trials if (place := self.place(trial)) is not None]
        finished = [trial for _, trial in placed if trial.state == TrialState.COMPLETE]
        running = [(place, trial) for place, trial in placed if trial.state == TrialState.RUNNING]
        told = self.observations(finished, direction)
        gains = np.where(told.status == "ok", told.y, np.nan)
        views = [_views(trial, direction) for trial in finished]
        foretold = [foretell(_views(trial, direction), views, told.x, gains) for _, trial in running]
        pending = [place for place, _ in running]
        return pending, told.with_foretold(pending, [y for y, _ in foretold], [e for _, e in foretold])

    def _spread(
        self,
        trial: FrozenTrial,
        others: Sequence[FrozenTrial],
        name: str,
        distribution: BaseDistribution,
        rng: np.random.Generator,
    ) -> Any:
        """Return the value that the fewest trials have, those near the trial's noise scale counting most."""
        using = [other for other in others if name in other.params]
        here = self.place(trial)
        places = np.array([math.nan if here is None else self.place(other) for other in using], float)
        near = _nearness((places - (here or 0.0)) / NEAR_DECADES)
        candidates = _candidates(distribution, rng)
        used = [other.params[name] for other in using]
        crowding = _alike(distribution, candidates, used) @ near
        return candidates[int(crowding.argmin())]


def _sign(direction: StudyDirection) -> float:
    return -1.0 if direction == StudyDirection.MINIMIZE else 1.0


def _views(trial: FrozenTrial, direction: StudyDirection) -> dict[int, float]:
    """Return step → what was reported, turned such that larger is better."""
    return {step: _sign(direction) * value for step, value in trial.intermediate_values.items()}


def _one(params: Mapping[str, Any]) -> float:
    return 1.0


def _nearness(distance: Array) -> Array:
    """Return 1 / (1 + d²): heavy tails, so that values are balanced over the whole range too; 1 where unknown."""
    nearness: Array = np.nan_to_num(1 / (1 + distance**2), nan=1.0)
    return nearness


def _candidates(distribution: BaseDistribution, rng: np.random.Generator) -> list[Any]:
    """Return the choices, or values spread over an interval, in random order."""
    if isinstance(distribution, CategoricalDistribution):
        return [distribution.choices[index] for index in rng.permutation(len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    share = rng.permutation((np.arange(LEVELS) + rng.random(LEVELS)) / LEVELS)
    low, high = distribution.low, distribution.high
    values = low * (high / low) ** share if distribution.log else low + (high - low) * share
    if distribution.step is not None:
        values = low + distribution.step * np.round((values - low) / distribution.step)
    kind = int if isinstance(distribution, IntDistribution) else float
    return [kind(value) for value in np.clip(values, low, high)]


def _alike(distribution: BaseDistribution, candidates: Sequence[Any], used: Sequence[Any]) -> Array:
    """Return how alike each candidate and each used value are (candidates, used), in [0, 1]."""
    if isinstance(distribution, CategoricalDistribution):
        same = [[candidate == value for value in used] for candidate in candidates]
        return np.array(same, float).reshape(len(candidates), len(used))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    scaled = np.log if distribution.log else np.asarray
    extent = scaled(distribution.high) - scaled(distribution.low)
    difference = np.subtract.outer(scaled(np.array(candidates, float)), scaled(np.array(used, float)))
    return _nearness(difference / (NEAR_SHARE * extent))
