"""The ledger of one run: what was suggested, what each branch point gave, how each trial ended.

It is the only truth about a run; Ray's and Optuna's states are rebuilt from it. It consists of `parts`, finished trials
are moved to the tables of `compaction`, and `terms` keep drivers apart; `analysis.records` defines their layout.
Attempts at a trial count from 0.
"""

import logging
import re
from collections.abc import Container
from itertools import groupby
from operator import attrgetter
from typing import Self

from pydantic import ValidationError

from analysis.records import Outcome, RunInfo, Stage, Suggestion, too_late
from sweeper.store.additions import Additions
from sweeper.store.compaction import Compacted, FinishedTrial, write_compact
from sweeper.store.files import Storage, StorageError
from sweeper.store.leases import current_leases, lease
from sweeper.store.parts import KINDS, Part, PartModel, Parts, first_stages, valid
from sweeper.store.terms import Terms

LOG = logging.getLogger(__name__)

LEASE_SECONDS = 60.0
TRIALS_PER_TABLE = 500
"""Compaction holds so many trials in memory at once."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_KEY = re.compile(r"\b[0-9a-f]{64}\b")


class Ledger:
    """The ledger of the run `run` under a storage root.

    Args:
        storage: Its root.
        run: The name.
        term: Of the driver that writes, from `begin_term`; 0 if another process than a driver does. What only drivers
            write is refused with `Superseded` once a later term has begun.

    Raises:
        ValueError: if `run` is no name for a run.
        StorageError: if no file system serves the URL.
    """

    def __init__(self, storage: Storage | str, run: str, term: int = 0) -> None:
        if not _NAME.fullmatch(run):
            raise ValueError(f"run name {run!r}: use letters, digits, '.', '_' and '-', and no '.' in front")
        self.storage = Storage(storage) if isinstance(storage, str) else storage
        self.run = run
        self._root = f"{self.storage.root}/runs/{run}"
        self._parts = Parts(self.storage, self._root)
        self._compacted = Compacted(self.storage, self._root)
        self.additions = Additions(self.storage, self._root)
        self._terms, self.term = Terms(self.storage, self._root), term

    @property
    def path(self) -> str:
        """The run's directory as users write it: a path, or a URL with its protocol."""
        return f"{self.storage.url}/runs/{self.run}"

    @property
    def driver_key(self) -> str:
        """The key that the one process which runs the sweep leases."""
        return f"run-{self.run}"

    def driven(self) -> bool:
        """Return whether a process runs the sweep now, as far as its lease tells."""
        held = current_leases(self.storage, self.driver_key)
        return any(not one.is_over(self.storage.age(one.path(self.storage))) for one in held)

    def create(self, info: RunInfo) -> bool:
        """Write the head of the run; return False if the run exists, whose head then stays as it is.

        Raises:
            StorageError: if it can't be written.
        """
        return self.storage.create(f"{self._root}/run.json", info.model_dump_json().encode(), durable=True)

    def info(self) -> RunInfo | None:
        """Return the head of the run, None if there is no such run.

        Raises:
            StorageError: if it is damaged.
        """
        content = self.storage.read(f"{self._root}/run.json")
        try:
            return None if content is None else RunInfo.model_validate_json(content)
        except ValidationError as error:
            raise StorageError(
                f"{self.path}/run.json is damaged; restore it, or use another run name"
            ) from error

    @classmethod
    def at(cls, path: str) -> Self:
        """Return the ledger of the run at `path`, a path or URL that ends in runs/NAME.

        Raises:
            ValueError: if it ends otherwise.
            StorageError: if no file system serves it.
        """
        root, found, name = Storage(path).url.rpartition("/runs/")
        if not found:
            raise ValueError(f"{path} is no run: its path ends in runs/NAME")
        return cls(root or "/", name)

    def begin_term(self) -> int:
        """Take the run over, and return the new term: no suggestion that an earlier driver makes now counts."""
        self.term = self._terms.begin(self._next_number)
        return self.term

    def check_term(self) -> None:
        """Check that no other driver has taken the run over.

        Raises:
            Superseded: if one has.
        """
        if self.term:
            self._terms.check(self.term, self.path)

    def suggest(self, suggestion: Suggestion) -> None:
        """Record a point before its trial starts, beside a damaged record of it if there is one.

        Raises:
            Superseded: if another driver has taken the run over: the trial must not start.
            StorageError: if it can't be written.
        """
        self.check_term()
        suggestion = suggestion.model_copy(update={"term": self.term})
        while not self._parts.create(suggestion):
            suggestion = suggestion.model_copy(update={"attempt": suggestion.attempt + 1})
        self.check_term()

    def request_trials(self, trials: int) -> None:
        """Record that so many trials have been asked for, maybe more than the head of the run says."""
        self.check_term()
        self.storage.create(f"{self._root}/trials/{trials}", b"")

    def requested_trials(self) -> int:
        """Return the largest number of trials that was asked for, 0 if none was."""
        names = (path.rpartition("/")[2] for path in self.storage.find(f"{self._root}/trials/"))
        return max((int(name) for name in names if name.isdigit()), default=0)

    def stage(self, stage: Stage) -> None:
        """Record what one branch point gave."""
        self._write(stage)

    def outcome(self, outcome: Outcome) -> None:
        """Record how an attempt ended."""
        self._write(outcome)

    def next_attempt(self, trial: str) -> int:
        """Return the number of the next attempt: one more than the last that left a stage or an outcome."""
        attempts = [part.attempt for part in self._parts.find(trial) if part.kind != "suggested"]
        if trial in self._compacted.refresh():
            attempts.append(self._compacted.outcomes()[trial].attempt)
        return max(attempts, default=-1) + 1

    def suggestions(self) -> list[Suggestion]:
        """Return the first valid suggestion of every trial, in the order they were made."""
        parts, compacted = self._read(Suggestion)
        starts = self._terms.first_numbers()
        first = {suggestion.trial: suggestion for suggestion in compacted.suggestions()}
        for suggestion in parts:
            if not too_late(suggestion.number, suggestion.term, starts):
                first.setdefault(suggestion.trial, suggestion)
        return sorted(first.values(), key=lambda suggestion: suggestion.number)

    def outcomes(self, but_for: Container[str] = ()) -> dict[str, Outcome]:
        """Return trial → outcome: the first complete one, or if all attempts failed the last.

        Args:
            but_for: trials that are left out, and not read.
        """
        parts, compacted = self._read(Outcome, but_for=but_for)
        best = compacted.outcomes(but_for)
        for outcome in parts:
            if outcome.trial not in best or best[outcome.trial].status == "failed":
                best[outcome.trial] = outcome
        return best

    def unfinished(self) -> list[Suggestion]:
        """Return the suggestions of trials that have not ended, or failed: a resumed run goes on with them."""
        outcomes = self.outcomes()
        ended = {trial for trial, outcome in outcomes.items() if outcome.status != "failed"}
        return [suggestion for suggestion in self.suggestions() if suggestion.trial not in ended]

    def stages(self, trial: str) -> dict[int, Stage]:
        """Return branch step → the first valid stage over the attempts at `trial`."""
        parts, compacted = self._read(Stage, trial)
        return compacted.stages(trial) if trial in compacted else first_stages(parts)

    def compact(self) -> None:
        """Move finished trials from parts to Parquet tables. Kill it at any moment; call it again at will.

        A trial is finished when an attempt at it is complete and none of its parts is damaged.

        Raises:
            StorageError: if a table can't be written; nothing is deleted then.
        """
        self.check_term()
        with lease(self.storage, f"compact-{self.run}", LEASE_SECONDS):
            complete = {trial for trial, outcome in self.outcomes().items() if outcome.status != "failed"}
            trials = {
                trial: list(parts) for trial, parts in groupby(self._parts.find(), key=attrgetter("trial"))
            }
            # A compaction may have been killed between writing its tables and deleting the parts.
            self._parts.delete([trial for trial in trials if trial in self._compacted])
            waiting = [trial for trial in trials if trial in complete and trial not in self._compacted]
            for start in range(0, len(waiting), TRIALS_PER_TABLE):
                batch = waiting[start : start + TRIALS_PER_TABLE]
                finished = self._finished([part for trial in batch for part in trials[trial]])
                if finished:
                    write_compact(self.storage, self._root, finished)
                    self._parts.delete([trial.outcome.trial for trial in finished])

    def request_stop(self) -> None:
        """Ask the process that runs the sweep to finish what is running and start no more."""
        self.check_term()
        self.storage.write(f"{self._root}/stop", b"")

    def stop_requested(self) -> bool:
        """Return whether a stop has been asked for, or another driver has taken the run over."""
        paths = [f"{self._root}/stop", *([self._terms.path(self.term + 1)] if self.term else [])]
        return any(content is not None for content in self.storage.read_many(paths))

    def clear_stop(self) -> None:
        """Take the request to stop back."""
        self.check_term()
        self.storage.remove(f"{self._root}/stop")

    def keys(self) -> set[str]:
        """Return every object key that anything in the run names, damaged parts included."""
        parts, compacted = self._parts.find(), self._compacted.refresh()
        contents = self._parts.read(parts)
        if None in contents:  # Compacted meanwhile.
            return self.keys()
        texts = [content.decode(errors="replace") for content in contents if content]
        return {key for text in (*texts, *compacted.texts()) for key in _KEY.findall(text)}

    def orphans(self) -> list[str]:
        """Return the files that a killed compaction left, which nothing reads."""
        return self._compacted.refresh().orphans()

    def _next_number(self) -> int:
        """Return one more than the highest number of any suggestion, whether it counts or not."""
        parts, compacted = self._read(Suggestion)
        return max((found.number for found in (*parts, *compacted.suggestions())), default=-1) + 1

    def _write(self, part: Stage | Outcome) -> None:
        if not self._parts.create(part):
            LOG.warning("%s of trial %s exists; the first one counts", KINDS[type(part)], part.trial)

    def _read(
        self, model: type[PartModel], trial: str = "", but_for: Container[str] = ()
    ) -> tuple[list[PartModel], Compacted]:
        """Return the valid parts of one kind, and the compacted trials, whose parts don't count."""
        while True:
            # In this order, a trial that is being compacted is seen in the first line, the second, or both.
            found = self._parts.find(trial)
            parts = [part for part in found if part.kind == KINDS[model] and part.trial not in but_for]
            compacted = self._compacted.refresh()
            contents = self._parts.read(parts)
            # A part that has vanished was compacted meanwhile.
            if None not in contents:
                return valid(model, zip(parts, contents, strict=True)), compacted

    def _finished(self, parts: list[Part]) -> list[FinishedTrial]:
        """Return the trials to compact, from all parts of complete ones, but for those with a damaged part."""
        contents = self._parts.read(parts)
        finished = []
        for _, group in groupby(zip(parts, contents, strict=True), key=lambda item: item[0].trial):
            found = list(group)
            suggestions, stages = valid(Suggestion, found), valid(Stage, found)
            outcomes = valid(Outcome, found)
            if len(suggestions) + len(stages) + len(outcomes) == len(found) and suggestions:
                outcome = next(outcome for outcome in outcomes if outcome.status != "failed")
                finished.append(FinishedTrial(suggestions[0], outcome, first_stages(stages)))
        return finished


def list_runs(storage: Storage) -> list[str]:
    """Return the names of all runs under a storage root."""
    return [name for name in storage.names(f"{storage.root}/runs") if _NAME.fullmatch(name)]
