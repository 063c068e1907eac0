"""What a trial asks of an object store: requests and bytes by kind, counted on an object store in memory."""

from collections import Counter
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from benchmarks.timing import table
from search_spaces import parse_recipe
from sweeper.tuning.job import Job, Suggested
from sweeper.tuning.results import SUGGESTED
from sweeper.tuning.workers.trainable import TrialRunner

COUNTS: Counter[str] = Counter()
KINDS = ("LIST", "GET", "PUT", "DELETE")


class CountedFileSystem(MemoryFileSystem):
    """An object store in memory that counts what S3 would be asked."""

    protocol = "counted"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    def find(self, *arguments: Any, **options: Any) -> Any:
        """Count a listing of everything under a prefix."""
        COUNTS["LIST"] += 1
        return super().find(*arguments, **options)

    def ls(self, *arguments: Any, **options: Any) -> Any:
        """Count a listing of one directory."""
        COUNTS["LIST"] += 1
        return super().ls(*arguments, **options)

    def cat_ranges(self, paths: list[str], *arguments: Any, **options: Any) -> Any:
        """Count a request for each object."""
        contents = super().cat_ranges(paths, *arguments, **options)
        COUNTS["GET"] += len(paths)
        COUNTS["bytes read"] += sum(len(content) for content in contents if isinstance(content, bytes))
        return contents

    def pipe_file(self, path: str, value: bytes, *arguments: Any, **options: Any) -> None:
        """Count an object that is written."""
        COUNTS["PUT"] += 1
        COUNTS["bytes written"] += len(value)
        super().pipe_file(path, value, *arguments, **options)

    def rm_file(self, path: str) -> None:
        """Count an object that is deleted."""
        COUNTS["DELETE"] += 1
        super().rm_file(path)


def main(rounds: int) -> str:
    """Return what trials of one to four branch points with two branches ask for."""
    rows = []
    for points in (1, 2, 4):
        counts = requests(points)
        asked = [str(counts[kind]) for kind in KINDS]
        size = [f"{counts[f'bytes {verb}'] / parameter_bytes():.1f}" for verb in ("written", "read")]
        rows.append([str(points), *asked, str(sum(counts[kind] for kind in KINDS)), *size])
    return table(["m", *KINDS, "requests", "written / parameters", "read / parameters"], rows)


def requests(points: int) -> Counter[str]:
    """Return what one trial with so many branch points asks for, renewals of leases aside."""
    fsspec.register_implementation("counted", CountedFileSystem, clobber=True)
    CountedFileSystem.store.clear()
    recipe = parse_recipe(content(points))
    # As Ray makes it, but in this process.
    trial = TrialRunner.__new__(TrialRunner)
    COUNTS.clear()
    job = Job(recipe, "counted://bucket", "run", term=1)
    trial.config = {SUGGESTED: Suggested(0, {"train/lr": 0.1})}
    trial.setup(trial.config, job)
    while not trial.step()["done"]:
        pass
    return COUNTS.copy()


def parameter_bytes() -> int:
    """Return the size of the network's parameters, which has one hidden layer."""
    [width] = content(1)["model"]["widths"]
    return 4 * (64 * width + width + 10 * width + 10)


def content(points: int) -> dict[str, Any]:
    """Return a recipe whose trials train in no time."""
    return {
        "name": "requests",
        "task": {"name": "digits", "train_size": 40, "validation_size": 40},
        "model": {"name": "mlp", "widths": [2048], "norm": "none"},
        "train": {"lr": 0.1, "batch_size": 40},
        "trunk": {"epochs": points, "branch_every": 1},
        "branch": {"decay_epochs": 1},
        "measures": {"splits": ["validation"], "metrics": ["loss"]},
        "space": {"train/lr": {"values": [0.1, 0.2]}},
        "search": {"sampler": "grid"},
    }
