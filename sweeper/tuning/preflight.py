"""What can be found wrong before anything is trained."""

import contextlib
import math
import time
import uuid
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search_spaces.base import arguments
from search_spaces.config import TrialConfig
from search_spaces.cost import branch_steps, steps_per_epoch
from search_spaces.explain import explain
from search_spaces.recipe import Recipe, RecipeError
from search_spaces.resources import Placement
from sweeper.data import Task
from sweeper.data.augment import windows
from sweeper.models import build_model
from sweeper.store import StorageError, Store, probe
from sweeper.training import Course, Fused, branch_schedule, state_of
from sweeper.trial import load_task
from sweeper.tuning.cluster import ClusterError
from sweeper.tuning.support import configurations, unsupported

PROBE_SECONDS = 120.0


def check_recipe(recipe: Recipe) -> None:
    """Check that `recipe` can run: everything it names exists, its data are here, its batches fit.

    Raises:
        RecipeError: in one line.
    """
    if missing := unsupported(recipe):
        raise RecipeError(
            f'recipe "{recipe.name}" can be planned but not run yet: no {", no ".join(missing)}'
        )
    try:
        by_task: dict[str, list[TrialConfig]] = {}
        for config in configurations(recipe):
            by_task.setdefault(config.task.model_dump_json(), []).append(config)
        # One task at a time: all the data sets of a sweep need not fit into memory together.
        for configs in by_task.values():
            _check_trials(configs, load_task(configs[0].task), recipe.resources)
    except ValueError as error:
        raise RecipeError(f'recipe "{recipe.name}", {explain(error)}') from error


def check_nodes(store: Store) -> None:
    """Check that the driver and every other node of the cluster write and read the same storage.

    Raises:
        StorageError: naming the first node that can't, and the path.
        ClusterError: naming the first node that can't even look, as one without this package.
    """
    probe(store)
    token = uuid.uuid4().hex
    path = f"{store.root}/probe-{token}"
    store.write(path, token.encode())
    try:
        # A head without CPUs and GPUs runs no trials, and may be without the storage.
        here = ray.get_runtime_context().get_node_id()
        nodes = [
            node
            for node in ray.nodes()
            if node["Alive"] and node["NodeID"] != here and {"CPU", "GPU"} & node["Resources"].keys()
        ]
        answers = [
            _probe_from.options(
                num_cpus=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
            ).remote(store.url, path, token)
            for node in nodes
        ]
        deadline = time.monotonic() + PROBE_SECONDS
        for node, answer in zip(nodes, answers, strict=True):
            host = node["NodeManagerHostname"]
            if problem := _await(answer, host, deadline):
                raise StorageError(
                    f"storage {store.url}: node {host} {problem}; use a path or URL that every node shares"
                )
    finally:
        with contextlib.suppress(StorageError):
            store.remove(path)


def _await(answer: Any, host: str, deadline: float) -> str:
    try:
        problem: str = ray.get(answer, timeout=max(0.0, deadline - time.monotonic()))
    except GetTimeoutError as error:
        raise ClusterError(
            f"node {host} does not answer within {PROBE_SECONDS:g} s; see `ray status`"
        ) from error
    except RayError as error:
        # The last line of a traceback says what happened.
        reason = str(error).strip().rpartition("\n")[2]
        raise ClusterError(f"node {host} can't run trials: {reason}") from error
    return problem


@ray.remote
def _probe_from(url: str, path: str, token: str) -> str:
    try:
        store = Store(url)
        found = store.read(path)
        probe(store)
    except StorageError as error:
        return f"fails: {error}"
    return "" if found == token.encode() else "does not see what the driver wrote"


def _check_averages(config: TrialConfig, step: int, steps_per_epoch: int) -> None:
    """Check that the branches from `step` have as many checkpoints, one an epoch, as are averaged.

    Raises:
        ValueError: if they have fewer.
    """
    _, end = branch_schedule(config.train, config.branch, step, steps_per_epoch)
    count = math.ceil((end - step) / steps_per_epoch)
    if config.checkpoints > max(1, count):
        raise ValueError(
            f"merges/swa {config.checkpoints}: a branch has {count} checkpoint{'s' * (count != 1)}, one at the end of "
            "each epoch; lower it, or lengthen branch/decay_epochs"
        )


def _check_trials(configs: list[TrialConfig], task: Task, placement: Placement) -> None:
    images = len(task.train[0])
    models = set()
    for config in configs:
        assert config.trunk is not None
        per_epoch = steps_per_epoch(images, config.train.batch_size)
        for step in branch_steps(config.trunk, per_epoch):
            _check_averages(config, step, per_epoch)
        if config.train.batch_size % placement.data_parallel:
            raise ValueError(
                f"train/batch_size {config.train.batch_size} can't be shared by resources/data_parallel "
                f"{placement.data_parallel}; name a multiple"
            )
        for split in config.measures.splits:
            task.split(split)
        windows(task.train[0][:1], config.train.augment)
        model = config.model.model_dump_json()
        if model not in models:
            network = build_model(config.model.name, arguments(config.model), task, config.seed)
            if placement.replicas == "fused":
                course = Course(state_of(network), 0, lambda step: 0.0, config.train)
                Fused(network, task).train([course, course], 0, 1)
            models.add(model)
