"""The Ray cluster that a sweep runs on."""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator

import ray

from search_spaces.recipe import Placement

QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""The ledger is the truth: Tune's own logs and snapshots only cost time."""


CONNECT_SECONDS = 5.0


class ClusterError(Exception):
    """A cluster that can't be reached, or can't hold a trial: one line a user can act on."""


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to the Ray cluster at `address`, or start Ray here; leave it as it was found.

    Raises:
        ClusterError: if no cluster answers at the address.
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
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ClusterError(f"--address {address}: no Ray cluster answers there: {reason}") from error
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
    """Return how many trials run at once: as many as the cluster holds, or fewer if the recipe says so.

    Raises:
        ClusterError: if the cluster can't hold one.
    """
    cluster = ray.cluster_resources()
    wants = {"CPU": placement.cpu, "GPU": placement.gpu, **placement.custom}
    lacking = {kind: amount for kind, amount in wants.items() if cluster.get(kind, 0) < amount}
    if lacking:
        text = ", ".join(f"{amount:g} {kind}" for kind, amount in lacking.items())
        raise ClusterError(f"resources: one trial wants {text}, more than this cluster has; lower resources")
    # 1e-9: three trials of .1 fit into .3.
    fits = min((int(cluster[kind] / amount + 1e-9) for kind, amount in wants.items() if amount), default=1)
    return min(fits, placement.concurrency or fits)
