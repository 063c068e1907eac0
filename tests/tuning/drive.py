"""Runs a recipe file as a driver of its own: python -m tests.tuning.drive RECIPE STORAGE [ADDRESS]."""

import sys

import sweeper.tuning
from search_spaces import load_recipe
from sweeper.tuning import Progress


def show(progress: Progress) -> None:
    """Say that trials have started, once."""
    if progress.running and not show.__dict__.setdefault("said", False):
        show.__dict__["said"] = True
        print("running", flush=True)


if __name__ == "__main__":
    path, storage, *address = sys.argv[1:]
    run = sweeper.tuning.run(
        load_recipe(path), storage, name="run", address=address[0] if address else None, listener=show
    )
    print(run.status, run.path, flush=True)
