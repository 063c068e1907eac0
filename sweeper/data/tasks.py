"""Tasks by name, and those of the user by import path."""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache, partial

import torch

from sweeper.data.digits import digits
from sweeper.data.folder import image_folder
from sweeper.data.task import Task
from sweeper.data.tiny_imagenet import tiny_imagenet
from sweeper.data.vision import SOURCES, torchvision_task
from sweeper.imports import call, find, is_import_path, source_hash

TASKS: dict[str, Callable[..., Task]] = {
    "digits": digits,
    **{name: partial(torchvision_task, name) for name in SOURCES},
    "tiny_imagenet": tiny_imagenet,
    "image_folder": image_folder,
}


def build_task(name: str, settings: Mapping[str, object], device: torch.device | str = "cpu") -> Task:
    """Return the task on `device`; asked again in the same process, the same object, unless its code changed.

    Args:
        name: One of `TASKS`, or the import path of a function that takes the settings and returns a `Task`.
        settings: Keywords of the function.
        device: Where the tensors are to lie.

    Raises:
        ValueError: if there is no such function, the settings don't fit it, or it returns something else.
        DataError: if the data are missing or damaged.
    """
    version = source_hash(name) if is_import_path(name) else ""
    return _build(name, json.dumps(settings, sort_keys=True), version, str(device))


# Four: a trial has one task, or the two or three that it merges across.
@lru_cache(maxsize=4)
def _build(name: str, settings: str, version: str, device: str) -> Task:
    task = call(name, find("task", name, TASKS), **json.loads(settings))
    if not isinstance(task, Task):
        raise ValueError(f'task "{name}" returned a {type(task).__name__}; return a sweeper.data.Task')
    return task.to(device)
