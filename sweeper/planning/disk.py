"""How much a recipe's finished trials leave in the store."""

import shutil
from pathlib import Path

import torch

from search_spaces.base import arguments
from search_spaces.config import TrainConfig
from search_spaces.resources import Retention
from sweeper.models import MODELS, build_model
from sweeper.planning.plan import PlanInfo, TrialPlan
from sweeper.store import Storage

Size = tuple[int, int]
"""Bytes of a network's parameters, and of its buffers."""


def disk_info(info: PlanInfo) -> int | None:
    """Return the bytes of the checkpoints that are kept; None if this version hasn't got the network.

    Raises:
        ValueError: if a network's settings don't fit it.
    """
    sizes: dict[str, Size] = {}
    for plan in info.plans:
        if plan.data.task is None and plan.config.model.name not in MODELS:
            return None
        sizes[_network(plan)] = sizes.get(_network(plan)) or _size(plan)
    retention = info.recipe.retention
    return round(info.total(lambda plan: _kept(plan, retention, sizes[_network(plan)])))


def free_bytes(storage: str) -> int | None:
    """Return the free space under a storage root, which need not exist yet; None if it isn't local."""
    place = Storage(storage)
    if not place.local:
        return None
    root = Path(place.root)
    return shutil.disk_usage(next(path for path in (root, *root.parents) if path.exists())).free


def _kept(plan: TrialPlan, retention: Retention, size: Size) -> int:
    """Return what one trial keeps.

    Per branch point: the trunk with its optimizer, and of each branch its last checkpoints, and its optimizer's
    state if moments are kept.
    """
    if retention.keep == "records":
        return 0
    parameters, buffers = size
    network = parameters + buffers
    trunk = network + parameters * _moments(plan.config.train)
    branch = network * max(plan.config.checkpoints, retention.last)
    if retention.moments or plan.config.needs_moments or retention.keep == "all":
        branch += trunk
    trunks = plan.config.branch.count if plan.config.start == "independent" else 1
    return plan.branch_points * (trunks * trunk + plan.config.branch.count * branch)


def _network(plan: TrialPlan) -> str:
    return plan.config.model_dump_json(include={"task", "model"})


def _size(plan: TrialPlan) -> Size:
    config, data = plan.config, plan.data
    if data.task is not None:
        network = build_model(config.model.name, arguments(config.model), data.task, config.seed)
    else:
        with torch.device("meta"):
            network = MODELS[config.model.name](data.shape, data.classes, **arguments(config.model))
    width = 8 if config.train.precision == "float64" else 4
    parameters = sum(parameter.numel() for parameter in network.parameters())
    buffers = sum(buffer.numel() for buffer in network.buffers())
    return parameters * width, buffers * width


def _moments(train: TrainConfig) -> int:
    """Return how many numbers the optimizer keeps per parameter."""
    return 2 if train.optimizer == "adamw" else int(train.momentum > 0)
