"""A sweep from its recipe to its end: ledger, cluster, search, drain."""

import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from types import FrameType
from typing import Any, Literal

import ray
from ray import tune

from analysis.critical_point import CriticalPoint
from analysis.reading import read_run_info
from analysis.records import Outcome, RunInfo
from analysis.verdict import verdict
from search_spaces.recipe import Recipe, parse_recipe
from search_spaces.space import Point
from sweeper.data import generator
from sweeper.store import StorageError
from sweeper.tuning.job import Job, Suggested
from sweeper.tuning.preflight import ClusterError, check_nodes, check_recipe
from sweeper.tuning.progress import Counter, Listener
from sweeper.tuning.provenance import hardware, versions
from sweeper.tuning.searcher import GridSearch, NoiseSearch, Notebook
from sweeper.tuning.trainable import METRIC, TrialRunner

RunStatus = Literal["done", "stopped", "failed"]

QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""The ledger is the truth: Tune's own logs and snapshots only cost time."""

DRAIN_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Run:
    """A run that has ended, or been stopped."""

    path: str
    status: RunStatus
    trials: int
    failed: int

    @cached_property
    def critical_point(self) -> CriticalPoint | None:
        """S* with its interval, on the search's own objective; None if the records can't tell."""
        return verdict(self.path).point


def run(
    recipe: Recipe,
    storage: str = "sweeps",
    name: str | None = None,
    trials: int | None = None,
    address: str | None = None,
    listener: Listener | None = None,
) -> Run:
    """Run the sweep that `recipe` describes, and return when it is done or drained.

    The same recipe, name and storage is the same run: what its ledger and store hold is not trained again.
    SIGINT or SIGTERM drains: trials end at their next branch point and a later `run` or `resume` goes on.

    Args:
        recipe: From `search_spaces.load_recipe`.
        storage: Path or fsspec URL that every node can write and read.
        name: Of the run; default: the recipe's name, scale and identity.
        trials: How many trials at most; default: the recipe's.
        address: Of an existing Ray cluster; None starts Ray on this machine unless it runs already.
        listener: Called with a `Progress` after every event.

    Raises:
        RecipeError: if the recipe can't run.
        StorageError: if the storage can't be used, or the name belongs to another recipe.
        ClusterError: if no cluster answers, or it can't hold a trial.
    """
    if trials is not None:
        recipe = parse_recipe(recipe.model_dump(mode="json"), {"search/trials": trials})
    job = Job(recipe, storage, name or default_name(recipe))
    check_recipe(recipe)
    _open(job)
    with _cluster(address):
        check_nodes(job.store())
        return _sweep(job, listener)


def resume(
    path: str, trials: int | None = None, address: str | None = None, listener: Listener | None = None
) -> Run:
    """Go on with the run at `path` where it stopped.

    Raises:
        ValueError: if `path` holds no run.
    """
    storage, _, name = path.rstrip("/").rpartition("/runs/")
    if not name:
        raise ValueError(f"{path} is no run: its path ends in runs/NAME")
    recipe = parse_recipe(read_run_info(path).recipe)
    return run(recipe, storage, name, trials, address, listener)


def default_name(recipe: Recipe) -> str:
    """Return the name of a run that has been given none: what the recipe does is part of it."""
    return "-".join(part for part in (recipe.name, recipe.scale, recipe.identity()) if part)


def grid_order(recipe: Recipe) -> list[Point]:
    """Return the points of a grid in the seeded order in which they run: any first part covers the whole."""
    points = list(recipe.grid())
    order = generator("grid", recipe.seed).permutation(len(points))
    return [points[index] for index in order[: recipe.search.trials]]


def _open(job: Job) -> None:
    ledger = job.ledger()
    info = RunInfo(
        run=job.run,
        recipe=job.recipe.model_dump(mode="json"),
        versions=versions(),
        hardware=hardware(),
        command=" ".join(sys.argv),
        time=time.time(),
    )
    if not ledger.create(info):
        existing = ledger.info()
        assert existing is not None
        if parse_recipe(existing.recipe).identity() != job.recipe.identity():
            raise StorageError(f"run {ledger.path} holds another recipe; choose another --name")
    ledger.clear_stop()


def _sweep(job: Job, listener: Listener | None) -> Run:
    recipe, ledger = job.recipe, job.ledger()
    known, outcomes = ledger.suggestions(), ledger.outcomes()
    finished = {s.number for s in known if s.trial in outcomes and outcomes[s.trial].status != "failed"}
    grid = recipe.search.sampler == "grid"
    points = grid_order(recipe) if grid else []
    total = len(points) if grid else recipe.search.trials or 0
    todo = [Suggested(number, point) for number, point in enumerate(points) if number not in finished]
    remaining = len(todo) if grid else total - len(finished)
    counter = Counter(
        ledger.path,
        total,
        len(finished),
        ledger.stop_requested,
        listener,
        lambda config, error: _fail(job, config, error),
    )
    if remaining > 0:
        drain = _Drain(ledger.stop_requested)
        notebook = Notebook(job, known)
        slots = min(remaining, _slots(recipe))
        if grid:
            space = {"suggested": tune.grid_search([suggested.to_config() for suggested in todo])}
            search: Any = GridSearch(notebook, drain, slots)
        else:
            space = {}
            search = NoiseSearch(recipe, notebook, drain, slots, total, known, outcomes)
        with _signals(ledger.request_stop), tempfile.TemporaryDirectory(prefix="sweeper-") as scratch:
            _tuner(job, space, search, 1 if grid else remaining, counter, scratch).fit()
    ledger.compact()
    done = len(finished) + counter.progress().done
    status: RunStatus = "done" if done >= total else "failed" if counter.failed else "stopped"
    return Run(ledger.path, status, done, counter.failed)


def _tuner(
    job: Job, space: dict[str, Any], search: Any, samples: int, counter: Counter, scratch: str
) -> tune.Tuner:
    placement = job.recipe.resources
    resources = {"cpu": placement.cpu, "gpu": placement.gpu, **placement.custom}
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(TrialRunner, job=job), resources),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric=METRIC, mode="max", search_alg=search, num_samples=samples, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name=job.run,
            storage_path=scratch,
            verbose=0,
            callbacks=[counter],
            failure_config=tune.FailureConfig(max_failures=placement.retries),
        ),
    )


def _slots(recipe: Recipe) -> int:
    """Return how many trials run at once: as many as the cluster holds, or fewer if the recipe says so.

    Raises:
        ClusterError: if the cluster can't hold one.
    """
    placement, cluster = recipe.resources, ray.cluster_resources()
    wants = {"CPU": placement.cpu, "GPU": placement.gpu, **placement.custom}
    fits = min(int(cluster.get(kind, 0) / amount + 1e-9) for kind, amount in wants.items() if amount)
    if fits < 1:
        lacking = ", ".join(f"{amount:g} {kind}" for kind, amount in wants.items() if amount)
        raise ClusterError(f"resources: one trial wants {lacking}, which this cluster hasn't got")
    return min(fits, placement.concurrency or fits)


def _fail(job: Job, config: dict[str, Any], error: str) -> None:
    suggested = Suggested.from_config(config)
    trial, _ = job.trial(suggested)
    ledger = job.ledger()
    ledger.outcome(
        Outcome(
            trial=trial,
            attempt=ledger.next_attempt(trial),
            number=suggested.number,
            status="failed",
            objective=None,
            epochs_trained=0.0,
            wall_seconds=0.0,
            cpu_seconds=0.0,
            host=socket.gethostname(),
            time=time.time(),
            error=error,
        )
    )


class _Drain:
    """Says whether a stop is asked for; looks at most once a second, since storage may be far away."""

    def __init__(self, requested: Any) -> None:
        self._requested = requested
        self._looked = float("-inf")
        self._draining = False

    def __call__(self) -> bool:
        if not self._draining and time.monotonic() - self._looked > DRAIN_POLL_SECONDS:
            self._looked = time.monotonic()
            self._draining = self._requested()
        return self._draining


@contextlib.contextmanager
def _signals(drain: Any) -> Iterator[None]:
    """Drain on the first SIGINT or SIGTERM, be interrupted by the second."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        drain()
        for again in previous:
            signal.signal(again, signal.default_int_handler)

    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """Connect to Ray, or start it here; leave it as it was found.

    Raises:
        ClusterError: if no cluster answers at the address.
    """
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(
            address=address,
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except ConnectionError as error:
        raise ClusterError(f"--address {address}: no Ray cluster answers there: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()
