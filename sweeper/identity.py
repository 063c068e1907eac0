"""What determines a checkpoint, and nothing else: the content that its key is the hash of.

Settings that were added later are left out at the value that reproduces the old behaviour, so that old keys stay
valid; golden keys in the tests guard that. Where results run (device, compilation) changes the last bits only:
it is recorded with a checkpoint, not hashed.
"""

from typing import Any

from search_spaces.config import BranchConfig, TrainConfig, TrialConfig
from search_spaces.cost import duration_steps, steps_per_epoch
from search_spaces.models import ImportedModel, ModelConfig
from search_spaces.tasks import ImportedTask, TaskConfig
from sweeper.data import Task
from sweeper.imports import source_hash

VERSIONS = {"data": 1, "model": 1, "training": 1}
"""Raised when a component's results change for the same settings; every key then changes with it."""

LEFT_OUT = {
    "schedule": "constant",
    "decay_epochs": None,
    "warmup_epochs": 0.0,
    "merge_aware": None,
    "precision": "float32",
}
"""Training settings that enter a key at other values only. Frozen: a default that changes must change keys."""


def lineage_identity(config: TrialConfig, task: Task) -> dict[str, Any]:
    """Return what all checkpoints of a trial have in common: data, model, training settings, seed."""
    per_epoch = steps_per_epoch(len(task.train.targets), config.train.batch_size)
    return {
        "versions": VERSIONS,
        "task": task.identity,
        "model": _with_source(config.model),
        "train": training_identity(config.train, per_epoch),
        "seed": config.seed,
        **({"task_source": source_hash(config.task.name)} if isinstance(config.task, ImportedTask) else {}),
    }


def training_identity(train: TrainConfig, steps_per_epoch: int) -> dict[str, Any]:
    """Return the settings of `train` that change the result, lr and budget resolved however they were spelled."""
    unused = "betas" if train.optimizer == "sgd" else "momentum"
    settings = train.model_dump(
        mode="json", exclude={"lr", "noise_scale", "budget_epochs", "budget_steps", "compile", unused}
    )
    settings = {name: value for name, value in settings.items() if value != LEFT_OUT.get(name, ...)}
    if train.schedule != "constant":
        settings["budget_steps"] = duration_steps(train.budget_epochs, train.budget_steps, steps_per_epoch)
    return {"lr": train.resolved_lr, **settings}


def branch_identity(branch: BranchConfig, seed: int, end: int, *, fused: bool = False) -> dict[str, Any]:
    """Return what changes a branch's endpoint at step `end`, whatever its siblings are; `fused` rounds differently."""
    settings = branch.model_dump(mode="json", include={"decay", "optimizer_state", "warmup_epochs"})
    settings = {name: value for name, value in settings.items() if value != LEFT_OUT.get(name, ...)}
    return {**settings, "seed": seed, "end": end, **({"fused": True} if fused else {})}


def label(config: TaskConfig | ModelConfig) -> str:
    """Return a name for tables: the config's own, with the settings that are not its defaults."""
    settings = config.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    text = ", ".join(f"{name}={value}" for name, value in settings.items())
    return f"{config.name}({text})" if text else config.name


def _with_source(model: ModelConfig) -> dict[str, Any]:
    settings = model.model_dump(mode="json")
    return {**settings, "source": source_hash(model.name)} if isinstance(model, ImportedModel) else settings
