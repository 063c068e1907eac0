"""Ends a trial that hangs: one that reports no branch point, or isn't done, in time."""

import contextlib
import faulthandler
import signal
import time
from collections.abc import Iterator
from types import FrameType

from search_spaces.resources import Limits

HOUR = 3600.0
GRACE_SECONDS = 60.0
"""What hangs where Python can't interrupt it, as in a driver of a device, is ended with its process after so long."""


class Overdue(BaseException):
    """The trial has hung. Like KeyboardInterrupt it may come anywhere, and what waits for errors to pass lets it by."""


class Watch:
    """The limits of one attempt at a trial, which begins when this is made. Only a main thread can be watched."""

    def __init__(self, limits: Limits) -> None:
        self._silence = limits.silence_hours * HOUR
        deadline = limits.deadline_hours
        self._end = float("inf") if deadline is None else time.monotonic() + deadline * HOUR

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Watch the block, which leads to the next report.

        Raises:
            Overdue: inside the block, when it takes too long.
        """
        left = self._end - time.monotonic()
        hours = min(self._silence, left) / HOUR
        reason = (
            "it is past its deadline, limits/deadline_hours"
            if left < self._silence
            else f"it has reported nothing for {self._silence / HOUR:g} h, limits/silence_hours"
        )

        def end(number: int, frame: FrameType | None) -> None:
            raise Overdue(f"the trial was ended: {reason}")

        seconds = max(1e-3, hours * HOUR)
        previous = signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        faulthandler.dump_traceback_later(seconds + GRACE_SECONDS, exit=True)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()
            signal.signal(signal.SIGALRM, previous)
