"""Many short trials in one sweep: overhead, the driver's memory, and what it costs to resume.

    python -m benchmarks.scale --trials 10000 [--sampler grid|random|tpe|critical_noise] [--nodes 4] [--storage FOLDER]
    python -m benchmarks.scale --trials 10000 --resume-only

The overhead per trial is that of `benchmarks.overhead`, (wall − Σ trial seconds / slots) / trials. Lines are printed as
the sweep goes on, so that one sees what grows with the number of trials. A folder of an earlier call goes on.
`--resume-only` trains nothing: it writes the ledger of such a grid, as a driver that was killed near its end leaves it
and as a finished one does, and measures what a new driver needs to read it.
"""

import argparse
import contextlib
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import ray

import sweeper.tuning
from analysis.reading import read_trials
from analysis.records import Outcome, Stage, Suggestion
from search_spaces import Recipe, parse_recipe
from sweeper.tuning import Progress
from sweeper.tuning.cluster import connected, slots
from sweeper.tuning.job import Job, Suggested, grid_order
from sweeper.tuning.search.searcher import History

LINES = 20
BATCH_SIZES = [5, 10, 20, 25]


def recipe(sampler: str, trials: int) -> Recipe:
    """Return a recipe of so many trials, each of two epochs on fifty digits by a tiny network."""
    scales = [1e-3 * 1.001**number for number in range(-(-trials // len(BATCH_SIZES)))]
    noise_scale = {"values": scales} if sampler == "grid" else {"low": 1e-3, "high": 0.1, "log": True}
    content: dict[str, Any] = {
        "name": "scale",
        "task": {"name": "digits", "train_size": 50, "validation_size": 50},
        "model": {"name": "mlp", "widths": [8]},
        "train": {"noise_scale": 0.01, "batch_size": 10},
        "trunk": {"epochs": 1, "branch_every": 1},
        "branch": {"decay_epochs": 1},
        "measures": {"splits": ["validation"], "metrics": ["loss"], "batchnorm": "recalibrated"},
        "space": {"train/noise_scale": noise_scale, "train/batch_size": {"values": BATCH_SIZES}},
        "search": {"sampler": sampler, "trials": trials},
        "retention": "records",
    }
    return parse_recipe(content)


class Growth:
    """A listener that prints what the driver has used, `LINES` times over the sweep."""

    def __init__(self) -> None:
        self._started, self._cpu, self._done = time.perf_counter(), time.process_time(), 0

    def __call__(self, progress: Progress) -> None:
        """Print a line if another part of the sweep is done."""
        if progress.done - self._done < max(1, progress.total // LINES):
            return
        wall, cpu, more = time.perf_counter(), time.process_time(), progress.done - self._done
        found = {
            "done": progress.replayed + progress.done,
            "wall_ms_per_trial": round(1e3 * (wall - self._started) / more, 1),
            "driver_cpu_ms_per_trial": round(1e3 * (cpu - self._cpu) / more, 1),
            "driver_gib": round(peak_gib(), 3),
        }
        print(json.dumps(found), flush=True)
        self._started, self._cpu, self._done = wall, cpu, progress.done


def measure(sampler: str, trials: int, nodes: int, storage: str) -> dict[str, float]:
    """Return what a sweep cost, and what it costs to find that it is finished."""
    with _cluster(nodes):
        asked = recipe(sampler, trials)
        started = time.perf_counter()
        run = sweeper.tuning.run(asked, storage, name=f"{sampler}-{trials}", listener=Growth())
        wall, at_once = time.perf_counter() - started, slots(asked.resources)
    trained = float(read_trials(run.path)["wall_seconds"].sum())
    return {
        "trials": run.trials,
        "slots": at_once,
        "trial_seconds": trained / run.trials,
        "overhead_seconds": (wall - trained / at_once) / trials,
        **resume(Job(asked, storage, run.path.rpartition("/")[2])),
        "driver_gib": peak_gib(),
    }


def measure_resume(trials: int, storage: str) -> dict[str, dict[str, float]]:
    """Return what it costs to read the ledger of a killed and of a finished grid."""
    job = Job(recipe("grid", trials), storage, "run")
    ledger = job.ledger()
    points = [Suggested(number, point) for number, point in enumerate(grid_order(job.recipe))]
    config = job.trial(points[0])[1].model_dump(mode="json")
    for suggested in points:
        name = job.trial(suggested)[0]
        common = {"trial": name, "attempt": 0, "number": suggested.number, "time": 0.0}
        ledger.suggest(Suggestion(overrides=dict(suggested.point), config=config, **common))
        stage = {
            "trial": name,
            "attempt": 0,
            "branch_step": 1,
            "records": (),
            "measurements": (),
            "trained": {},
        }
        ledger.stage(Stage(**stage))
        ended = {
            "status": "ok",
            "objective": 0.0,
            "epochs_trained": 1.0,
            "wall_seconds": 1.0,
            "cpu_seconds": 1.0,
        }
        ledger.outcome(Outcome(host="", **ended, **common))
    killed = resume(job)
    started = time.process_time()
    ledger.compact()
    compaction = {"cpu_seconds": time.process_time() - started}
    return {"killed": killed, "compaction": compaction, "finished": resume(job)}


def resume(job: Job) -> dict[str, float]:
    """Return what it costs to find that nothing is left to do."""
    wall, cpu = time.perf_counter(), time.process_time()
    assert not History(job).remaining
    return {
        "resume_wall_seconds": time.perf_counter() - wall,
        "resume_cpu_seconds": time.process_time() - cpu,
    }


def peak_gib() -> float:
    """Return the most memory this process has held, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@contextlib.contextmanager
def _cluster(nodes: int) -> Iterator[None]:
    """Start Ray here, as one node with every core, or as several with one core each."""
    if nodes == 1:
        with connected(None):
            yield
        return
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(num_cpus=1)
        with connected(cluster.address):
            yield
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sampler", default="grid", choices=["grid", "random", "tpe", "critical_noise"])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--storage", default=None)
    parser.add_argument("--resume-only", action="store_true")
    chosen = parser.parse_args()
    folder = chosen.storage or tempfile.mkdtemp(prefix="scale-")
    if chosen.resume_only:
        print(json.dumps(measure_resume(chosen.trials, folder), indent=2))
    else:
        print(json.dumps(measure(chosen.sampler, chosen.trials, chosen.nodes, folder), indent=2))
