"""A driver to be disturbed: python -m tests.faults.driver RECIPE STORAGE [--lease SECONDS] [--address ADDRESS]."""

import argparse

import sweeper.tuning.launch
from search_spaces import load_recipe
from sweeper.store import Superseded
from tests.tuning.drive import show

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe")
    parser.add_argument("storage")
    parser.add_argument("--lease", type=float, default=60.0)
    parser.add_argument("--address")
    asked = parser.parse_args()
    sweeper.tuning.launch.LEASE_SECONDS = asked.lease
    try:
        run = sweeper.tuning.launch.run(
            load_recipe(asked.recipe), asked.storage, name="run", address=asked.address, listener=show
        )
    except Superseded as error:
        print(error, flush=True)
    else:
        print(run.status, run.trials, run.failed, flush=True)
