"""The processes of one data-parallel trial: actors in its placement group, led by the trial's own process."""

import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ray
import torch.distributed as dist
from ray.util import get_node_ip_address
from torch import nn

from search_spaces.base import arguments
from search_spaces.config import TrialConfig
from sweeper.data import Task
from sweeper.models import build_model
from sweeper.training import Course, Diverged, NewTrainer
from sweeper.training.lineage import DTYPES
from sweeper.training.parallel import Parallel
from sweeper.training.trainers import State
from sweeper.trial import load_task
from sweeper.tuning.job import Job
from sweeper.tuning.workers.bundles import actors_beside


class Group:
    """Ranks 1 to k − 1 as actors, one in each further bundle of the trial; rank 0 is the process that makes it.

    It lasts as long as that process. When one rank dies the others' next exchange fails, and with it the trial, which
    Tune starts again.
    """

    def __init__(self, job: Job) -> None:
        self._followers = actors_beside(_Follower, job)
        ranks = job.recipe.resources.data_parallel
        backend = "nccl" if job.enter(job.recipe.resources) == "cuda" else "gloo"
        address = f"tcp://{get_node_ip_address()}:{_free_port()}"
        joined = [
            other.join.remote(backend, address, rank, ranks)
            for rank, other in enumerate(self._followers, start=1)
        ]
        dist.init_process_group(backend, init_method=address, rank=0, world_size=ranks)
        ray.get(joined)

    def trainer_of(self, config: TrialConfig) -> NewTrainer:
        """Return what makes the trainer of a trial."""
        return lambda network, task: _Leader(network, task, self, config)

    def call(self, method: str, *settings: Any) -> list[Any]:
        """Call a method of every follower, without waiting for it."""
        return [getattr(follower, method).remote(*settings) for follower in self._followers]

    def close(self) -> None:
        """End the followers and leave the process group."""
        for follower in self._followers:
            ray.kill(follower)
        dist.destroy_process_group()


class _Leader(Parallel):
    """Rank 0, which says what all ranks train."""

    def __init__(self, network: nn.Module, task: Task, group: Group, config: TrialConfig) -> None:
        self._group = group
        begun = group.call("begin", config)
        super().__init__(network, task)
        ray.get(begun)

    def train(self, courses: Sequence[Course], start: int, stop: int) -> list[State | Diverged]:
        """Train each course from step `start` to step `stop` with the followers, and return its state."""
        followed = self._group.call("train", ray.put([_on(course, "cpu") for course in courses]), start, stop)
        results = super().train(courses, start, stop)
        ray.get(followed)
        return results


@ray.remote
class _Follower:
    """One of the other ranks."""

    def __init__(self, job: Job) -> None:
        self._device = job.enter(job.recipe.resources)

    def join(self, backend: str, address: str, rank: int, ranks: int) -> None:
        dist.init_process_group(backend, init_method=address, rank=rank, world_size=ranks)

    def begin(self, config: TrialConfig) -> None:
        task, dtype = load_task(config.task, self._device), DTYPES[config.train.precision]
        settings = arguments(config.model)
        network = build_model(config.model.name, settings, task, config.seed, dtype, self._device)
        self._trainer = Parallel(network, task)

    def train(self, courses: list[Course], start: int, stop: int) -> None:
        self._trainer.train([_on(course, self._device) for course in courses], start, stop)


def _on(course: Course, device: str) -> Course:
    return replace(course, state={name: tensor.to(device) for name, tensor in course.state.items()})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port
