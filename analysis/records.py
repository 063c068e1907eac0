"""The schema of what a sweep writes. The reader owns it; `sweeper.store.ledger` imports it to write.

Layout of one run, on any fsspec path:

    RUN/run.json                                     recipe, seed, versions, hardware: `RunInfo`
    RUN/parts/<trial>/<attempt>/suggested.json       the point, before it starts: `Suggestion`
    RUN/parts/<trial>/<attempt>/stage-<step>.json    one branch point's records and measurements: `Stage`
    RUN/parts/<trial>/<attempt>/outcome.json         how the attempt ended and what it cost: `Outcome`
    RUN/compact/<name>-*.parquet                     finished trials, compacted: records, measurements, trials
    RUN/added/<trial>/<step>-<key>.json              what `sweeper measure` added to a branch point: `Stage`
    RUN/terms/<term>.json                            who drove the run, from when on: `Term`
    RUN/terms/<term>.first                           the number of the term's first suggestion

A part is one JSON document, written once under a temporary name and renamed: it is whole or absent; one that
does not parse is damaged, and is as good as absent. Of several attempts at one stage the first wins.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from search_spaces.base import Frozen

SCHEMA = 1

Status = Literal["ok", "diverged", "at_chance", "failed"]


class MergeRecord(Frozen):
    """One row: what was merged, how, and what it measured.

    Accuracies and their gains are in percent, losses in nats. `gain` is f_merged − f_mean for accuracy and
    f_mean − f_merged for loss, so that larger is better; it is None unless `status` is ok or at_chance.
    """

    run: str
    trial: str
    attempt: int
    recipe: str
    schema_: int = Field(default=SCHEMA, alias="schema")
    task: str
    model: str
    optimizer: str
    lr: float
    batch_size: int
    momentum: float
    weight_decay: float
    augment: str
    noise_scale: float
    seed: int
    branch_epoch: float
    branch_step: int
    n_endpoints: int
    key_a: str
    key_b: str
    endpoints: str
    """JSON: per endpoint its key and what differs (branch, seed, lr, task)."""
    merge: str
    alpha: float | None
    merge_settings: str
    """JSON, sorted keys."""
    batchnorm: str
    eval_task: str
    split: str
    metric: str
    f_merged: float | None
    f_a: float | None
    f_b: float | None
    f_mean: float | None
    gain: float | None
    status: Status


COLUMNS = [field.alias or name for name, field in MergeRecord.model_fields.items()]


class Measurement(Frozen):
    """One number that belongs to an endpoint, a pair or a plane."""

    run: str
    trial: str
    branch_step: int
    subject: str
    """The key, or keys joined by '+', of what was measured."""
    name: str
    index: int
    value: float | None
    settings: str
    """JSON, sorted keys."""


class Suggestion(Frozen):
    """A point of the search, written before its trial starts."""

    trial: str
    attempt: int
    number: int
    """Position in the order of suggestion, from 0."""
    overrides: dict[str, Any]
    """Path → value: what the search chose, e.g. {"train/noise_scale": 0.01}."""
    config: dict[str, Any]
    """The full resolved TrialConfig."""
    time: float
    """Unix seconds."""
    term: int = 0
    """Of the driver that made it; 0 if that is not known."""


class Term(Frozen):
    """One driver's time in charge of a run. Terms count from 1; when one begins, those before it are over."""

    host: str
    pid: int
    time: float
    """Unix seconds."""


def too_late(number: int, term: int, first_numbers: Mapping[int, int]) -> bool:
    """Return whether a suggestion was written by a driver whose term was over: it has not been run, nor counts.

    Args:
        number: Of the suggestion.
        term: In which it was made.
        first_numbers: Term → the number of its first suggestion, which is above all that earlier terms could run.
    """
    return any(later > term and number >= first for later, first in first_numbers.items())


class Stage(Frozen):
    """All that one branch point of a trial gave."""

    trial: str
    attempt: int
    branch_step: int
    records: tuple[MergeRecord, ...]
    measurements: tuple[Measurement, ...]
    trained: dict[str, float]
    """Store key → epochs trained for this stage by this attempt; empty when everything was in the store."""


class Outcome(Frozen):
    """How one attempt at a trial ended."""

    trial: str
    attempt: int
    number: int
    status: Status
    objective: float | None
    """What the searcher was told: finite, the declared floor where the trial diverged; None if it failed.

    Of a trial that was ended early it is what its first branch points foretell of all.
    """
    epochs_trained: float
    wall_seconds: float
    cpu_seconds: float
    host: str
    time: float
    error: str = ""
    sem: float | None = None
    """Standard error of `objective`, None if the trial can't tell."""
    epochs_saved: float = 0.0
    """Epochs of the branch points that were left out because the trial was hopeless: 0 if it ran to its end."""


class RunInfo(Frozen):
    """The head of a run: written when it starts, never changed."""

    run: str
    recipe: dict[str, Any]
    """The full resolved Recipe."""
    versions: dict[str, str]
    """Package → version."""
    hardware: dict[str, Any]
    """Host, processor, cores, memory, accelerators."""
    command: str
    time: float
    """Unix seconds."""
    code: dict[str, str] = Field(default_factory=dict)
    """What the results depend on besides the recipe: component → version, import path → hash of its source."""
