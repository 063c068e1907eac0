"""What can keep a sweep from running here: one check a line."""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from typing import Literal

import ray
import torch

from sweeper.store import Storage, StorageError, Store, probe
from sweeper.tuning import ClusterError, check_nodes
from sweeper.tuning.cluster import connected
from sweeper.tuning.provenance import hardware, versions

LEAST_MEMORY_GIB = 2.0
"""Ray and two workers with torch take about this much."""


@dataclass(frozen=True)
class Check:
    """What was looked at, how it went, and what was found or what to do."""

    what: str
    result: Literal["ok", "warn", "FAIL"]
    text: str


def checks(storage: str, address: str | None) -> Iterator[Check]:
    """Yield the checks of this machine, the storage, and Ray at `address` (None: here), one after the other."""
    yield _versions()
    yield _devices()
    yield _threads()
    place = _storage(storage)
    yield place
    yield from _ray(storage, address, look_at_storage=place.result == "ok")


def _versions() -> Check:
    try:
        found = versions()
    except PackageNotFoundError as error:
        return Check("versions", "FAIL", f"{error.name} is not installed; install sweeper again")
    return Check("versions", "ok", ", ".join(f"{name} {version}" for name, version in found.items()))


def _devices() -> Check:
    accelerators = hardware()["accelerators"]
    if accelerators:
        return Check("devices", "ok", ", ".join(accelerators))
    return Check(
        "devices", "ok", f"{platform.machine()} processor, no GPU that torch {torch.__version__} can use"
    )


def _threads() -> Check:
    machine = hardware()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine["cores"]
    text = f"{usable} of {machine['cores']} cores, {machine['memory_gib']:g} GiB of memory"
    if machine["memory_gib"] < LEAST_MEMORY_GIB:
        return Check("threads", "warn", f"{text}: workers may be killed; give {LEAST_MEMORY_GIB:g} GiB")
    if usable < machine["cores"]:
        return Check("threads", "warn", f"{text}: Ray counts them all; set resources/concurrency to {usable}")
    return Check("threads", "ok", text)


def _storage(url: str) -> Check:
    try:
        place = Storage(url)
        probe(place)
    except StorageError as error:
        return Check("storage", "FAIL", str(error))
    return Check("storage", "ok", f"{place.url}: written, read and deleted")


def _ray(storage: str, address: str | None, look_at_storage: bool) -> Iterator[Check]:
    try:
        with connected(address):
            yield _cluster(address)
            if look_at_storage:
                yield _nodes(storage)
    except ClusterError as error:
        yield Check("ray", "FAIL", str(error))


def _cluster(address: str | None) -> Check:
    resources, nodes = ray.cluster_resources(), sum(node["Alive"] for node in ray.nodes())
    where = f"cluster {address}" if address else "started here"
    cores, gpus = resources.get("CPU", 0), resources.get("GPU", 0)
    text = f"{where}: {nodes} node{'s' * (nodes != 1)}, {cores:g} CPU, {gpus:g} GPU"
    if cores < 1:
        return Check("ray", "FAIL", f"{text}; a trial needs one CPU")
    return Check("ray", "ok", text)


def _nodes(storage: str) -> Check:
    try:
        check_nodes(Store(storage))
    except StorageError as error:
        return Check("nodes", "FAIL", str(error))
    return Check("nodes", "ok", f"every node writes and reads {storage}")
