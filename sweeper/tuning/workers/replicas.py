"""Which way the replicas of a trial are trained: as the recipe says, or as the run has found to be faster."""

import json
from dataclasses import asdict

from search_spaces.config import TrialConfig
from sweeper.store import content_key
from sweeper.training import NewTrainer
from sweeper.training.replicas import TRAINERS, Replicas, faster, speed_identity
from sweeper.trial import load_task
from sweeper.tuning.job import Job


def trainer_of(job: Job, config: TrialConfig, device: str) -> NewTrainer:
    """Return what makes the trainer of a trial; under `auto` the first trial of its speed in the run times both ways.

    The choice is stored in the run, so that every worker and every resumed trial rounds alike.
    """
    found = settled(job, config)
    if found is None:
        choice = faster(config, load_task(config.task, device), device)
        job.store().create(
            _path(job, config), json.dumps(asdict(choice)).encode()
        )  # of several workers the first decides
        found = settled(job, config)
    assert found is not None
    return TRAINERS[found]


def settled(job: Job, config: TrialConfig) -> Replicas | None:
    """Return how the replicas of a trial are trained, None if the run has not found out."""
    replicas = job.recipe.resources.replicas
    if replicas != "auto":
        return replicas
    content = job.store().read(_path(job, config))
    choice: Replicas | None = None if content is None else json.loads(content)["replicas"]
    return choice


def _path(job: Job, config: TrialConfig) -> str:
    name = f"replicas-{content_key(speed_identity(config))}.json"
    return f"{job.store().root}/runs/{job.run}/settled/{name}"
