"""What can be added to a finished trial from its stored endpoints: merges, measures, pairs with another trial."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.records import Measurement, MergeRecord, Stage
from search_spaces.config import TrialConfig
from search_spaces.measures import MeasureConfig
from search_spaces.merges import MergeConfig
from search_spaces.recipe import Recipe, parse_recipe
from sweeper.store import content_key
from sweeper.training import NotStored
from sweeper.trial import Trial

FROM_RECORDS = {"barrier", "normalised_accuracy"}
"""Measures that are computed from what merges measured."""


def recipe_with(
    recipe: Recipe, merge: Mapping[str, Any] | None, also: Sequence[str], measures: Mapping[str, Any]
) -> Recipe:
    """Return `recipe` with these in place of its merges and further measures; without a merge, with its own.

    Args:
        recipe: Of the run to add to.
        merge: Its `kind` and settings, as under `merges` of a recipe.
        also: Measures, as under `measures/also`.
        measures: Path under `measures` → value; others are as in the recipe.

    Raises:
        RecipeError: if its networks can't be merged or measured like this.
    """
    changes = {f"measures/{name}": value for name, value in measures.items()}
    changes["measures/also"] = list(also)
    if merge is not None:
        changes["merges"] = [dict(merge)]
    return parse_recipe(recipe.model_dump(mode="json"), changes)


@dataclass(frozen=True)
class Addition:
    """A merge, further measures, or both, at every branch point of a run."""

    measures: MeasureConfig
    """Its `also` are the measures to add."""
    merge: MergeConfig | None = None

    @property
    def key(self) -> str:
        """What is asked for, as 16 hex digits."""
        merge = None if self.merge is None else self.merge.model_dump(mode="json")
        return content_key({"merge": merge, "measures": self.measures.identity()})[:16]

    def config(self, config: TrialConfig) -> TrialConfig:
        """Return a trial's config with what is added in place of its merges and measures.

        Raises:
            ValueError: if the trial can't have it.
        """
        content = config.model_dump(mode="json") | {"measures": self.measures.model_dump(mode="json")}
        if self.merge is not None:
            content["merges"] = [self.merge.model_dump(mode="json")]
        return TrialConfig.model_validate(content)

    def stage(self, trial: Trial, step: int) -> Stage:
        """Return what `trial`, of a config that has this, gives at branch point `step`.

        Raises:
            NotStored: if something of it would have to be trained; the text says what, and how to keep it.
        """
        merging = self.merge is not None or bool(FROM_RECORDS & set(self.measures.also))
        try:
            return trial.stage(step, merging)
        except NotStored:
            raise NotStored(_lacking(trial, step)) from None


def new_in(stage: Stage, there: Iterable[Stage]) -> Stage:
    """Return `stage` without the records and measurements that are `there` already."""
    known = list(there)
    records = {_record(row) for other in known for row in other.records}
    measurements = {_measurement(row) for other in known for row in other.measurements}
    return stage.model_copy(
        update={
            "records": tuple(row for row in stage.records if _record(row) not in records),
            "measurements": tuple(row for row in stage.measurements if _measurement(row) not in measurements),
        }
    )


def _record(row: MergeRecord) -> tuple[object, ...]:
    of = (row.endpoints, row.merge, row.alpha, row.merge_settings)
    return (*of, row.batchnorm, row.eval_task, row.split, row.metric)


def _measurement(row: Measurement) -> tuple[object, ...]:
    return row.subject, row.name, row.index, row.settings


def _lacking(trial: Trial, step: int) -> str:
    """Return what the store lacks at a branch point."""
    lineage, config = trial.lineage, trial.config
    found = [lineage.branch_keys(step, seed) for seed in config.branch.resolved_seeds]
    contains = lineage.store.contains
    if not all(contains(list(keys.values())[-1]) for keys, _ in found):
        return "endpoints are not stored; retention endpoints keeps them"
    if not all(contains(key) for keys, _ in found for key in keys.values()):
        count = config.checkpoints
        return f"the last {count} checkpoints of branches are not stored; retention/last={count} keeps them"
    if not all(contains(key) for _, moments in found for key in moments):
        return "the optimizer's state at endpoints is not stored; retention/moments=true keeps it"
    return "the network at the branch point is not stored; retention endpoints keeps it"
