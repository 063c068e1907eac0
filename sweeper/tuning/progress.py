"""How far a sweep is: counted from Tune's events, handed to whoever shows it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from sweeper.store import StorageError
from sweeper.tuning.drain import Drain
from sweeper.tuning.failures import Failures, back_off, cause_of
from sweeper.tuning.results import DRAINED, OUT_OF_MEMORY, PROBLEM, SUGGESTED, WAIT


@dataclass(frozen=True)
class Progress:
    """One look at a running sweep; counts are trials, `replayed` those that earlier runs finished."""

    path: str
    total: int
    replayed: int
    done: int
    running: int
    failed: int
    diverged: int
    at_chance: int
    epochs: float
    seconds: float
    draining: bool
    ended_early: int = 0
    epochs_saved: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """Expected time to the end at the pace so far, None before the first trial is done."""
        if not self.done:
            return None
        return self.seconds / self.done * max(0, self.total - self.replayed - self.done - self.failed)


Listener = Callable[[Progress], None]


class Counter(tune.Callback):
    """Counts Tune's events and tells the listener after each."""

    def __init__(
        self,
        path: str,
        total: int,
        replayed: int,
        drain: Drain,
        failures: Failures,
        listener: Listener | None,
    ) -> None:
        self._path, self._total, self._replayed = path, total, replayed
        self._drain = drain
        self._listener = listener
        self._failures = failures
        self._started = time.monotonic()
        self._running: set[str] = set()
        self._epochs: dict[str, float] = {}
        # Sums are kept, not made: this is asked for at every step of sweeps of ten thousand trials.
        self._all_epochs = self._epochs_saved = 0.0
        self._ended_early = 0
        self._counts = dict.fromkeys(("ok", "diverged", "at_chance"), 0)

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks for `Tuner.restore`, which nobody calls; a listener may hold a terminal.
        return {}

    def progress(self) -> Progress:
        """Return a look at the sweep as it is now."""
        counts = self._counts
        return Progress(
            path=self._path,
            total=self._total,
            replayed=self._replayed,
            done=sum(counts.values()),
            running=len(self._running),
            failed=len(self._failures.lost),
            diverged=counts["diverged"],
            at_chance=counts["at_chance"],
            epochs=self._all_epochs,
            seconds=time.monotonic() - self._started,
            draining=self._drain(),
            ended_early=self._ended_early,
            epochs_saved=self._epochs_saved,
        )

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tell the listener that time has passed."""
        self._tell()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count a trial that starts, or starts again."""
        self._running.add(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Count the epochs of a branch point."""
        self._failures.reported()
        before = self._epochs.get(trial.trial_id, 0.0)
        self._epochs[trial.trial_id] = result.get("epochs", before)
        self._all_epochs += self._epochs[trial.trial_id] - before

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count a trial that has ended."""
        self._running.discard(trial.trial_id)
        result = trial.last_result
        if result.get(PROBLEM):
            # No other trial would fare better in a storage that is full.
            self._drain.fail(StorageError(result[PROBLEM]))
        if result.get(OUT_OF_MEMORY):
            self._failures.died(trial.config[SUGGESTED], result[OUT_OF_MEMORY])
        if not result.get(DRAINED):
            self._failures.ended()
            self._counts[result.get("status", "ok")] += 1
        if result.get("epochs_saved"):
            self._ended_early += 1
            self._epochs_saved += result["epochs_saved"]
        # Tune keeps averages of every number that a trial has reported: half of what it keeps of a trial, and unread.
        trial.metric_analysis.clear()
        trial.metric_n_steps.clear()
        self._tell()

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Let a trial that died and starts again wait a while, for a turn alone, or not at all if its node died."""
        self._running.discard(trial.trial_id)
        error = _error(trial)
        if cause_of(error) == "memory":
            # It ends at once when it starts again, and is counted as a failure then.
            trial.config[OUT_OF_MEMORY] = error
        elif self._failures.retried(error) == "node":
            trial.max_failures += 1
        else:
            trial.config[WAIT] = back_off(trial.num_failures)
        self._weather()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count a trial that died once more than it may."""
        self._running.discard(trial.trial_id)
        self._failures.died(trial.config[SUGGESTED], _error(trial))
        self._weather()
        self._tell()

    def _weather(self) -> None:
        if self._failures.storm:
            self._drain.request()

    def _tell(self) -> None:
        if self._listener is not None:
            self._listener(self.progress())


def _error(trial: Any) -> str:
    """Return the text of what a trial last died of."""
    text = Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else ""
    return text.rpartition("Failure # ")[2].partition("\n")[2]
