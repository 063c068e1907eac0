"""The branching set-up of appendix A.1, at three scales: what Figures 1–4, 10, 11 and 14–16 share."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from search_spaces.paths import apply_overrides
from search_spaces.recipe import Recipe, Scale
from search_spaces.space import Point


class Size(NamedTuple):
    """A scale's durations in epochs, branches per branch point, and batch size."""

    stable: float
    every: float
    decay: float
    branches: int
    batch_size: int


SIZES: dict[Scale, Size] = {
    "smoke": Size(stable=4, every=2, decay=1, branches=2, batch_size=64),
    "cpu": Size(stable=90, every=15, decay=8, branches=3, batch_size=64),
    "paper": Size(stable=2000, every=20, decay=30, branches=2, batch_size=128),
}

TASKS: dict[str, Point] = {
    "svhn": {"task": {"name": "svhn"}, "trunk/epochs": 2000, "branch/decay_epochs": 20},
    "cifar10": {"task": {"name": "cifar10"}, "trunk/epochs": 2000, "branch/decay_epochs": 30},
    "cifar100": {"task": {"name": "cifar100"}, "trunk/epochs": 2000, "branch/decay_epochs": 30},
    "tiny_imagenet": {
        "task": {"name": "tiny_imagenet"},
        "trunk/epochs": 1500,
        "branch/decay_epochs": 20,
    },
}
"""The paper's tasks with the durations A.1 ties to them."""

SOURCES = {
    "train/lr": "not stated",
    "train/momentum": "Section 3.2",
    "train/weight_decay": "Section 3.2",
    "train/batch_size": "Section 3.2",
    "train/augment": "Section 3.2",
    "trunk/epochs": "Appendix A.1",
    "trunk/branch_every": "Appendix A.1, for CIFAR-100",
    "branch": "Appendix A.1",
    "merges": "Appendix A.1",
    "measures": "Section 3.1: accuracy on test; validation is ours, for selection",
}
"""Where the paper states the values of the set-up; † marks grids read off a figure."""


def tasks(scale: Scale, *names: str) -> list[Point]:
    """Return the named tasks as tied points with their durations; below paper scale, digits alone."""
    if scale == "paper":
        return [TASKS[name] for name in names]
    size = SIZES[scale]
    return [{"task": {"name": "digits"}, "trunk/epochs": size.stable, "branch/decay_epochs": size.decay}]


def normalised_models(scale: Scale) -> list[Any]:
    """Return the networks with batch norm, which are scale-invariant."""
    models: dict[Scale, list[Any]] = {
        "smoke": ["mlp"],
        "cpu": ["mlp", {"name": "resnet8", "width": 8}],
        "paper": ["resnet18", "densenet121"],
    }
    return models[scale]


def plain_model(scale: Scale) -> dict[str, Any]:
    """Return the MLP without normalisation, the one network that is not scale-invariant."""
    widths = [512, 512, 512] if scale == "paper" else [64, 64, 64]
    return {"name": "mlp", "widths": widths, "norm": "none"}


def branching_recipe(
    scale: Scale,
    *,
    name: str,
    title: str,
    figure: str,
    space: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    sources: Mapping[str, str],
    task: str = "cifar100",
    changes: Mapping[str, Any] | None = None,
) -> Recipe:
    """Return a grid over `space` in the branching set-up, with `changes` by path.

    SGD with momentum .9, weight decay 5e-4, batch 128, flip and crop, lr .1; a trunk at constant lr, branched
    every 20 epochs into two endpoints by the √ decay, merged at α = .5. ResNet-18 on `task`. The scales smoke
    and cpu put noisy digits, their shifts and an MLP with batch norm in the place of these.
    """
    size, on = SIZES[scale], tasks(scale, task)[0]
    paper = scale == "paper"
    setup: dict[str, Any] = {
        "name": name,
        "title": title,
        "figure": figure,
        "scale": scale,
        "task": on["task"],
        "model": {"name": "resnet18" if paper else "mlp"},
        "train": {
            "lr": 0.1,
            "momentum": 0.9,
            "weight_decay": 5e-4,
            "batch_size": size.batch_size,
            "augment": "flip_crop" if paper else "shift",
        },
        "trunk": {"epochs": on["trunk/epochs"], "branch_every": size.every},
        "branch": {"decay_epochs": on["branch/decay_epochs"], "decay": "sqrt", "count": size.branches},
        "merges": [{"kind": "linear", "alphas": [0.5]}],
        "measures": {"splits": ["validation", "test"]},
        # Loss gain is the less noisy of the two on 600 test images; the paper has 10,000 and plots accuracy.
        "search": {"sampler": "grid", "metric": "accuracy" if paper else "loss"},
        "resources": {"gpu": 1 if paper else 0},
        "space": space,
        "sources": {**SOURCES, **sources} if paper else {},
    }
    return Recipe.model_validate(apply_overrides(setup, changes or {}))


def values(listed: Sequence[Any]) -> dict[str, list[Any]]:
    """Return the domain of the `listed` values."""
    return {"values": list(listed)}
