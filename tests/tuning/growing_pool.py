"""A sweep on a cluster that grows: python -m tests.tuning.growing_pool RECIPE STORAGE.

It has one core at first; nodes come once a trial runs, as an autoscaler would bring them for those that wait.
"""

import sys

from ray.cluster_utils import Cluster

import sweeper.tuning
from search_spaces import load_recipe
from sweeper.tuning import Progress

if __name__ == "__main__":
    path, storage = sys.argv[1:]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    more = [1, 1]

    def grow(progress: Progress) -> None:
        """Add a node, twice, once a trial runs."""
        if progress.running and more:
            cluster.add_node(num_cpus=more.pop())

    run = sweeper.tuning.run(load_recipe(path), storage, name="run", address=cluster.address, listener=grow)
    print(run.status, run.trials, run.failed, flush=True)
    cluster.shutdown()
