"""The named recipes, with their sizes."""

from dataclasses import dataclass

from search_spaces.recipe import SCALES, Scale
from search_spaces.recipes import RECIPES
from sweeper.planning.data import published_info
from sweeper.planning.plan import plan_info


@dataclass(frozen=True)
class ScaleInfo:
    """A recipe at one scale; `missing` is what this version can't run of it."""

    trials: int
    epochs: float
    missing: tuple[str, ...]


@dataclass(frozen=True)
class RecipeInfo:
    """A named recipe."""

    name: str
    figure: str
    title: str
    scales: dict[Scale, ScaleInfo]


def recipe_infos() -> list[RecipeInfo]:
    """Return all named recipes; epochs by the published sizes of their data."""
    infos = []
    for name, build in RECIPES.items():
        plans = {scale: plan_info(build(scale), published_info) for scale in SCALES}
        scales = {
            scale: ScaleInfo(plan.trials, plan.total(lambda trial: trial.epochs), plan.missing)
            for scale, plan in plans.items()
        }
        recipe = plans[SCALES[0]].recipe
        infos.append(RecipeInfo(name, recipe.figure, recipe.title, scales))
    return infos
