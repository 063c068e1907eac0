"""Trials of a second: real digits, a network of eight hidden units, two epochs."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from analysis.records import MergeRecord, Stage
from search_spaces.config import TrialConfig
from search_spaces.paths import apply_overrides
from search_spaces.resources import Retention
from sweeper.store import Store
from sweeper.training import Lineage
from sweeper.trial import load_task

PLAIN = {
    "task": {"name": "digits", "train_size": 96, "validation_size": 100},
    "model": {"name": "mlp", "widths": [8]},
    "train": {"lr": 0.1, "batch_size": 16, "augment": "shift"},
    "trunk": {"epochs": 2, "branch_every": 1},
    "branch": {"decay_epochs": 1},
}
STEPS_PER_EPOCH = 6

RESNET = {"model": {"name": "resnet8", "width": 4}}
NO_NORM = {"model": {"name": "mlp", "widths": [8], "norm": "none"}}
DIVERGING = {**NO_NORM, "train/lr": 1e9, "train/momentum": 0.0}


def tiny(overrides: Mapping[str, Any] | None = None, **more: Any) -> TrialConfig:
    """The plain trial with settings replaced, by path or by keyword."""
    return TrialConfig.model_validate(apply_overrides(PLAIN, {**(overrides or {}), **more}))


def lineage(config: TrialConfig, store: Store, retention: Retention = Retention()) -> Lineage:
    return Lineage(config, load_task(config.task), store, retention)


def rows(stages: Iterable[Stage]) -> list[MergeRecord]:
    return [record for stage in stages for record in stage.records]


def epochs(stages: Iterable[Stage]) -> float:
    return sum(sum(stage.trained.values()) for stage in stages)


def same_bits(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def fresh_store(path: Path, name: str = "store") -> Store:
    return Store(str(path / name))
