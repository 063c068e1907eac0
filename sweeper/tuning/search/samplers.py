"""The adaptive samplers, by the name recipes use: recipe, seed → Optuna sampler."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from search_spaces.recipe import Recipe, noise_path
from sweeper.tuning.search.critical_noise import CriticalNoiseSampler
from sweeper.tuning.search.space import to_point


@dataclass(frozen=True)
class LearningRatePerNoiseScale:
    """lr / S of a trial, given the parameters that its recipe's space varies beside the learning rate."""

    recipe: Recipe
    path: str
    _known: dict[frozenset[tuple[str, Any]], float] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, params: Mapping[str, Any]) -> float:
        """Return B (1 − μ) for SGD, √B for AdamW."""
        others = frozenset((name, value) for name, value in params.items() if name != self.path)
        if others not in self._known:
            config = self.recipe.trial(to_point(self.recipe.space[0], {**dict(others), self.path: 1.0})).train
            self._known[others] = config.resolved_lr / config.resolved_noise_scale
        return self._known[others]


def critical_noise(recipe: Recipe, seed: int) -> BaseSampler:
    """Return our sampler along the recipe's noise scale or learning rate, whichever its space declares."""
    path = noise_path(recipe.space[0])
    assert path is not None  # recipes without are refused when they are read
    per = LearningRatePerNoiseScale(recipe, path) if path == "train/lr" else None
    return CriticalNoiseSampler(path, seed=seed, per_noise_scale=per)


SAMPLERS: dict[str, Callable[[Recipe, int], BaseSampler]] = {
    "critical_noise": critical_noise,
    "tpe": lambda recipe, seed: TPESampler(seed=seed),
    "random": lambda recipe, seed: RandomSampler(seed=seed),
}
