"""The Ray cluster that a sweep runs on."""

import contextlib
import logging
import math
import os
import socket
from collections.abc import Iterator, Mapping, Sequence

import ray

from search_spaces.resources import Bundle, Placement

QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    # With a searcher of one's own Tune starts one trial after another; ours limits how many there are.
    "TUNE_MAX_PENDING_TRIALS_PG": "10000",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""The ledger is the truth: Tune's own logs and snapshots only cost time."""


CONNECT_SECONDS = 5.0
FAILED_START = "Ray could not be started on this machine"


class ClusterError(Exception):
    """A cluster that can't be reached, or can't hold a trial: one line a user can act on."""


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to the Ray cluster at `address`, or start Ray here; leave it as it was found.

    Raises:
        ClusterError: if no cluster answers at the address, or Ray can't be started here.
    """
    # A trial's death is in its outcome; Tune would print every traceback into the live display.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    if ray.is_initialized():
        yield
        return
    if address is not None:
        _check_reachable(address)
    try:
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        what = f"--address {address}: no Ray cluster answers there" if address else FAILED_START
        raise ClusterError(f"{what}: {reason}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Check that something listens at host:port; Ray itself would wait for minutes.

    Raises:
        ClusterError: if nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return  # "auto" and the like
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or error
        raise ClusterError(f"--address {address}: no Ray cluster answers there: {reason}") from error


def slots(placement: Placement) -> int:
    """Return how many trials to run at once: as many as the recipe says, else as many as the cluster holds.

    What the recipe says beyond that waits for nodes, which an autoscaler starts for those that wait.

    Raises:
        ClusterError: if the nodes that are here can't hold one.
    """
    held = slots_on(placement, [node["Resources"] for node in ray.nodes() if node["Alive"]])
    return placement.concurrency or held


def slots_on(placement: Placement, nodes: Sequence[Mapping[str, float]]) -> int:
    """Return how many trials nodes with these resources, each by its kind, hold; a process lies on one node.

    Raises:
        ClusterError: if they can't hold one.
    """
    wants = [_wants(bundle) for bundle in placement.bundles]
    if not any(wants):
        return len(nodes)
    for want in wants:
        _check_fits(want, nodes)
    free = [_Free(node) for node in nodes]
    # A node that is too full for one process is too full for the next one like it.
    first: dict[str, int] = {}

    def take(want: Mapping[str, float]) -> bool:
        kind = _listed(want)
        for index in range(first.get(kind, 0), len(free)):
            if free[index].take(want):
                first[kind] = index
                return True
        return False

    slots = 0
    while all(take(want) for want in wants):
        slots += 1
    if not slots:
        raise ClusterError(
            f"resources: one trial wants {' + '.join(map(_listed, wants))}, more than this cluster has at once; "
            "lower resources, or name fewer branch_workers"
        )
    return slots


class _Free:
    """What is free on a node, each GPU by itself: what is left of two does not make one."""

    def __init__(self, resources: Mapping[str, float]) -> None:
        self._gpus = [1.0] * int(resources.get("GPU", 0))
        self._pools = {kind: amount for kind, amount in resources.items() if kind != "GPU"}

    def take(self, want: Mapping[str, float]) -> bool:
        """Take what a process wants, if it is there."""
        gpu = want.get("GPU", 0)
        share, wholes = min(gpu, 1), math.ceil(gpu)
        gpus = [index for index, left in enumerate(self._gpus) if _holds(left, share)][:wholes]
        pools = {kind: amount for kind, amount in want.items() if kind != "GPU"}
        if len(gpus) < wholes or not all(_holds(self._pools.get(kind, 0), pools[kind]) for kind in pools):
            return False
        for index in gpus:
            self._gpus[index] -= share
        for kind, amount in pools.items():
            self._pools[kind] -= amount
        return True


def _holds(left: float, amount: float) -> bool:
    return left + 1e-9 >= amount  # three trials of .1 fit into .3


def _wants(bundle: Bundle) -> dict[str, float]:
    wants = {"CPU": bundle.cpu, "GPU": bundle.gpu, **bundle.custom}
    return {kind: amount for kind, amount in wants.items() if amount}


def _check_fits(want: Mapping[str, float], nodes: Sequence[Mapping[str, float]]) -> None:
    """Check that some node could hold a process that wants this.

    Raises:
        ClusterError: if none could.
    """
    if any(_Free(node).take(want) for node in nodes):
        return
    largest = max(nodes, key=lambda node: sum(min(node.get(kind, 0) / want[kind], 1) for kind in want))
    raise ClusterError(
        f"resources: one trial wants {_listed(want)}, more than this cluster has on any node "
        f"(the largest has {_listed({kind: largest.get(kind, 0) for kind in want})}); lower resources"
    )


def _listed(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:g} {kind}" for kind, amount in resources.items())
