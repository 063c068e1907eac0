"""Section 3.4 and appendices B.1, B.2: batch size, momentum and augmentation as sources of noise."""

from search_spaces.recipe import Recipe, Scale
from search_spaces.recipes.branching import branching_recipe, tasks, values

RATES: dict[Scale, list[float]] = {
    "smoke": [0.05, 0.2],
    "cpu": [0.01, 0.02, 0.05, 0.1, 0.2, 0.5],
    "paper": [0.01, 0.02, 0.05, 0.1, 0.2],
}
BATCH_SIZES: dict[Scale, list[int]] = {
    "smoke": [16, 64],
    "cpu": [16, 64, 128],
    "paper": [16, 32, 64, 128, 256],
}


def fig4(scale: Scale) -> Recipe:
    """Return Figure 4: (a) batch size at equal steps, (b) momentum, (c) augmentation off and on.

    `sweeper run fig4 --scale cpu`: 13 trials, 35 CPU seconds. Expected: B=16 gains +1%, B=256 about 0; momentum
    .9 gains +1.0%, low or none +.2%; augmentation lifts accuracy and gain. On digits the loss gain follows
    (B=16 .026 nats, B=128 .015; momentum .9 .017, none .010), but shifts lower the single accuracy.
    """
    steps = {"smoke": 120, "cpu": 1500, "paper": 200_000}[scale]
    momenta = [0.0, 0.9] if scale == "smoke" else [0.0, 0.3, 0.6, 0.9]
    augmented = "flip_crop" if scale == "paper" else "shift"
    rates: dict[Scale, list[float]] = {"smoke": [0.1], "cpu": [0.02, 0.1, 0.5], "paper": RATES["paper"]}
    return branching_recipe(
        scale,
        name="fig4",
        title="Batch size, momentum and augmentation set the noise",
        figure="Figure 4",
        space=[
            {"train/batch_size": values(BATCH_SIZES[scale]), "trunk/steps": steps},
            {"train/momentum": values(momenta)},
            {"train/augment": values(["none", augmented]), "train/lr": values(rates[scale])},
        ],
        sources={
            "task": "Section 3.4",
            "model": "Section 3.4",
            "train/batch_size": "Section 3.4 names 16 and 256; the others are Fig 4†",
            "trunk/steps": "Section 3.4",
            "train/momentum": "Section 3.4 names .9 and none; the others are Fig 4†",
            "train/augment": "Section 3.4",
            "train/lr": "Fig 4†",
        },
    )


def fig10(scale: Scale) -> Recipe:
    """Return Figure 10: learning rate, weight decay and batch size, one at a time, on CIFAR-10.

    `sweeper run fig10 --scale cpu`: 13 trials, 40 CPU seconds. Expected: larger learning rate, larger weight
    decay and smaller batches all gain more; so they do on digits, in loss.
    """
    decays: dict[Scale, list[float]] = {
        "smoke": [0.0, 5e-4],
        "cpu": [0.0, 5e-4, 2e-3, 5e-3],
        "paper": [0.0, 1e-5, 5e-5, 1e-4, 5e-4],
    }
    return branching_recipe(
        scale,
        name="fig10",
        title="Learning rate, weight decay and batch size on CIFAR-10",
        figure="Figure 10",
        task="cifar10",
        space=[
            {"train/lr": values(RATES[scale])},
            {"train/weight_decay": values(decays[scale])},
            {"train/batch_size": values(BATCH_SIZES[scale])},
        ],
        sources={
            "task": "Appendix B.1",
            "model": "not stated",
            "train/lr": "Fig 10†",
            "train/weight_decay": "Fig 10†",
            "train/batch_size": "Fig 10†",
        },
    )


def fig11(scale: Scale) -> Recipe:
    """Return Figure 11: learning rates without augmentation, on SVHN, CIFAR-10 and TinyImageNet.

    `sweeper run fig11 --scale cpu`: 6 trials, 20 CPU seconds. Expected: merging mostly fails; larger learning
    rates remain easier to merge. On digits the loss gain is below .01 nats up to lr .2 and .032 at .5.
    """
    return branching_recipe(
        scale,
        name="fig11",
        title="Merging mostly fails without augmentation",
        figure="Figure 11",
        task="cifar10",
        changes={"train/augment": "none"},
        space={
            "points": tasks(scale, "svhn", "cifar10", "tiny_imagenet"),
            "train/lr": values(RATES[scale]),
        },
        sources={
            "task": "Appendix B.2",
            "model": "not stated",
            "train/augment": "Appendix B.2",
            "train/lr": "Fig 11†",
        },
    )
