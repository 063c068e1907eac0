"""Data sets whose authors published a training and a test split: where they lie, and how validation is carved."""

import os
from pathlib import Path

from sweeper.data.randomness import generator, partition
from sweeper.data.task import Split, Task


def data_folder(root: str | None) -> Path:
    """Return the folder that holds the data sets: `root`, else $SWEEPER_DATA, else ~/.cache/sweeper/data."""
    return Path(root or os.environ.get("SWEEPER_DATA") or "~/.cache/sweeper/data").expanduser()


def carve(
    name: str,
    classes: int,
    train: Split,
    test: Split,
    train_size: int | None,
    validation_size: int,
    test_size: int | None,
    seed: int,
) -> Task:
    """Return the task whose training and validation images are drawn from `train`, and its test images from `test`.

    Raises:
        ValueError: if a split has fewer images than are asked of it.
    """
    numbers = partition(len(train.targets), test=0, validation=validation_size, train=train_size, seed=seed)
    splits = {part: Split(train.inputs[numbers[part]], train.targets[numbers[part]]) for part in numbers}
    return Task(
        name=name,
        classes=classes,
        train=splits["train"],
        validation=splits["validation"] if validation_size else None,
        test=test if test_size is None else _subset(name, test, test_size, seed),
    )


def _subset(name: str, test: Split, size: int, seed: int) -> Split:
    images = len(test.targets)
    if size > images:
        raise ValueError(f'task "{name}": test_size {size} is more than its {images} test images; lower it')
    chosen = generator("test", seed).permutation(images)[:size]
    return Split(test.inputs[chosen], test.targets[chosen])
