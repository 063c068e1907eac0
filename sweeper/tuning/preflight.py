"""What can be found wrong before anything is trained."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search_spaces.base import arguments
from search_spaces.config import TrialConfig
from search_spaces.cost import branch_steps, steps_per_epoch
from search_spaces.recipe import Recipe, RecipeError
from sweeper.data import TASKS, Task
from sweeper.imports import is_import_path
from sweeper.merging import METHODS
from sweeper.models import MODELS, build_model
from sweeper.store import StorageError, Store, probe
from sweeper.trial import load_task
from sweeper.tuning.searcher import SAMPLERS

PROBE_SECONDS = 120.0


def unsupported(recipe: Recipe) -> list[str]:
    """Return what `recipe` asks for that this version can describe but not run yet, one phrase each."""
    missing: dict[str, None] = {}
    for config in configurations(recipe):
        missing |= dict.fromkeys(_missing(config))
    if recipe.search.sampler not in {"grid", *SAMPLERS}:
        missing[f'sampler "{recipe.search.sampler}"'] = None
    if recipe.search.stop is not None:
        missing["search/stop"] = None
    if recipe.resources.branch_workers or recipe.resources.data_parallel > 1:
        missing["resources/branch_workers and data_parallel"] = None
    return list(missing)


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


def configurations(recipe: Recipe) -> Iterator[TrialConfig]:
    """Yield a trial's config for every corner of every space."""
    for space in recipe.space:
        for point in space.corners():
            yield recipe.trial(point)


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


def _missing(config: TrialConfig) -> Iterator[str]:
    for task in (config.task, *config.tasks, *config.measures.eval_tasks):
        if task.name not in TASKS and not is_import_path(task.name):
            yield f'task "{task.name}"'
    if config.model.name not in MODELS and not is_import_path(config.model.name):
        yield f'model "{config.model.name}"'
    yield from (f'merge "{merge.kind}"' for merge in config.merges if merge.kind not in METHODS)
    yield from (f'measure "{measure}"' for measure in config.measures.also)
    flags: dict[str, Any] = {
        f'start "{config.start}"': config.start != "trunk",
        "several tasks": bool(config.tasks),
        "branch/overrides": bool(config.branch.overrides),
        "merge-aware training": config.train.merge_aware is not None,
        "merges/swa": any(merge.swa for merge in config.merges),
        "merges/align": any(merge.align != "none" for merge in config.merges),
    }
    yield from (name for name, asked in flags.items() if asked)


def _check_trial(config: TrialConfig, task: Task, build: bool) -> None:
    images = len(task.train[0])
    assert config.trunk is not None
    branch_steps(config.trunk, steps_per_epoch(images, config.train.batch_size))
    for split in config.measures.splits:
        task.split(split)
    if build:
        build_model(config.model.name, arguments(config.model), task, config.seed)
