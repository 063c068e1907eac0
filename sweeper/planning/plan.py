"""A recipe in numbers: trials, branch points, epochs, steps."""

from collections.abc import Callable
from dataclasses import dataclass

from search_spaces.config import TrialConfig
from search_spaces.cost import branch_steps, steps_per_epoch, trial_epochs
from search_spaces.explain import describe_point
from search_spaces.recipe import Recipe, RecipeError
from search_spaces.tasks import TaskConfig
from sweeper.data import DataError
from sweeper.planning.data import DataInfo, data_info
from sweeper.planning.sources import Source, sources
from sweeper.tuning import grid_order, unsupported

TRAINED = {"task", "tasks", "model", "start", "train", "trunk", "branch", "seed"}
"""Fields of a trial's config that decide what it trains."""


@dataclass(frozen=True)
class TrialPlan:
    """What one trial trains."""

    config: TrialConfig
    data: DataInfo
    epochs: float
    steps: int
    branch_points: int


@dataclass(frozen=True)
class PlanInfo:
    """A recipe in numbers."""

    recipe: Recipe
    trials: int
    plans: tuple[TrialPlan, ...]
    """Of a grid, every trial that trains something of its own; of an adaptive search, corners of its space."""
    missing: tuple[str, ...]
    """What the recipe asks for that this version can't run yet."""
    sources: tuple[Source, ...]

    @property
    def weight(self) -> float:
        """How many trials each of `plans` stands for."""
        return 1.0 if self.recipe.search.sampler == "grid" else self.trials / len(self.plans)

    def total(self, quantity: Callable[[TrialPlan], float]) -> float:
        """Return the sum of a quantity over all trials."""
        return self.weight * sum(quantity(plan) for plan in self.plans)

    def bounds(self, quantity: Callable[[TrialPlan], float]) -> tuple[float, float]:
        """Return the least and the largest value of a quantity."""
        values = [quantity(plan) for plan in self.plans]
        return min(values), max(values)


def plan_info(recipe: Recipe, data: Callable[[TaskConfig], DataInfo] = data_info) -> PlanInfo:
    """Return the numbers of `recipe`, with the sizes of its tasks as `data` gives them.

    Raises:
        RecipeError: if a trial can't be made: a batch beyond the training set, a trunk that ends too early.
        DataError: if data are not here and their size was not published.
    """
    if recipe.search.sampler == "grid":
        points = grid_order(recipe)
    else:
        points = [point for space in recipe.space for point in space.corners()]
    known: dict[str, DataInfo] = {}
    plans: dict[str, TrialPlan] = {}
    for point in points:
        config = recipe.trial(point)
        task = config.task.model_dump_json()
        try:
            known[task] = known.get(task) or data(config.task)
            plan = _trial_plan(config, known[task])
        except DataError:
            raise
        except ValueError as error:
            raise RecipeError(f'recipe "{recipe.name}", {describe_point(point)}: {error}') from error
        plans[config.model_dump_json(include=TRAINED)] = plan
    return PlanInfo(
        recipe,
        recipe.planned_trials,
        tuple(plans.values()),
        tuple(unsupported(recipe)),
        tuple(sources(recipe)),
    )


def _trial_plan(config: TrialConfig, data: DataInfo) -> TrialPlan:
    per_epoch = steps_per_epoch(data.train_size, config.train.batch_size)
    epochs = trial_epochs(config, data.train_size)
    points = 1 if config.trunk is None else len(branch_steps(config.trunk, per_epoch))
    return TrialPlan(config, data, epochs, round(epochs * per_epoch), points)
