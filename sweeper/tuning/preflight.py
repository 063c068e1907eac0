"""What can be found wrong before anything is trained."""

import contextlib
import uuid

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search_spaces.base import arguments
from search_spaces.config import TrialConfig
from search_spaces.cost import branch_steps, steps_per_epoch
from search_spaces.recipe import Recipe, RecipeError
from sweeper.data import Task
from sweeper.models import build_model
from sweeper.store import StorageError, Store, probe
from sweeper.trial import load_task
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
    tasks: dict[str, Task] = {}
    models = set()
    for config in configurations(recipe):
        try:
            key = config.task.model_dump_json()
            if key not in tasks:
                tasks[key] = load_task(config.task)
            _check_trial(config, tasks[key], build=(key, config.model.model_dump_json()) not in models)
            models.add((key, config.model.model_dump_json()))
        except ValueError as error:
            raise RecipeError(f'recipe "{recipe.name}", {error}') from error


def check_nodes(store: Store) -> None:
    """Check that the driver and every node of the cluster write and read the same storage.

    Raises:
        StorageError: naming the first node that can't, and the path.
    """
    probe(store)
    token = uuid.uuid4().hex
    path = f"{store.root}/probe-{token}"
    store.write(path, token.encode())
    try:
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        problems = ray.get(
            [
                _probe_from.options(
                    num_cpus=0,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
                ).remote(store.url, path, token)
                for node in nodes
            ],
            timeout=PROBE_SECONDS,
        )
        for node, problem in zip(nodes, problems, strict=True):
            if problem:
                host = node["NodeManagerHostname"]
                raise StorageError(
                    f"storage {store.url}: node {host} {problem}; use a path or URL that every node shares"
                )
    finally:
        with contextlib.suppress(StorageError):
            store.remove(path)


@ray.remote
def _probe_from(url: str, path: str, token: str) -> str:
    store = Store(url)
    try:
        found = store.read(path)
        probe(store)
    except StorageError as error:
        return f"fails: {error}"
    return "" if found == token.encode() else "does not see what the driver wrote"


def _check_trial(config: TrialConfig, task: Task, build: bool) -> None:
    images = len(task.train[0])
    assert config.trunk is not None
    branch_steps(config.trunk, steps_per_epoch(images, config.train.batch_size))
    for split in config.measures.splits:
        task.split(split)
    if build:
        build_model(config.model.name, arguments(config.model), task, config.seed)
