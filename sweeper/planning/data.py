"""How large a task is: from its data where they are here, else from what was published."""

from dataclasses import dataclass

from search_spaces.tasks import DigitsTask, PublishedTask, TaskConfig
from sweeper.data import TASKS, DataError, Task
from sweeper.imports import is_import_path
from sweeper.trial import load_task


@dataclass(frozen=True)
class DataInfo:
    """What planning needs to know of a task; `task` is None where its data are not here."""

    train_size: int
    shape: tuple[int, ...]
    classes: int
    task: Task | None = None


PUBLISHED = {
    "mnist": DataInfo(60_000, (1, 28, 28), 10),
    "fashion_mnist": DataInfo(60_000, (1, 28, 28), 10),
    "cifar10": DataInfo(50_000, (3, 32, 32), 10),
    "cifar100": DataInfo(50_000, (3, 32, 32), 100),
    "svhn": DataInfo(73_257, (3, 32, 32), 10),
    "tiny_imagenet": DataInfo(100_000, (3, 64, 64), 200),
}
"""Training splits before validation images are set aside."""


def data_info(task: TaskConfig) -> DataInfo:
    """Return the sizes of a task, from its data if they are here.

    Raises:
        DataError: if its data are not here and their size was not published.
        ValueError: if there is no such task, or its settings don't fit it.
    """
    runs = task.name in TASKS or is_import_path(task.name)
    try:
        if runs:
            found = load_task(task)
            return DataInfo(len(found.train[0]), found.input_shape, found.classes, found)
    except DataError:
        if task.name not in PUBLISHED:
            raise
    return published_info(task)


def published_info(task: TaskConfig) -> DataInfo:
    """Return the sizes of a task without looking for its data.

    Raises:
        ValueError: if they were not published.
    """
    if isinstance(task, DigitsTask):
        return DataInfo(task.train_size, (1, 8, 8), 10)
    if task.name not in PUBLISHED:
        raise ValueError(f'task "{task.name}" can be described but not planned yet: its size is not known')
    published = PUBLISHED[task.name]
    if not isinstance(task, PublishedTask):
        return published
    size = task.train_size or published.train_size - task.validation_size
    return DataInfo(size, published.shape, published.classes)
