"""S* of a sweep that is still running."""

import contextlib
import threading
import time

from analysis.critical_point import CriticalPoint
from analysis.verdict import verdict

LEAST_SECONDS = 5.0
SHARE = 0.03
"""Of one core that watching may take: trials need the cores."""


class Watch:
    """Estimates S* again and again in a thread of its own, as often as its share of a core allows.

    `point` is None until there are enough trials.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.point: CriticalPoint | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the estimate in progress."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause = LEAST_SECONDS
        while not self._stopping.wait(pause):
            started = time.thread_time()
            # Far-away storage may fail for a moment, and the sweep goes on; so does the last estimate.
            with contextlib.suppress(OSError):
                self.point = verdict(self._path).point
            pause = max(LEAST_SECONDS, (time.thread_time() - started) / SHARE)
