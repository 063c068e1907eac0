"""What determines a checkpoint, and nothing else: the content that its key is the hash of.

Settings that were added later are left out at the value that reproduces the old behaviour, so that old keys stay
valid; golden keys in the tests guard that. Where results run (device, compilation) changes the last bits only:
it is recorded with a checkpoint, not hashed.
"""

from typing import Any

from search_spaces.config import TrainConfig, TrialConfig
from search_spaces.models import ImportedModel, ModelConfig
from search_spaces.tasks import ImportedTask, TaskConfig
from sweeper.data import Task
from sweeper.imports import source_hash

VERSIONS = {"data": 1, "model": 1, "training": 1}
"""Raised when a component's results change for the same settings; every key then changes with it."""

TRAIN_DEFAULTS = {
    name: TrainConfig.model_fields[name].default
    for name in (
        "schedule",
        "budget_epochs",
        "budget_steps",
        "decay_epochs",
        "warmup_epochs",
        "merge_aware",
        "precision",
    )
}


def lineage_identity(config: TrialConfig, task: Task) -> dict[str, Any]:
    """Return what all checkpoints of a trial have in common: data, model, training settings, seed."""
    return {
        "versions": VERSIONS,
        "task": task.identity,
        "model": _with_source(config.model),
        "train": training_identity(config.train),
        "seed": config.seed,
        **({"task_source": source_hash(config.task.name)} if isinstance(config.task, ImportedTask) else {}),
    }


def training_identity(train: TrainConfig) -> dict[str, Any]:
    """Return the settings of `train` that change the result, `lr` resolved however it was spelled."""
    own = {"momentum": train.momentum} if train.optimizer == "sgd" else {"betas": list(train.betas)}
    settings = train.model_dump(mode="json")
    later = {
        name: settings[name] for name, default in TRAIN_DEFAULTS.items() if getattr(train, name) != default
    }
    return {
        "optimizer": train.optimizer,
        "lr": train.resolved_lr,
        "weight_decay": train.weight_decay,
        "batch_size": train.batch_size,
        "augment": train.augment,
        **own,
        **later,
    }


def label(config: TaskConfig | ModelConfig) -> str:
    """Return a name for tables: the config's own, with the settings that are not its defaults."""
    settings = config.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    text = ", ".join(f"{name}={value}" for name, value in settings.items())
    return f"{config.name}({text})" if text else config.name


def _with_source(model: ModelConfig) -> dict[str, Any]:
    settings = model.model_dump(mode="json")
    return {**settings, "source": source_hash(model.name)} if isinstance(model, ImportedModel) else settings
