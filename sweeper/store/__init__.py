"""What survives a sweep: content-addressed checkpoints, and the ledger of what was tried and measured."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sweeper.store.files import Storage, StorageError, probe
from sweeper.store.keys import content_key
from sweeper.store.ledger import Ledger
from sweeper.store.terms import Superseded

if TYPE_CHECKING:
    from sweeper.store.gc import GcReport, collect_garbage, delete_run
    from sweeper.store.objects import Checkpoint, Store

__all__ = [
    "Checkpoint",
    "GcReport",
    "Ledger",
    "Storage",
    "StorageError",
    "Store",
    "Superseded",
    "collect_garbage",
    "content_key",
    "delete_run",
    "probe",
]

_HOMES = {
    **dict.fromkeys(("GcReport", "collect_garbage", "delete_run"), "gc"),
    **dict.fromkeys(("Checkpoint", "Store"), "objects"),
}


def __getattr__(name: str) -> Any:
    # Checkpoints need torch, which takes seconds to import; the ledger does without it.
    if name in _HOMES:
        return getattr(import_module(f"sweeper.store.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
