"""Frees what nothing refers to: objects no run names, leases of the dead, temporary files of the killed."""

import time
from dataclasses import dataclass

from sweeper.store.disks import TEMPORARY
from sweeper.store.files import Storage, StorageError
from sweeper.store.leases import current_leases, lease
from sweeper.store.ledger import LEASE_SECONDS, Ledger, list_runs
from sweeper.store.objects import object_path, objects


@dataclass(frozen=True)
class GcReport:
    """What was removed, or would be."""

    objects: int
    bytes: int
    leases: int
    leftovers: int
    """Temporary files, and tables of compactions that were killed."""


def collect_garbage(url: str, dry_run: bool = False, grace_seconds: float = 3600.0) -> GcReport:
    """Remove objects that no run names, dead leases, and what killed writers left.

    Nothing younger than `grace_seconds` is removed, and no object under a live lease. Objects of a trial are named
    only once their branch point is measured, so what was saved since an unfinished trial began may be its own and
    stays: finish the run, or delete it.

    Args:
        url: the storage root.
        dry_run: remove nothing, only report.
        grace_seconds: age under which everything is kept.

    Raises:
        StorageError: if the storage can't be read or written, or a run's tables are damaged.
    """
    storage = Storage(url)
    # Objects are listed before references: whatever is saved and named meanwhile isn't in the list.
    sizes = objects(storage)
    leases = current_leases(storage)
    dead = [lease for lease in leases if lease.is_over(storage.age(lease.path(storage)) - grace_seconds)]
    named = {lease.key for lease in leases if lease not in dead}
    leftovers = [path for path in storage.find(storage.root) if path.endswith(TEMPORARY)]
    grace_of_objects = grace_seconds
    for run in list_runs(storage):
        ledger = Ledger(storage, run)
        named |= ledger.keys()
        leftovers += ledger.orphans()
        grace_of_objects = max([grace_of_objects, *(time.time() - s.time for s in ledger.unfinished())])
    garbage = [
        key for key in sizes.keys() - named if storage.age(object_path(storage, key)) > grace_of_objects
    ]
    leftovers = [path for path in leftovers if storage.age(path) > grace_seconds]
    if not dry_run:
        for path in (*(object_path(storage, key) for key in garbage), *leftovers):
            storage.remove(path)
        for lease in dead:
            storage.remove(lease.path(storage))
    return GcReport(len(garbage), sum(sizes[key] for key in garbage), len(dead), len(leftovers))


def delete_run(path: str) -> GcReport:
    """Delete the run at `path`, and the objects that it alone names.

    Its head goes last: whoever is killed in between leaves a run that can be deleted again. A sweep that is about to
    load what is deleted here trains it again.

    Raises:
        StorageError: if a process runs it, or it can't be deleted.
    """
    ledger = Ledger.at(path)
    if ledger.driven():
        raise StorageError(f"run {path} is being run; stop it first")
    storage = ledger.storage
    with lease(storage, ledger.driver_key, LEASE_SECONDS):
        shared = {held.key for held in current_leases(storage)}
        for other in list_runs(storage):
            shared |= Ledger(storage, other).keys() if other != ledger.run else set()
        alone = ledger.keys() - shared
        own = {key: size for key, size in objects(storage).items() if key in alone}
        for key in own:
            storage.remove(object_path(storage, key))
        run = Storage(path).root
        storage.remove_trees([f"{run}/{part}" for part in storage.names(run) if part != "run.json"])
        storage.remove_trees([run])
    return GcReport(len(own), sum(own.values()), 0, 0)
