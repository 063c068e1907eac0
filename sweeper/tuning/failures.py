"""What follows when trials die: retries with back-off, another place, a turn alone, or the end of the sweep."""

import random
import socket
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Literal

from analysis.records import Outcome
from sweeper.tuning.job import Job, Suggested

Cause = Literal["node", "memory", "trial"]

SIGNS: dict[Cause, tuple[str, ...]] = {
    # "Unavailable" is what Ray says between the loss of a connection and the death of its node. A process that dies by
    # itself is called dead, not unavailable.
    "node": (
        "its node has died",
        "NodeDiedError",
        "node was preempted",
        "ActorUnavailableError",
        "actor is temporarily unavailable",
    ),
    "memory": ("running low on memory", "OutOfMemoryError", "MemoryError", "out of memory"),
}
"""Cause → what the texts of such errors hold: Ray's own, Python's and torch's."""

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds of back-off after a trial's first failure; they double with each."""
FIRST = 5
"""So many failures before any trial has reported a branch point end the sweep."""
RECENT, SHARE = 20, 0.5
"""And so does more than this share of the last attempts."""


def cause_of(error: str) -> Cause:
    """Return what the text of an error says the trial died of."""
    return next((cause for cause, signs in SIGNS.items() if any(sign in error for sign in signs)), "trial")


def last_line(error: str) -> str:
    """Return the line of a traceback that says what happened."""
    lines = error.strip().splitlines()
    return lines[-1].strip() if lines else "the worker died"


def back_off(failures: int) -> float:
    """Return how many seconds to wait after so many failures; trials that failed at once don't come back at once."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (failures - 1)) * random.uniform(0.5, 1.0)


class Failures:
    """The failures of a sweep: what is to be done about them, and whether they are a storm."""

    def __init__(self) -> None:
        self.lost: list[tuple[Suggested, str]] = []
        """Suggestion and error of each trial that died for good."""
        self.storm = ""
        """Why it makes no sense to go on; empty if it does."""
        self._again: list[Suggested] = []
        self._alone: list[Suggested] = []
        self._tried_alone: set[int] = set()
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._reported = False

    def reported(self) -> None:
        """Take notice of a trial that has reached a branch point."""
        self._reported = True

    def ended(self) -> None:
        """Take notice of a trial that has come to its end."""
        self._recent.append("")

    def retried(self, error: str) -> Cause:
        """Take notice of an attempt that failed; return its cause."""
        cause = cause_of(error)
        if cause != "node":
            self._recent.append(last_line(error))
            self.storm = self.storm or self._weather()
        return cause

    def died(self, suggested: Suggested, error: str) -> None:
        """Decide what becomes of a trial that has failed and has no retry left.

        If its node died, that was no fault of its own, and it gets another try. If it ran out of memory beside
        others, it gets one by itself.
        """
        cause = self.retried(error)
        if cause == "node":
            self._again.append(suggested)
        elif cause == "memory" and suggested.number not in self._tried_alone:
            self._tried_alone.add(suggested.number)
            self._alone.append(suggested)
        else:
            self.lost.append((suggested, last_line(error)))

    @property
    def to_do(self) -> bool:
        """Whether there are suggestions to try again."""
        return bool(self._again or self._alone)

    def take(self) -> tuple[list[Suggested], bool]:
        """Return suggestions to try again, and whether they may run beside others."""
        if self._again:
            again, self._again = self._again, []
            return again, True
        alone, self._alone = self._alone, []
        return alone, False

    def _weather(self) -> str:
        errors = Counter(filter(None, self._recent))
        commonest = errors.most_common(1)[0][0]
        if not self._reported and errors.total() >= FIRST:
            return f"the first {errors.total()} attempts all failed, most often with: {commonest}"
        if errors.total() > SHARE * RECENT:
            return f"{errors.total()} of the last {RECENT} attempts failed, most often with: {commonest}"
        return ""


def record_losses(job: Job, lost: Sequence[tuple[Suggested, str]]) -> int:
    """Write an outcome for each trial that died for good, and return their number: some had ended before they died."""
    ledger = job.ledger()
    ended = (
        {trial for trial, outcome in ledger.outcomes().items() if outcome.status != "failed"}
        if lost
        else set()
    )
    left = [(suggested, error) for suggested, error in lost if job.trial(suggested)[0] not in ended]
    for suggested, error in left:
        trial, _ = job.trial(suggested)
        ledger.outcome(
            Outcome(
                trial=trial,
                attempt=ledger.next_attempt(trial),
                number=suggested.number,
                status="failed",
                objective=None,
                epochs_trained=0.0,
                wall_seconds=0.0,
                cpu_seconds=0.0,
                host=socket.gethostname(),
                time=time.time(),
                error=error,
            )
        )
    return len(left)
