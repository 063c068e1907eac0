"""What survives a sweep: content-addressed checkpoints, and the ledger of what was tried and measured."""

from sweeper.store.files import Storage, StorageError, probe
from sweeper.store.gc import GcReport, collect_garbage
from sweeper.store.keys import content_key
from sweeper.store.ledger import Ledger
from sweeper.store.objects import Checkpoint, Store
from sweeper.store.terms import Superseded

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
    "probe",
]
