"""What a recipe may ask for and this version can't run yet: every name is looked up where it would be found."""

from collections.abc import Iterator
from typing import Any

from search_spaces.config import TrialConfig
from search_spaces.recipe import Recipe
from sweeper.alignment import SPECS
from sweeper.data import TASKS
from sweeper.imports import is_import_path
from sweeper.measuring import MEASURES
from sweeper.models import MODELS


def unsupported(recipe: Recipe) -> list[str]:
    """Return what `recipe` asks for that this version can describe but not run yet, one phrase each."""
    missing: dict[str, None] = {}
    # Names are looked up one by one, so the corners, which show each, will do for the whole grid.
    for config in _corners(recipe):
        missing |= dict.fromkeys(_missing(config))
    return list(missing)


def configurations(recipe: Recipe) -> Iterator[TrialConfig]:
    """Yield the config of every point of a grid, or of every corner of the space of an adaptive search.

    Raises:
        ValueError: at a point that makes no valid config.
    """
    if recipe.search.sampler == "grid":
        yield from map(recipe.trial, recipe.grid())
    else:
        yield from _corners(recipe)


def _corners(recipe: Recipe) -> Iterator[TrialConfig]:
    for space in recipe.space:
        for point in space.corners():
            yield recipe.trial(point)


def _missing(config: TrialConfig) -> Iterator[str]:
    for task in (config.task, *config.tasks, *config.measures.eval_tasks):
        if task.name not in TASKS and not is_import_path(task.name):
            yield f'task "{task.name}"'
    if config.model.name not in MODELS and not is_import_path(config.model.name):
        yield f'model "{config.model.name}"'
    yield from (f'measure "{name}"' for name in config.measures.also if name not in MEASURES)
    flags: dict[str, Any] = {
        'start "pretrained"': config.start == "pretrained",
        "several tasks": bool(config.tasks),
        "branch/overrides": bool(config.branch.overrides),
        "merge-aware training": config.train.merge_aware is not None,
        f'merges/align of model "{config.model.name}"': (
            config.model.name not in SPECS and any(merge.align != "none" for merge in config.merges)
        ),
    }
    yield from (name for name, asked in flags.items() if asked)
