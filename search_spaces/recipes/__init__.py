"""The named recipes: one function a recipe, one module a family of the paper's figures."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from search_spaces.recipe import SCALES, Recipe, RecipeError, Scale, parse_recipe
from search_spaces.recipes.components import fig4, fig10, fig11
from search_spaces.recipes.digits import digits
from search_spaces.recipes.learning_rate import fig2, fig14, fig15
from search_spaces.recipes.noise_scale import fig1
from search_spaces.recipes.weight_decay import fig3, fig16
from search_spaces.yaml_text import read_yaml

RECIPES: dict[str, Callable[[Scale], Recipe]] = {
    "digits": digits,
    "fig1": fig1,
    "fig2": fig2,
    "fig3": fig3,
    "fig4": fig4,
    "fig10": fig10,
    "fig11": fig11,
    "fig14": fig14,
    "fig15": fig15,
    "fig16": fig16,
}


def load_recipe(
    recipe: str | Path, scale: Scale | None = None, overrides: Mapping[str, Any] | None = None
) -> Recipe:
    """Return the recipe of a name from `RECIPES`, at `scale` (default cpu), or of a YAML file.

    `overrides` maps paths such as "train/momentum" to values; the result is validated again.

    Raises:
        RecipeError: if there is no such recipe, or it is invalid.
    """
    if scale is not None and scale not in SCALES:
        raise RecipeError(f'no scale "{scale}"; known: {", ".join(SCALES)}')
    if (build := RECIPES.get(str(recipe))) is not None:
        return parse_recipe(build(scale or "cpu").model_dump(mode="json"), overrides)
    if Path(recipe).suffix in {".yaml", ".yml"} or Path(recipe).exists():
        if scale is not None:
            raise RecipeError(f"recipe file {recipe}: a file has one scale; leave out --scale {scale}")
        return read_yaml(recipe, overrides)
    raise RecipeError(f'no recipe "{recipe}"; known: {", ".join(RECIPES)}, or the path of a YAML file')
