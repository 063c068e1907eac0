"""A sweep from its recipe to its end: what the ledger holds is kept, the rest is searched and run."""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from analysis.critical_point import CriticalPoint
from analysis.reading import read_run_info
from analysis.records import RunInfo
from analysis.verdict import verdict
from search_spaces.recipe import Recipe, parse_recipe
from sweeper.store import Ledger, Storage, StorageError
from sweeper.store.leases import current_leases, lease, this_host
from sweeper.store.ledger import LEASE_SECONDS
from sweeper.tuning.cluster import connected, slots
from sweeper.tuning.drain import Drain, drain_on_signal
from sweeper.tuning.failures import Failures, record_losses
from sweeper.tuning.job import Job, code_of, default_name
from sweeper.tuning.preflight import check_nodes, check_recipe
from sweeper.tuning.progress import Counter, Listener
from sweeper.tuning.provenance import hardware, versions
from sweeper.tuning.results import METRIC, SUGGESTED
from sweeper.tuning.search.searcher import GridSearch, History, NoiseSearch
from sweeper.tuning.workers.trainable import TrialRunner

RunStatus = Literal["done", "stopped", "failed"]


@dataclass(frozen=True)
class Run:
    """A run that has ended, or been stopped; `trials` counts the finished ones."""

    path: str
    status: RunStatus
    trials: int
    failed: int
    stopped_early: str = ""
    """Why the search ended itself before its last trial, in words; empty if it didn't."""
    storm: str = ""
    """Why so many trials failed that the sweep ended itself, in words; empty if they didn't."""

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
    SIGINT or SIGTERM drains: trials end at their next branch point, and a later `run` or `resume` goes on.

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
    check_recipe(recipe)
    # Workers run in directories of their own: a relative path would be another place in each.
    job = Job(recipe, Storage(storage).url, name or default_name(recipe))
    _check_name(job)
    history = History(job)
    if not history.remaining:
        return Run(job.ledger().path, "done", len(history.finished), 0, history.stopped_early)
    with connected(address):
        check_nodes(job.store())
        with sole_holder(job, job.ledger().driver_key, "run"):
            job = _open(job)
            history = History(job)
            # The whole of a grid is a number too: a smaller --trials, now or later, must not shorten what resume does.
            job.ledger().request_trials(history.total)
            return _sweep(job, history, listener)


def resume(
    path: str, trials: int | None = None, address: str | None = None, listener: Listener | None = None
) -> Run:
    """Go on with the run at `path` where it stopped.

    Raises:
        RunError: if `path` holds no run.
    """
    ledger = Ledger.at(path)
    trials = trials or ledger.requested_trials() or None
    recipe = parse_recipe(read_run_info(ledger.path).recipe)
    return run(recipe, ledger.storage.url, ledger.run, trials, address, listener)


def _check_name(job: Job) -> None:
    ledger = job.ledger()
    existing = ledger.info()
    if existing is None:
        return
    if parse_recipe(existing.recipe).identity() != job.recipe.identity():
        raise StorageError(f"run {ledger.path} holds another recipe; choose another --name")
    code = code_of(job.recipe)
    if changed := [name for name in code if existing.code.get(name) != code[name]]:
        raise StorageError(
            f"run {ledger.path} was made with another version of {changed[0]}; choose another --name"
        )


@contextlib.contextmanager
def sole_holder(job: Job, key: str, doing: str) -> Iterator[None]:
    """Hold the lease on `key`; refuse if one at work on this machine has it, wait if one elsewhere has.

    Raises:
        StorageError: if the run is being `doing`, such as run, by another process of this machine.
    """
    store = job.store()
    for held in current_leases(store, key):
        holder = held.holder()
        if holder.get("host") == this_host() and not held.is_over(store.age(held.path(store))):
            raise StorageError(
                f"run {job.ledger().path} is being {doing} by process {holder['pid']}; wait for it, or stop it"
            )
    with lease(store, key, LEASE_SECONDS):
        yield


def _open(job: Job) -> Job:
    """Write the head of the run unless it is there, and begin a term; return the job in this term."""
    ledger = job.ledger()
    ledger.create(
        RunInfo(
            run=job.run,
            recipe=job.recipe.model_dump(mode="json"),
            versions=versions(),
            hardware=hardware(),
            command=" ".join(sys.argv),
            time=time.time(),
            code=code_of(job.recipe),
        )
    )
    job = replace(job, term=ledger.begin_term())
    ledger.clear_stop()
    return job


def _sweep(job: Job, history: History, listener: Listener | None) -> Run:
    ledger = job.ledger()
    drain, failures = Drain(ledger), Failures()
    concurrency = min(history.remaining, slots(job.recipe.resources))
    counter = Counter(ledger.path, history.total, len(history.finished), drain, failures, listener)
    with drain_on_signal(drain):
        if job.recipe.search.sampler == "grid":
            _tune(job, GridSearch(history, history.unfinished, drain, concurrency), counter)
        else:
            _tune(job, NoiseSearch(history, drain, concurrency), counter)
        while failures.to_do and not drain():
            points, beside_others = failures.take()
            _tune(job, GridSearch(history, points, drain, concurrency if beside_others else 1), counter)
    lost = record_losses(job, failures.lost)
    if drain.problem:
        raise drain.problem
    ledger.compact()
    after, failed = History(job), lost or failures.storm
    status: RunStatus = "failed" if failed else "stopped" if after.remaining else "done"
    return Run(ledger.path, status, len(after.finished), lost, after.stopped_early, failures.storm)


def _tune(job: Job, search: GridSearch | NoiseSearch, counter: Counter) -> None:
    with tempfile.TemporaryDirectory(prefix="sweeper-") as scratch:
        _tuner(job, search, counter, scratch).fit()


def _tuner(job: Job, search: GridSearch | NoiseSearch, counter: Counter, scratch: str) -> tune.Tuner:
    placement = job.recipe.resources
    bundles = [{"CPU": bundle.cpu, "GPU": bundle.gpu, **bundle.custom} for bundle in placement.bundles]
    resources = tune.PlacementGroupFactory(bundles, placement.strategy)
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(TrialRunner, job=job), resources),
        param_space={SUGGESTED: None},
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="max",
            search_alg=search,
            scheduler=_Waiting(),
            num_samples=search.samples,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=job.run,
            storage_path=scratch,
            verbose=0,
            callbacks=[counter],
            failure_config=tune.FailureConfig(max_failures=placement.retries),
            # Workers would write to `scratch`, which is this node's alone; the store has all that a retry needs.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )


class _Waiting(FIFOScheduler):
    """Starts what waits. Tune's own looks at every trial there has been, at every step."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return the first trial that waits, None if none does."""
        waiting = [trial for trial in tune_controller.get_live_trials() if trial.status == Trial.PENDING]
        return min(waiting, key=lambda trial: trial.trial_id, default=None)
