"""Small recipes for sweeps that really run."""

from typing import Any

from search_spaces import Recipe, parse_recipe


def small_recipe(**changes: Any) -> Recipe:
    """A 2 x 2 grid on 100 digits: two branch points, two branches, tenths of a second a trial."""
    content: dict[str, Any] = {
        "name": "small",
        "task": {"name": "digits", "train_size": 100, "validation_size": 200},
        "model": {"name": "mlp", "widths": [12]},
        "train": {"noise_scale": 0.01, "batch_size": 16, "augment": "shift"},
        "trunk": {"epochs": 4, "branch_every": 2},
        "branch": {"decay_epochs": 1},
        "space": {
            "train/noise_scale": {"values": [0.02, 0.1]},
            "train/batch_size": {"values": [10, 20]},
        },
        "search": {"sampler": "grid"},
        "resources": {"retries": 1},
    }
    return parse_recipe({**content, **changes})


def adaptive_recipe(trials: int, **changes: Any) -> Recipe:
    """The same by TPE, over intervals."""
    return small_recipe(
        space={
            "train/noise_scale": {"low": 1e-3, "high": 0.3, "log": True},
            "train/batch_size": {"values": [10, 20]},
        },
        search={"sampler": "tpe", "trials": trials},
        **changes,
    )
