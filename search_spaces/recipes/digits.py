"""The demo: the hump on scikit-learn's digits, in minutes on two cores."""

import math
from typing import Any

from search_spaces.config import BranchConfig, TrainConfig, TrunkConfig
from search_spaces.measures import MeasureConfig
from search_spaces.models import MLPModel
from search_spaces.recipe import Recipe, Scale, Search
from search_spaces.space import Space
from search_spaces.tasks import DigitsTask


def log_grid(low: float, high: float, count: int) -> list[float]:
    """Return `count` values from low to high, evenly spaced on a log axis, to three digits."""
    ratio = math.log(high / low) / (count - 1)
    return [float(f"{low * math.exp(ratio * index):.3g}") for index in range(count)]


def digits(scale: Scale) -> Recipe:
    """Return the sweep over noise scale x batch size on noisy digits.

    `sweeper run digits --scale cpu`: 39 trials, two minutes on two cores. Expected: the loss gain rises
    with S, peaks between S = .01 and .1, and collapses on the right.
    """
    sizes: dict[Scale, dict[str, Any]] = {
        "smoke": {"epochs": 4, "every": 2, "decay": 1, "count": 2, "points": 3, "batches": [16, 64]},
        "cpu": {"epochs": 150, "every": 15, "decay": 8, "count": 4, "points": 13, "batches": [16, 64, 128]},
        "paper": {
            "epochs": 450,
            "every": 15,
            "decay": 30,
            "count": 4,
            "points": 25,
            "batches": [8, 16, 64, 128],
        },
    }
    size = sizes[scale]
    return Recipe(
        name="digits",
        title="Noise scale and merge gain on scikit-learn's digits",
        figure="Fig 1 in small",
        scale=scale,
        task=DigitsTask(),
        model=MLPModel(),
        train=TrainConfig(noise_scale=0.01, batch_size=64, augment="shift"),
        trunk=TrunkConfig(epochs=size["epochs"], branch_every=size["every"]),
        branch=BranchConfig(decay_epochs=size["decay"], count=size["count"]),
        measures=MeasureConfig(splits=("train", "validation", "test")),
        space=Space.model_validate(
            {
                "train/noise_scale": {"values": log_grid(5e-4, 0.6, size["points"])},
                "train/batch_size": {"values": size["batches"]},
            }
        ),
        search=Search(sampler="grid"),
    )
