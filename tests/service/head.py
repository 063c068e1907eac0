"""Ray on this machine with a dashboard, in a process of its own: prints its address, and ends with its input."""

import socket
import sys

from ray.cluster_utils import Cluster


def free_port() -> int:
    """Return a port that nobody has: of several Rays on one machine only the first gets the default ones."""
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return int(any_port.getsockname()[1])


if __name__ == "__main__":
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 2,
            "include_dashboard": True,
            "dashboard_port": free_port(),
            "dashboard_agent_listen_port": free_port(),
        },
    )
    print(f"http://{cluster.head_node.webui_url}", flush=True)
    sys.stdin.read()
    cluster.shutdown()
