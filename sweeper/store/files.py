"""One storage root, and file operations on it that happen whole or not at all.

A local write goes to a temporary name that is renamed; an object store gets one PUT. Whoever is killed at whatever
moment leaves the old file, the new file, or none: never half of one. A power failure may tear what was written in
its last seconds; readers find that out and have it made again. Only what can't be made again is flushed (`durable`).

What may pass by itself (a full disk, a server that doesn't answer) is tried again for as long as the storage is told
to be patient, ever less often, before it is an error.
"""

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import tenacity
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from sweeper.store.disks import link, temporary_file, walk

PATIENCE_SECONDS = 120.0
"""How long a sweep that is under way waits for its storage: two minutes, so that a link may be cut for one."""
FIRST_WAIT, LONGEST_WAIT = 0.2, 15.0
"""Seconds between two tries; they double, and processes that failed at once don't come back at once."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


T = TypeVar("T")


class StorageError(Exception):
    """Storage that can't be used: one line naming the URL, the reason and the way out."""


_FINAL = (
    StorageError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
"""No waiting helps against these."""


class Storage:
    """The files under one URL root: a local path or any fsspec URL.

    Args:
        url: the root.
        patience_seconds: for how long to try again what may pass by itself.

    Raises:
        StorageError: if no file system serves the URL.
    """

    fs: AbstractFileSystem
    root: str
    url: str
    """The root as users write it: a plain path if local, else with its protocol."""

    def __init__(self, url: str, patience_seconds: float = 0.0) -> None:
        self.patience_seconds = patience_seconds
        try:
            # Other processes change these directories, so a remembered listing would be wrong.
            self.fs, self.root = url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError, OSError) as error:
            raise StorageError(f"storage {url}: {error}") from error
        self.local = isinstance(self.fs, LocalFileSystem)
        self.url = self.root if self.local else self.fs.unstrip_protocol(self.root)

    def read(self, path: str) -> bytes | None:
        """Return the content of `path`, None if it doesn't exist.

        Raises:
            StorageError: if it exists and can't be read.
        """
        [content] = self.read_many([path])
        return content

    def read_many(self, paths: Sequence[str]) -> list[bytes | None]:
        """Return each path's content, None for those that don't exist; at once where the file system can.

        Raises:
            StorageError: if one exists and can't be read.
        """
        failing = ""

        def read() -> list[bytes | None]:
            nonlocal failing
            contents: list[bytes | None] = []
            # Not `cat`: it takes [ and * in a path for a pattern.
            for path, content in zip(paths, self.fs.cat_ranges(list(paths), None, None), strict=True):
                if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                    failing = path
                    raise content
                contents.append(None if isinstance(content, FileNotFoundError) else content)
            return contents

        return self._patiently("read", lambda: failing, read)

    def exists(self, path: str) -> bool:
        """Return whether there is a file `path`.

        Raises:
            StorageError: if that can't be found out.
        """
        return self._patiently("look for", path, lambda: bool(self.fs.exists(path)))

    def write(self, path: str, content: bytes, durable: bool = False) -> None:
        """Make `content` the file `path`, replacing what is there.

        Args:
            path: under `root`; its directories are made.
            content: the whole file.
            durable: wait until it would survive a power failure too.

        Raises:
            StorageError: if it can't be written; nothing of it is left behind.
        """

        def write() -> None:
            if self.local:
                with temporary_file(path, content, durable) as temporary:
                    Path(temporary).replace(path)
            else:
                self.fs.pipe_file(path, content)

        self._patiently("write", path, write)

    def create(self, path: str, content: bytes, durable: bool = False) -> bool:
        """Make `content` the file `path` unless there is one; of several processes exactly one succeeds.

        Returns:
            Whether this call made the file.

        Raises:
            StorageError: if it can't be written; nothing of it is left behind.
        """

        def create() -> bool:
            try:
                if self.local:
                    with temporary_file(path, content, durable) as temporary:
                        link(temporary, path)
                else:
                    self.fs.pipe_file(path, content, mode="create")
            except Exception as error:
                # S3 answers "precondition failed", also to the repetition of a request that did succeed.
                existing = None if self.local else self.read(path)
                if existing is None and not isinstance(error, FileExistsError):
                    raise
                return existing == content
            return True

        return self._patiently("write", path, create)

    def remove(self, path: str) -> None:
        """Delete the file `path` if it exists.

        Raises:
            StorageError: if it can't be deleted.
        """
        with contextlib.suppress(FileNotFoundError):
            self._patiently("delete", path, lambda: self.fs.rm_file(path))

    def remove_trees(self, directories: Sequence[str]) -> None:
        """Delete directories with all that is in them, in one request where the file system can.

        A local file that can't be deleted is left there.

        Raises:
            StorageError: if the file system refuses the request.
        """
        if self.local:
            for directory in directories:
                shutil.rmtree(directory, ignore_errors=True)
        elif directories:
            with contextlib.suppress(FileNotFoundError):
                self._patiently(
                    "delete", directories[0], lambda: self.fs.rm(list(directories), recursive=True)
                )

    def names(self, directory: str, prefix: str = "") -> list[str]:
        """Return the sorted names in `directory`, none if it doesn't exist.

        Args:
            directory: under `root`.
            prefix: of the names wanted, in a directory that holds files only; an object store then lists no others.

        Raises:
            StorageError: if it can't be listed.
        """

        def paths() -> list[str]:
            if self.local:
                return os.listdir(directory)  # noqa: PTH208
            if prefix:
                return list(self.fs.find(directory, prefix=prefix))
            return list(self.fs.ls(directory, detail=False))

        try:
            found = self._patiently("list", directory, paths)
        except FileNotFoundError:
            return []
        names = (path.rstrip("/").rpartition("/")[2] for path in found)
        return sorted(name for name in names if name.startswith(prefix))

    def find(self, directory: str) -> dict[str, int]:
        """Return path → bytes of every file under `directory`, at any depth.

        Raises:
            StorageError: if a directory there can't be listed.
        """

        def find() -> dict[str, int]:
            if self.local:
                # LocalFileSystem.find leaves out a whole directory when one of its files vanishes meanwhile.
                return dict(walk(directory))
            return {path: entry["size"] for path, entry in self.fs.find(directory, detail=True).items()}

        return self._patiently("list", directory, find)

    def age(self, path: str) -> float:
        """Return the seconds since `path` was last written; 0 if it has vanished.

        Raises:
            StorageError: if that can't be found out.
        """
        try:
            modified = self._patiently("find the age of", path, lambda: self.fs.modified(path))
        except FileNotFoundError:
            return 0.0
        return time.time() - float(modified.timestamp())

    def _patiently(self, verb: str, path: str | Callable[[], str], action: Callable[[], T]) -> T:
        """Return what `action` gives, having tried it again while what it raises may pass.

        Raises:
            FileNotFoundError: if it raises that.
            StorageError: if it fails otherwise, now and until the patience is over.
        """
        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._may_pass),
            stop=tenacity.stop_after_delay(self.patience_seconds),
            wait=tenacity.wait_random_exponential(FIRST_WAIT, LONGEST_WAIT),
            reraise=True,
        )
        try:
            return tries(action)
        except (FileNotFoundError, StorageError):
            raise
        except self._errors as error:
            raise self._error(verb, path if isinstance(path, str) else path(), error) from error

    @property
    def _errors(self) -> type[Exception]:
        # The libraries of object stores raise what they like: botocore's connection errors are no OSError.
        return OSError if self.local else Exception

    def _may_pass(self, error: BaseException) -> bool:
        return isinstance(error, self._errors) and not isinstance(error, _FINAL)

    def _error(self, verb: str, path: str, error: Exception) -> StorageError:
        reason = (
            (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        )
        full = isinstance(error, OSError) and error.errno in _FULL
        way_out = "; free space, or run `sweeper gc`" if full else ""
        name = path.removeprefix(self.root).lstrip("/") or "it"
        return StorageError(f"storage {self.url}: cannot {verb} {name}: {reason}{way_out}")


def probe(storage: Storage) -> None:
    """Write a small file, read it back, see that it can't be created twice, and delete it.

    Raises:
        StorageError: if any of these fails.
    """
    path, content = f"{storage.root}/probe-{uuid.uuid4().hex}", uuid.uuid4().bytes
    created = storage.create(path, content), storage.create(path, uuid.uuid4().bytes)
    found = storage.read(path)
    storage.remove(path)
    if created != (True, False) or found != content:
        raise StorageError(
            f"storage {storage.url}: what was written is not what is read; use another storage"
        )
