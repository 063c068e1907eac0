"""Stopping without loss: running trials end at their next branch point, no further ones start."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from sweeper.store import Ledger, StorageError

POLL_SECONDS = 1.0


class Drain:
    """Whether the sweep is to end: by a signal, by a stop or a new driver in the ledger, or because it can't go on.

    It looks into the ledger at most once a second, since storage may be far away.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._looked = float("-inf")
        self._draining = False
        self.problem: StorageError | None = None
        """Why the sweep can't go on; None if it can."""

    def __call__(self) -> bool:
        """Return whether the sweep is to be drained; once it is, it stays so."""
        if not self._draining and time.monotonic() - self._looked > POLL_SECONDS:
            self._looked = time.monotonic()
            try:
                self._draining = self._ledger.stop_requested()
            except StorageError as error:
                self.fail(error)
        return self._draining

    def request(self) -> None:
        """Ask for a stop, of this driver and of the trials that look into the ledger."""
        self._draining = True
        # A full disk must not keep a sweep from stopping; and a new driver's sweep is not ours to stop.
        with contextlib.suppress(StorageError):
            self._ledger.request_stop()

    def fail(self, problem: StorageError) -> None:
        """Ask for a stop because of `problem`; the first one counts."""
        self.problem = self.problem or problem
        self.request()


@contextlib.contextmanager
def drain_on_signal(drain: Drain) -> Iterator[None]:
    """Ask for a stop on the first SIGINT or SIGTERM, be interrupted by the second.

    Only the main thread can handle signals; in another one they stay what they were.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        drain.request()
        for again in previous:
            signal.signal(again, signal.default_int_handler)

    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
