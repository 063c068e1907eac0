"""Data: names become tensors on the device, in splits; batches are shuffled and augmented there."""

from sweeper.data.augment import AUGMENTATIONS, augment, epoch_draws
from sweeper.data.batches import train_batches
from sweeper.data.randomness import derive_seed, epoch_order, generator
from sweeper.data.task import DataError, Split, Task
from sweeper.data.tasks import TASKS, build_task

__all__ = [
    "AUGMENTATIONS",
    "TASKS",
    "DataError",
    "Split",
    "Task",
    "augment",
    "build_task",
    "derive_seed",
    "epoch_draws",
    "epoch_order",
    "generator",
    "train_batches",
]
