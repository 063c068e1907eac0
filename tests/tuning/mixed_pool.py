"""A trial whose branches run on spot nodes: python -m tests.tuning.mixed_pool RECIPE STORAGE GO.

The spot node dies as soon as a branch trains there; another one takes its place, and then the file GO is made.
"""

import sys
from pathlib import Path

from ray.cluster_utils import Cluster

import sweeper.tuning
from search_spaces import load_recipe
from sweeper.tuning import Progress

if __name__ == "__main__":
    path, storage, go = sys.argv[1:]
    head = {"num_cpus": 1, "resources": {"on_demand": 1}, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    spot = [cluster.add_node(num_cpus=1, resources={"spot": 1})]
    cluster.wait_for_nodes()

    def preempt(progress: Progress) -> None:
        """Take the spot node away while a branch trains on it, once."""
        if any(Path(go).parent.glob("branch on *")) and not Path(go).exists():
            cluster.remove_node(spot.pop(), allow_graceful=False)
            spot.append(cluster.add_node(num_cpus=1, resources={"spot": 1}))
            Path(go).touch()
            print("preempted", flush=True)

    run = sweeper.tuning.run(
        load_recipe(path), storage, name="run", address=cluster.address, listener=preempt
    )
    print(run.status, run.trials, run.failed, flush=True)
    cluster.shutdown()
