"""Keeping things in order: doctor, gc."""

from typing import Annotated

import typer

from sweeper.commands.request import STORAGE, AddressOption, StorageOption, refuse


def doctor(storage: StorageOption = STORAGE, address: AddressOption = None) -> int:
    """Check versions, devices, the storage from every node, and Ray. Exit status 1 if any check fails.

    Example: sweeper doctor --storage /mnt/shared/sweeps --address auto
    """
    from sweeper.commands import console
    from sweeper.commands.doctor import checks

    failed = False
    for check in checks(storage, address):
        console.show_check(check)
        failed |= check.result == "FAIL"
    return int(failed)


def gc(
    storage: StorageOption = STORAGE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove checkpoints that no run refers to, and what killed processes left behind.

    Nothing younger than an hour is removed, nor what was saved since an unfinished trial began: it may be that
    trial's. Finish the run, or delete its folder.

    Example: sweeper gc --storage sweeps --dry-run
    """
    from sweeper.commands import console
    from sweeper.store import Storage, collect_garbage

    place = Storage(storage)
    if not {"runs", "objects"} & set(place.names(place.root)):
        refuse(f"storage {storage} holds no runs; name another --storage")
    console.show_garbage(collect_garbage(storage, dry_run), dry_run)
