"""A driver whose lease is short: python -m tests.faults.driver RECIPE STORAGE LEASE_SECONDS."""

import sys

import sweeper.tuning.launch
from search_spaces import load_recipe
from sweeper.store import Superseded
from tests.tuning.drive import show

if __name__ == "__main__":
    path, storage, seconds = sys.argv[1:]
    sweeper.tuning.launch.LEASE_SECONDS = float(seconds)
    try:
        run = sweeper.tuning.launch.run(load_recipe(path), storage, name="run", listener=show)
    except Superseded as error:
        print(error, flush=True)
    else:
        print(run.status, run.trials, flush=True)
