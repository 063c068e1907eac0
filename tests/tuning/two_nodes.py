"""A sweep over two Ray nodes, one of which dies: python -m tests.tuning.two_nodes RECIPE STORAGE."""

import sys

from ray.cluster_utils import Cluster

import sweeper.tuning
from search_spaces import load_recipe
from sweeper.tuning import Progress

if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    doomed = [cluster.add_node(num_cpus=1)]
    cluster.wait_for_nodes()

    def kill_a_node(progress: Progress) -> None:
        """Kill the second node while trials run on both."""
        if doomed and progress.running == 2 and progress.epochs:
            cluster.remove_node(doomed.pop(), allow_graceful=False)
            print("killed", flush=True)

    path, storage = sys.argv[1:]
    run = sweeper.tuning.run(
        load_recipe(path), storage, name="run", address=cluster.address, listener=kill_a_node
    )
    print(run.status, run.trials, run.failed, flush=True)
    cluster.shutdown()
