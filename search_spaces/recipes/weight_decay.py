"""Section 3.3 and appendix B.6: weight decay acts like the learning rate on scale-invariant networks."""

from search_spaces.recipe import Recipe, Scale
from search_spaces.recipes.branching import (
    branching_recipe,
    normalised_models,
    plain_model,
    tasks,
    values,
)


def fig3(scale: Scale) -> Recipe:
    """Return Figure 3: test accuracy gain by weight decay, with normalisation and without.

    `sweeper run fig3 --scale cpu`: 12 trials, 90 CPU seconds. Expected: TinyImageNet gains +1.2% at 5e-4 and
    +.5% at the others; the MLP on SVHN, which has no normalisation, shows no trend. On digits, where weight
    decay has to be larger to matter: from .015 to .026 nats in the MLP with batch norm, from .010 to .014 in
    ResNet-8, and about .010 at every value without normalisation.
    """
    decays: dict[Scale, list[float]] = {
        "smoke": [0.0, 5e-4],
        "cpu": [0.0, 5e-4, 2e-3, 5e-3],
        "paper": [0.0, 1e-5, 5e-5, 1e-4, 5e-4],
    }
    plain_lr = 0.03 if scale == "paper" else 0.05
    return branching_recipe(
        scale,
        name="fig3",
        title="Larger weight decay merges better where the network is scale-invariant",
        figure="Figure 3",
        space=[
            {
                "points": tasks(scale, "cifar100", "tiny_imagenet"),
                "model": values(normalised_models(scale)),
                "train/lr": 0.1,
                "train/weight_decay": values(decays[scale]),
            },
            {
                "points": tasks(scale, "svhn"),
                "model": values([plain_model(scale)]),
                "train/lr": plain_lr,
                "train/weight_decay": values(decays[scale]),
            },
        ],
        sources={
            "task": "Fig 3",
            "model": "Fig 3; the MLP's widths are not stated",
            "train/weight_decay": "Fig 3†; Section 3.3 names 5e-4",
        },
    )


def fig16(scale: Scale) -> Recipe:
    """Return Figure 16: weight decay too large to merge.

    `sweeper run fig16 --scale cpu`: 5 trials, 15 CPU seconds. Expected: gain and single accuracy collapse as
    weight decay grows. On digits the loss gain peaks at .02 (.043 nats, at 71% single), and .2 is at chance.
    """
    decays: dict[Scale, list[float]] = {
        "smoke": [5e-4, 0.5],
        "cpu": [5e-4, 5e-3, 2e-2, 5e-2, 0.2],
        "paper": [5e-4, 1e-3, 2e-3, 5e-3, 1e-2],
    }
    return branching_recipe(
        scale,
        name="fig16",
        title="Too large a weight decay fails to merge",
        figure="Figure 16",
        space={"train/weight_decay": values(decays[scale])},
        sources={"task": "not stated", "model": "not stated", "train/weight_decay": "Fig 16†"},
    )
