"""Section 3.1: the effective noise scale as the unifying factor."""

from search_spaces.recipe import Recipe, Scale
from search_spaces.recipes.branching import branching_recipe, values


def fig1(scale: Scale) -> Recipe:
    """Return Figure 1: test accuracy gain over learning rate x batch size.

    `sweeper run fig1 --scale cpu`: 24 trials, 80 CPU seconds. Expected: gain against lr falls at B=16 and rises
    at 128 and 256; against S the curves collapse on one hump. On digits the loss gains of B=64 and 128 agree
    within .002 nats and peak near S = .08 at .032; B=16 is at chance from lr .5.
    """
    rates: dict[Scale, list[float]] = {
        "smoke": [0.05, 0.2],
        "cpu": [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0],
        "paper": [0.01, 0.02, 0.05, 0.1, 0.2],
    }
    sizes: dict[Scale, list[int]] = {
        "smoke": [16, 64],
        "cpu": [16, 64, 128],
        "paper": [16, 32, 64, 128, 256],
    }
    return branching_recipe(
        scale,
        name="fig1",
        title="Merge gain collapses on the effective noise scale",
        figure="Figure 1",
        space={"train/lr": values(rates[scale]), "train/batch_size": values(sizes[scale])},
        sources={
            "task": "Section 3.1",
            "model": "Section 3.1",
            "train/lr": "Fig 1†",
            "train/batch_size": "Section 3.1 names 16, 128 and 256; the others are Fig 1†",
            "train/weight_decay": "Section 3.1",
            "train/augment": "Section 3.1",
        },
    )
