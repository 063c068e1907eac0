"""Leases: who is training what right now, so that two trials that want the same trunk train it once.

    ROOT/leases/<key>.<generation>.json     the highest generation holds

Leases save work; results never depend on them, because objects are content-addressed and written whole.
Acquiring creates the next generation exclusively, so of several waiters that find a holder gone one wins. A
holder renews its lease from a thread. It is gone when its lease hasn't changed for `seconds` on the waiter's
own clock (clocks of different hosts need not agree), or at once when its process has died on this host.
"""

import contextlib
import functools
import json
import logging
import os
import random
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sweeper.store.files import Storage, StorageError

LOG = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
"""Seconds between two looks of a waiter; they grow from the first to the longest."""

_FILE = re.compile(r"(.+)\.(\d+)\.json")


class Lease(NamedTuple):
    """One lease file as it was read."""

    key: str
    generation: int
    content: bytes

    def path(self, storage: Storage) -> str:
        """Return where the file is."""
        return f"{storage.root}/leases/{self.key}.{self.generation}.json"

    def holder(self) -> dict[str, Any]:
        """Return what the holder wrote, {} if that can't be read."""
        try:
            return dict(json.loads(self.content))
        except ValueError:
            return {}

    def is_over(self, unchanged: float, seconds: float = 0.0) -> bool:
        """Return whether the holder is gone, having left this unchanged for `unchanged` seconds.

        Args:
            unchanged: in seconds.
            seconds: the term, if the holder's own can't be read.
        """
        holder = self.holder()
        died = holder.get("host") == this_host() and _started(holder["pid"]) != holder["started"]
        return died or unchanged >= float(holder.get("seconds", seconds))


@contextlib.contextmanager
def lease(storage: Storage, key: str, seconds: float) -> Iterator[None]:
    """Hold the lease on `key` inside the block; wait while another process or thread holds it.

    Args:
        storage: where the leases are.
        key: what is leased.
        seconds: for how long a lease counts that isn't renewed.

    Yields:
        Nothing, once held.

    Raises:
        StorageError: if the lease can't be written.
    """
    held = _acquire(storage, key, seconds)
    done = threading.Event()
    renewal = threading.Thread(target=_renew, args=(storage, held, seconds, done), daemon=True)
    renewal.start()
    try:
        yield
    finally:
        done.set()
        renewal.join()
        _release(storage, held)


def current_leases(storage: Storage, key: str | None = None) -> list[Lease]:
    """Return every lease there is, or those on `key`; generations of one key ascend, and the last holds."""
    names = storage.names(f"{storage.root}/leases", prefix=f"{key}." if key else "")
    matches = [match for match in map(_FILE.fullmatch, names) if match]
    wanted = sorted((match[1], int(match[2])) for match in matches if key in {None, match[1]})
    contents = storage.read_many([Lease(*item, b"").path(storage) for item in wanted])
    return [
        Lease(*item, content) for item, content in zip(wanted, contents, strict=True) if content is not None
    ]


def _acquire(storage: Storage, key: str, seconds: float) -> Lease:
    watched, since, pause = None, time.monotonic(), FIRST_PAUSE
    while True:
        newest = _newest(storage, key)
        if newest != watched:
            watched, since = newest, time.monotonic()
        if newest is None or newest.is_over(time.monotonic() - since, seconds):
            taken = _take(storage, key, seconds, newest)
            if taken is not None:
                return taken
        elif pause == FIRST_PAUSE:
            LOG.info("waiting for %s, which another trial is making", key)
        # Waiters that collided must not collide again.
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(1.5 * pause, LONGEST_PAUSE)


def _newest(storage: Storage, key: str) -> Lease | None:
    """Return the lease on `key` that holds."""
    return next(reversed(current_leases(storage, key)), None)


def _take(storage: Storage, key: str, seconds: float, over: Lease | None) -> Lease | None:
    """Become the holder after `over`; None if another was faster."""
    pid = os.getpid()
    holder = {
        "host": this_host(), "pid": pid, "started": _started(pid),
        "seconds": seconds, "token": uuid.uuid4().hex, "renewed": time.time(),
    }  # fmt: skip
    mine = Lease(key, over.generation + 1 if over else 1, json.dumps(holder).encode())
    if not storage.create(mine.path(storage), mine.content):
        return None
    # Between our look and our creation the old holder may have come back, or released, and another acquired.
    if current_leases(storage, key)[-2:] != ([over, mine] if over else [mine]):
        storage.remove(mine.path(storage))
        return None
    if over:
        LOG.warning("took over the lease on %s: its holder is gone", key)
        storage.remove(over.path(storage))
    return mine


def _renew(storage: Storage, held: Lease, seconds: float, done: threading.Event) -> None:
    """Rewrite the lease four times a term until `done`, or until another process has taken it."""
    holder = held.holder()
    while not done.wait(seconds / 4):
        try:
            found = _newest(storage, held.key)
            if found is None or found.holder().get("token") != holder["token"]:
                LOG.warning("lost the lease on %s to another process", held.key)
                return
            content = json.dumps(holder | {"renewed": time.time()}).encode()
            storage.write(held.path(storage), content)
        except StorageError as error:
            LOG.warning("lease not renewed: %s", error)


def _release(storage: Storage, held: Lease) -> None:
    """Delete the lease unless another process has taken it; failing that, it expires by itself."""
    try:
        found = _newest(storage, held.key)
        if found and found.holder().get("token") == held.holder()["token"]:
            storage.remove(held.path(storage))
    except StorageError as error:
        LOG.warning("lease not released: %s", error)


@functools.cache
def this_host() -> str:
    """Return a name of this host, boot and container: where a process number means the same process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()} {boot} {namespace}"


def _started(pid: int) -> str | None:
    """Return when the process `pid` of this host started, None if it is dead; "" where the system won't say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None if Path("/proc/self/stat").exists() else ""
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]
