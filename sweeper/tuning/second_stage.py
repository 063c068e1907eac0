"""Merges and measures that are added to a run from its stored endpoints, by Ray tasks that train nothing."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayTaskError

from analysis.reading import read_run_info
from analysis.records import Stage, Suggestion
from search_spaces.config import TrialConfig
from search_spaces.recipe import parse_recipe
from sweeper.additions import Addition, new_in, recipe_with
from sweeper.store import Ledger, StorageError
from sweeper.training import NoTraining, NotStored
from sweeper.trial import Trial, TrialName
from sweeper.tuning.cluster import connected, slots
from sweeper.tuning.job import Job
from sweeper.tuning.launch import sole_holder
from sweeper.tuning.preflight import check_recipe
from sweeper.tuning.workers.replicas import settled

RECORDLESS = "no branch point of the trial is on record; finish the sweep with `sweeper resume`"
FAILED = "the merge could not be made; its records have status failed, and sweeper's log says why"


@dataclass
class Tally:
    """What a trial, or all of them, have been given; counts but for `epochs` are of what is new."""

    branch_points: int = 0
    there: int = 0
    """Branch points that had all of it before."""
    records: int = 0
    measurements: int = 0
    epochs: float = 0.0
    """Trained for it."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Why something could not be added → at how many branch points."""

    def __iadd__(self, other: "Tally") -> "Tally":
        for name in ("branch_points", "there", "records", "measurements", "epochs"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.left_out += other.left_out
        return self


@dataclass(frozen=True)
class Measuring:
    """One look at what is being added; counts are trials."""

    path: str
    total: int
    done: int
    tally: Tally


MeasureListener = Callable[[Measuring], None]


def measure(
    path: str,
    merge: Mapping[str, Any] | None = None,
    also: Sequence[str] = (),
    measures: Mapping[str, Any] | None = None,
    address: str | None = None,
    listener: MeasureListener | None = None,
) -> Tally:
    """Add a merge, further measures, or both at every branch point of the run at `path`, from stored endpoints.

    Nothing is trained. What was added before is not measured again; each branch point is written when it is measured.

    Args:
        path: Of a run that has ended or was stopped.
        merge: Its `kind` and settings, as under `merges` of a recipe.
        also: Measures, as under `measures/also`.
        measures: Path under `measures` → value, such as {"eigenvalues": 4}; others are as in the recipe.
        address: Of an existing Ray cluster; None starts Ray on this machine unless it runs already.
        listener: Called with a `Measuring` after every trial.

    Raises:
        RunError: if `path` holds no run.
        RecipeError: if the run's networks can't be merged or measured like this.
        StorageError: if the run is being run, or measured by another process.
        ClusterError: if no cluster answers, or it can't hold a trial.
    """
    ledger = Ledger.at(path)
    recipe = parse_recipe(read_run_info(ledger.path).recipe)
    asked = recipe_with(recipe, merge, also, measures or {})
    check_recipe(asked)
    addition = Addition(asked.measures, asked.merges[0] if merge is not None else None)
    job = Job(recipe, ledger.storage.url, ledger.run)
    if ledger.driven():
        raise StorageError(f"run {ledger.path} is being run; wait for it, or stop it")
    with connected(address), sole_holder(job, f"measure-{job.run}", "measured"):
        return _measure(job, addition, ledger.suggestions(), listener)


def _measure(
    job: Job, addition: Addition, trials: Sequence[Suggestion], listener: MeasureListener | None
) -> Tally:
    bundle = job.recipe.resources.bundles[0]
    task = _add.options(
        num_cpus=bundle.cpu,
        num_gpus=bundle.gpu,
        resources=bundle.custom,
        max_retries=job.recipe.resources.retries,
    )
    alone = job.recipe.resources.model_copy(update={"branch_workers": 0, "data_parallel": 1})
    tally = Tally()
    results = _at_once(slots(alone), (partial(task.remote, job, addition, each) for each in trials))
    for done, result in enumerate(results, start=1):
        tally += result
        if listener is not None:
            listener(Measuring(job.ledger().path, len(trials), done, tally))
    return tally


def _at_once(count: int, tasks: Iterator[Callable[[], Any]]) -> Iterator[Tally]:
    """Start tasks, `count` of them at a time, and yield what each gives; one that dies is left out, and says why."""
    running: list[Any] = []
    try:
        for start in tasks:
            running.append(start())
            if len(running) == count:
                [done], running = ray.wait(running)
                yield _result(done)
        while running:
            [done], running = ray.wait(running)
            yield _result(done)
    finally:
        # After Ctrl-C; what they have written stays.
        for reference in running:
            ray.cancel(reference)


def _result(reference: Any) -> Tally:
    try:
        tally: Tally = ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, StorageError):
            raise error.cause from None
        return Tally(left_out=Counter([f"{type(error.cause).__name__}: {error.cause}".partition("\n")[0]]))
    return tally


@ray.remote
def _add(job: Job, addition: Addition, suggestion: Suggestion) -> Tally:
    return add(job, addition, suggestion)


def add(job: Job, addition: Addition, suggestion: Suggestion) -> Tally:
    """Add to one trial what it lacks, and return what that was."""
    device = job.enter(job.recipe.resources.bundles[0])
    ledger, tally = job.ledger(), Tally()
    found = ledger.stages(suggestion.trial)
    if not found:
        return Tally(left_out=Counter([RECORDLESS]))
    config = TrialConfig.model_validate(suggestion.config)
    together = settled(job, config) == "fused"
    name = TrialName(job.run, suggestion.trial, recipe=job.recipe.name)
    trial: Trial | None = None
    there = ledger.additions.keys(suggestion.trial)
    for step, stage in found.items():
        if (step, addition.key) in there:
            tally.there += 1
            continue
        trial = trial or Trial(
            addition.config(config), job.store(), name, device=device, trainer=lambda *_: NoTraining(together)
        )
        try:
            made = addition.stage(trial, step)
        except NotStored as error:
            tally.left_out[str(error)] += 1
            continue
        new = new_in(made, [stage, *ledger.additions.stages(suggestion.trial, step)])
        ledger.additions.write(new, addition.key)
        tally += _tally_of(new)
    return tally


def _tally_of(stage: Stage) -> Tally:
    failed = any(record.status == "failed" for record in stage.records)
    return Tally(
        branch_points=1,
        records=len(stage.records),
        measurements=len(stage.measurements),
        epochs=sum(stage.trained.values()),
        left_out=Counter([FAILED] if failed else []),
    )
