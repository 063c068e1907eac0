"""The adaptive samplers, by the name recipes use: recipe, seed → Optuna sampler."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from search_spaces.recipe import Recipe, noise_path
from sweeper.tuning.critical_noise import CriticalNoiseSampler
from sweeper.tuning.space import to_point


def critical_noise(recipe: Recipe, seed: int) -> BaseSampler:
    """Return our sampler along the recipe's noise scale or learning rate, whichever its space declares."""
    [space] = recipe.space
    path = noise_path(space)
    assert path is not None  # recipes without are refused when they are read

    @cache
    def per_noise_scale(others: frozenset[tuple[str, Any]]) -> float:
        any_value = space.domains[path].low  # type: ignore[union-attr]
        config = recipe.trial(to_point(space, {**dict(others), path: any_value}))
        return float(any_value / config.train.resolved_noise_scale)

    def of_params(params: Mapping[str, Any]) -> float:
        return per_noise_scale(frozenset((name, value) for name, value in params.items() if name != path))

    return CriticalNoiseSampler(path, seed=seed, per_noise_scale=of_params if path == "train/lr" else None)


SAMPLERS: dict[str, Callable[[Recipe, int], BaseSampler]] = {
    "critical_noise": critical_noise,
    "tpe": lambda recipe, seed: TPESampler(seed=seed),
    "random": lambda recipe, seed: RandomSampler(seed=seed),
}
