"""The content-addressed store: checkpoints by the key of what determined them.

    ROOT/objects/ab/abcdef….safetensors

An object is one safetensors file whose header also carries `meta` (JSON) and the SHA-256 of the whole file,
taken with the digits of the sum itself set to zero. Whatever bit of it changes, it is found out on reading.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from sweeper.store.files import Storage, StorageError
from sweeper.store.leases import lease

LOG = logging.getLogger(__name__)

SUFFIX = ".safetensors"
SIZE_SECONDS = 30.0
"""How long a measured size is trusted; other processes write meanwhile."""

_NO_SUM = "0" * 64
_SUM_FIELD = b'"sha256":"'


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors, and what is known about them."""

    tensors: dict[str, Tensor]
    meta: dict[str, Any]
    """JSON."""


class Store(Storage):
    """Checkpoints by content key, under one local path or fsspec URL.

    Args:
        url: the storage root.
        quota_bytes: refuse to write objects past this total; None sets no bound. Processes that write at the
            same time notice each other within `SIZE_SECONDS`.
        lease_seconds: a lease that isn't renewed for so long is free.
        patience_seconds: for how long to try again what may pass by itself.

    Raises:
        StorageError: if no file system serves the URL.
    """

    def __init__(
        self,
        url: str,
        quota_bytes: int | None = None,
        lease_seconds: float = 60.0,
        patience_seconds: float = 0.0,
    ) -> None:
        super().__init__(url, patience_seconds)
        self.quota_bytes = quota_bytes
        self.lease_seconds = lease_seconds
        self._bytes, self._measured_at = 0, float("-inf")

    def contains(self, key: str) -> bool:
        """Return whether there is an object of this key; `load` may still find it damaged."""
        return self.exists(object_path(self, key))

    def load(self, key: str, device: torch.device | str = "cpu") -> Checkpoint | None:
        """Return the checkpoint, its tensors on `device`; None if there is none.

        A damaged object is deleted, with a warning, so that it is trained again.

        Raises:
            StorageError: if the object exists and can't be read.
        """
        path = object_path(self, key)
        content = self.read(path)
        if content is None:
            return None
        if not _is_whole(content):
            LOG.warning("storage %s: object %s is damaged; deleted, it will be trained again", self.url, key)
            self.remove(path)
            return None
        return _unpack(content, device)

    def save(self, key: str, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Write a checkpoint, replacing one of the same key.

        Tensors may lie on any device, be views, and share memory: names of one tensor (tied weights) are
        stored once and are one tensor again when loaded.

        Raises:
            StorageError: if the disk or the quota is full; what was there stays, and no part of this does.
        """
        content = _pack(tensors, meta)
        self._check_quota(len(content))
        self.write(object_path(self, key), content)
        self._bytes += len(content)

    def delete(self, key: str) -> None:
        """Delete the object if it exists.

        Raises:
            StorageError: if it can't be deleted.
        """
        self.remove(object_path(self, key))

    def keys(self) -> Iterator[str]:
        """Yield the key of every object."""
        yield from objects(self)

    def size(self) -> int:
        """Return the total bytes of all objects, measured at most `SIZE_SECONDS` ago."""
        if time.monotonic() - self._measured_at > SIZE_SECONDS:
            self._bytes, self._measured_at = sum(objects(self).values()), time.monotonic()
        return self._bytes

    def lease(self, key: str) -> AbstractContextManager[None]:
        """Return a context that holds the lease on `key`, and waits for it while another trial does.

        Look for the object again once inside: the previous holder may have made it.
        """
        return lease(self, key, self.lease_seconds)

    def _check_quota(self, more: int) -> None:
        if self.quota_bytes is None or self.size() + more <= self.quota_bytes:
            return
        self._measured_at = float("-inf")  # Something may have been deleted since.
        if self.size() + more > self.quota_bytes:
            raise StorageError(
                f"storage {self.url}: {self.size()} bytes used of quota {self.quota_bytes}, "
                f"{more} more needed; raise the quota, or run `sweeper gc`"
            )


def object_path(storage: Storage, key: str) -> str:
    """Return where the object of `key` is."""
    return f"{storage.root}/objects/{key[:2]}/{key}{SUFFIX}"


def objects(storage: Storage) -> dict[str, int]:
    """Return key → bytes of every object."""
    found = storage.find(f"{storage.root}/objects")
    return {PurePosixPath(path).stem: size for path, size in found.items() if path.endswith(SUFFIX)}


def _pack(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> bytes:
    """Return the bytes of an object: safetensors with `meta`, tied names, and the sum in the header."""
    stored: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    places: dict[tuple[Any, ...], str] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        place = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if tensor.numel() and places.setdefault(place, name) != name:
            tied[name] = places[place]
            continue
        flat = tensor.detach().cpu().contiguous()
        # Views of one buffer, such as fused replicas, become tensors of their own.
        stored[name] = flat.clone() if flat.untyped_storage().data_ptr() in storages else flat
        storages.add(flat.untyped_storage().data_ptr())
    header = {"meta": json.dumps(dict(meta)), "tied": json.dumps(tied), "sha256": _NO_SUM}
    content = safetensors.torch.save(stored, header)
    start = content.index(_SUM_FIELD) + len(_SUM_FIELD)
    digits = hashlib.sha256(content).hexdigest().encode()
    return b"".join([memoryview(content)[:start], digits, memoryview(content)[start + len(digits) :]])


def _is_whole(content: bytes) -> bool:
    """Return whether the sum in the header is the sum of the rest."""
    field = content.find(_SUM_FIELD)
    start = field + len(_SUM_FIELD)
    end = start + len(_NO_SUM)
    total = hashlib.sha256(memoryview(content)[:start])
    total.update(_NO_SUM.encode())
    total.update(memoryview(content)[end:])
    return field >= 0 and content[start:end] == total.hexdigest().encode()


def _unpack(content: bytes, device: torch.device | str) -> Checkpoint:
    """Return the checkpoint in the bytes of a whole object."""
    header_end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:header_end])["__metadata__"]
    tensors = {name: tensor.to(device) for name, tensor in safetensors.torch.load(content).items()}
    tensors |= {name: tensors[other] for name, other in json.loads(header["tied"]).items()}
    return Checkpoint(tensors, json.loads(header["meta"]))
