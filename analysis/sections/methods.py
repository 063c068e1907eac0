"""What was trained, merged and measured, in words, with the recipe; and how the numbers were computed."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import pandas as pd
import yaml

from analysis.figures.style import number
from analysis.page.fragments import paragraphs
from analysis.sections.base import Content, View
from analysis.table import Selection

HOW = (
    "Gain is f(merged) − mean(f(A), f(B)), in percentage points for accuracy; for loss the sign is turned, so "
    "that larger is better. Networks are selected on the split named above; the others are reported beside it. "
    "Batch norm: recalibrated means that running statistics are computed anew over training data, for endpoints "
    "and merged networks alike; averaged, that the endpoints' statistics are averaged.",
    "The noise scale is S = lr / (B (1 − μ)). A trial is one observation: the mean over its branch points. Its "
    "standard error comes from their spread, steadied by the typical spread of all trials. A pair that collapsed "
    "(diverged, or endpoints no better than chance) counts as no gain in a trial that survives elsewhere; trials "
    "that collapsed throughout only bound the curve from above.",
    "S* and its interval come from a posterior over flexible humps with cliffs, fitted to all batch sizes at "
    "once; a plain Gaussian process stands beside it as a check. A hump is claimed when it is more than 90% "
    "probable that gain falls off on both sides of the peak by more than the noise.",
)


def methods(view: View) -> Content:
    """Return data, training and statistics in words, and the recipe as YAML."""
    run = view.run
    texts = [*_data(run.records, run.objective), *_training(run.info.recipe), *HOW]
    recipe = yaml.safe_dump(run.info.recipe, sort_keys=False, allow_unicode=True)
    folded = f"<details><summary>Recipe (YAML)</summary><pre>{escape(recipe)}</pre></details>"
    return Content(paragraphs(texts) + folded)


def _data(table: pd.DataFrame, objective: Selection) -> Iterator[str]:
    def held(column: str) -> str:
        values = sorted(table[column].unique())
        return ", ".join(number(value) if isinstance(value, float) else f"{value}" for value in values)

    if len(table):
        yield (
            f"Data and networks: {held('task')}; {held('model')}; optimizer {held('optimizer')}; augmentation "
            f"{held('augment')}; branch points at epochs {held('branch_epoch')}. Merges: {held('merge')}; the figures "
            f"show {objective.merge}{'' if objective.alpha is None else f' at α = {objective.alpha:g}'}."
        )


def _training(recipe: Mapping[str, Any]) -> Iterator[str]:
    if recipe["start"] != "trunk":
        return
    trunk, branch = recipe["trunk"], recipe["branch"]
    yield (
        f"Each trial trains a trunk at constant learning rate for {_length(trunk, 'epochs', 'steps')}. At a branch "
        f"point, every {_length(trunk, 'branch_every', 'branch_every_steps')}, {branch['count']} branches leave it, "
        f"each with a data order of its own, and decay over {_length(branch, 'decay_epochs', 'decay_steps')} "
        f"({branch['decay']}); the networks at their ends are merged."
    )


def _length(durations: Mapping[str, Any], epochs: str, steps: str) -> str:
    if durations[epochs] is None:
        return f"{durations[steps]} steps"
    return f"{durations[epochs]:g} epochs"
