"""The further processes of a trial: an actor in each bundle of its placement group but the first, its own."""

from typing import Any

from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from sweeper.tuning.job import Job


def actors_beside(kind: Any, job: Job, **options: Any) -> list[Any]:
    """Return an actor of the remote class `kind`, made from `job`, in each further bundle of the trial that runs here.

    `options` are Ray's, besides what the bundles say.
    """
    group = get_current_placement_group()
    assert group is not None, "Tune runs every trial in a placement group"
    return [
        kind.options(
            num_cpus=bundle.cpu,
            num_gpus=bundle.gpu,
            resources=bundle.custom,
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, index),
            **options,
        ).remote(job)
        for index, bundle in enumerate(job.recipe.resources.bundles[1:], start=1)
    ]
