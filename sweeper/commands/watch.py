"""What looks at a running sweep again and again, without taking the cores from it."""

import contextlib
import threading
import time
from abc import ABC, abstractmethod

from analysis.critical_point import CriticalPoint
from analysis.reading import RunError
from analysis.verdict import verdict

LEAST_SECONDS = 5.0
SHARE = 0.03
"""Of one core that watching may take: trials need the cores."""


class Repeat(ABC):
    """Calls `look` again and again in a thread of its own, as often as its share of a core allows."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    @abstractmethod
    def look(self) -> None:
        """Look at the run once."""

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the look in progress."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause = LEAST_SECONDS
        while not self._stopping.wait(pause):
            started = time.thread_time()
            # Far-away storage may fail for a moment, and the sweep goes on; so does what the last look saw.
            with contextlib.suppress(OSError, RunError):
                self.look()
            pause = max(LEAST_SECONDS, (time.thread_time() - started) / SHARE)


class Watch(Repeat):
    """Estimates S* of a sweep that is still running.

    `point` is None until there are enough trials.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self.point: CriticalPoint | None = None

    def look(self) -> None:
        """Estimate S* from what the ledger holds."""
        self.point = verdict(self._path).point
