"""Which way the replicas of a trial are trained: as the recipe says, or as the run has found to be faster."""

import json
from dataclasses import asdict

from search_spaces.config import TrialConfig
from sweeper.store import content_key
from sweeper.training import NewTrainer
from sweeper.training.replicas import TRAINERS, faster, speed_identity
from sweeper.trial import load_task
from sweeper.tuning.job import Job


def trainer_of(job: Job, config: TrialConfig, device: str) -> NewTrainer:
    """Return what makes the trainer of a trial; under `auto` the first trial of its speed in the run times both ways.

    The choice is stored in the run, so that every worker and every resumed trial rounds alike.
    """
    replicas = job.recipe.resources.replicas
    if replicas != "auto":
        return TRAINERS[replicas]
    store = job.store()
    path = f"{store.root}/runs/{job.run}/settled/replicas-{content_key(speed_identity(config))}.json"
    if store.read(path) is None:
        choice = faster(config, load_task(config.task, device), device)
        store.create(path, json.dumps(asdict(choice)).encode())  # of several workers the first decides
    return TRAINERS[json.loads(store.read(path) or b"")["replicas"]]
