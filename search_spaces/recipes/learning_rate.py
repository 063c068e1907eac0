"""Section 3.2 and appendices B.5, B.6: larger learning rates merge better, up to a point."""

from typing import Any

from search_spaces.recipe import Recipe, Scale
from search_spaces.recipes.branching import (
    branching_recipe,
    normalised_models,
    plain_model,
    tasks,
    values,
)


def fig2(scale: Scale) -> Recipe:
    """Return Figure 2: test accuracy gain by learning rate, for each network on each task.

    `sweeper run fig2 --scale cpu`: 16 trials, 140 CPU seconds. Expected: larger learning rates gain more at
    equal single accuracy. CIFAR-100: +1.2% median at lr .2, +.2% at .01, both about 75% single. On digits the
    loss gain rises with lr in all three networks: in the MLP with batch norm from .008 nats at .01 to .032 at
    .5, at 75% and 77% single, in ResNet-8 from .004 to .015.
    """
    return branching_recipe(
        scale,
        name="fig2",
        title="Larger learning rates merge better",
        figure="Figure 2",
        space=_networks_on_tasks(scale),
        sources=_SOURCES,
    )


def fig14(scale: Scale) -> Recipe:
    """Return Figure 14: training loss of the decayed endpoints of Figure 2.

    `sweeper run fig14 --scale cpu`: 16 trials, 140 CPU seconds; nothing is trained again after `fig2` on the
    same storage. Expected: near 0 for the deep networks; the MLP on SVHN is most accurate at its largest lr,
    .03, despite a larger loss. On digits, after 90 epochs, .02 to .1 nats in ResNet-8 but .1 to .3 in the MLP
    with batch norm: noise and shifts keep it from zero.
    """
    return branching_recipe(
        scale,
        name="fig14",
        title="Training loss of decayed endpoints",
        figure="Figure 14",
        space=_networks_on_tasks(scale),
        changes={"measures/splits": ["train", "validation", "test"]},
        sources={
            **_SOURCES,
            "measures": "Appendix B.5: training loss; Section 3.1: accuracy on test; validation is ours",
        },
    )


def fig15(scale: Scale) -> Recipe:
    """Return Figure 15: learning rates too large to merge.

    `sweeper run fig15 --scale cpu`: 5 trials, 15 CPU seconds. Expected: gain and single accuracy collapse as lr
    grows. On digits the loss gain peaks at lr .5 (.032 nats), falls at 1, and from 2 nearly all is at chance.
    """
    rates: dict[Scale, list[float]] = {
        "smoke": [0.5, 50.0],
        "cpu": [0.2, 0.5, 1.0, 2.0, 5.0],
        "paper": [0.1, 0.2, 0.5, 1.0, 2.0],
    }
    return branching_recipe(
        scale,
        name="fig15",
        title="Too large a learning rate fails to merge",
        figure="Figure 15",
        space={"train/lr": values(rates[scale])},
        sources={"task": "not stated", "model": "not stated", "train/lr": "Fig 15†"},
    )


_SOURCES = {
    "task": "Section 3.2",
    "model": "Section 3.2; the MLP's widths are not stated",
    "train/lr": "Fig 2†; Section 3.2 names .2 and .01, Fig 14 names .03 as the MLP's largest",
}


def _networks_on_tasks(scale: Scale) -> list[dict[str, Any]]:
    """Return one space for the MLP and one for the deep networks, which stand larger rates."""
    plain: dict[Scale, list[float]] = {
        "smoke": [0.01, 0.05],
        "cpu": [0.02, 0.05, 0.1, 0.2],
        "paper": [0.001, 0.003, 0.01, 0.03],
    }
    normalised: dict[Scale, list[float]] = {
        "smoke": [0.05, 0.2],
        "cpu": [0.01, 0.02, 0.05, 0.1, 0.2, 0.5],
        "paper": [0.01, 0.02, 0.05, 0.1, 0.2],
    }
    points = tasks(scale, "svhn", "cifar10", "cifar100", "tiny_imagenet")
    return [
        {"points": points, "model": values([plain_model(scale)]), "train/lr": values(plain[scale])},
        {"points": points, "model": values(normalised_models(scale)), "train/lr": values(normalised[scale])},
    ]
