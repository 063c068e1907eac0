"""A task and models of a user's, reached by import path."""

import os
import signal
import time
from pathlib import Path

import ray
import torch
import torch.distributed as dist
from ray.exceptions import OutOfMemoryError
from torch import Tensor, nn

from sweeper.data import Task


def build_task(size: int = 96) -> Task:
    """Two classes that a line separates, almost."""
    draws = torch.Generator().manual_seed(7)
    inputs = torch.randn(3 * size, 6, generator=draws)
    targets = (inputs.sum(1) + torch.randn(3 * size, generator=draws) > 0).long()
    train, validation, test = ((inputs[part], targets[part]) for part in torch.arange(3 * size).split(size))
    return Task(name="line", classes=2, train=train, validation=validation, test=test)


class Fragile(nn.Linear):
    """A linear classifier whose process is killed at a given forward pass, once, ever."""

    def __init__(self, inputs: int, classes: int, marker: Path, after: int) -> None:
        super().__init__(inputs, classes)
        self.marker, self.after, self.calls = marker, after, 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.after and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(inputs)


def fragile_model(task: Task, marker: str, after: int = 40) -> nn.Module:
    """Dies once in the middle of training."""
    return Fragile(task.input_shape[0], task.classes, Path(marker), after)


def mortal_model(task: Task, marker: str, rank: int, after: int = 20) -> nn.Module:
    """Dies once in the middle of training, in one process of those that train it together."""
    dies = dist.is_initialized() and dist.get_rank() == rank
    return Fragile(task.input_shape[0], task.classes, Path(marker), after if dies else -1)


def broken_model(task: Task, only_if: str) -> nn.Module:
    """Fails in training as long as the file `only_if` exists."""

    class Broken(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            if self.training and Path(only_if).exists():
                raise RuntimeError("the network is broken")
            return super().forward(inputs)

    return Broken(task.input_shape[0], task.classes)


class Meeting(nn.Linear):
    """A linear classifier whose trunk and branches, in different processes, wait for each other.

    A branch begins only once the trunk has gone on past the first branch point and the file `go` is there; the trunk
    goes on only once a branch has begun.
    """

    def __init__(self, inputs: int, classes: int, folder: Path, first: int) -> None:
        super().__init__(inputs, classes)
        self.folder, self.first, self.calls = folder, first, 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += self.training
        context = ray.get_runtime_context()
        if self.training and any("spot" in name for name in context.get_assigned_resources()):
            (self.folder / f"branch on {context.get_node_id()}").touch()
            self._await("go", "trunk on *")
        elif self.training and self.calls == self.first + 1:
            (self.folder / f"trunk on {context.get_node_id()}").touch()
            self._await("branch on *")
        return super().forward(inputs)

    def _await(self, *patterns: str) -> None:
        deadline = time.monotonic() + 100
        while not all(any(self.folder.glob(pattern)) for pattern in patterns):
            if time.monotonic() > deadline:
                raise RuntimeError(f"nobody came: {patterns}")
            time.sleep(0.05)


def meeting_model(task: Task, folder: str, first: int) -> nn.Module:
    """Proves that the trunk does not wait for its branches."""
    return Meeting(task.input_shape[0], task.classes, Path(folder), first)


class Crowd(nn.Linear):
    """A linear classifier that trains only once `size` processes have come to train one like it."""

    def __init__(self, inputs: int, classes: int, folder: Path, size: int) -> None:
        super().__init__(inputs, classes)
        self.folder, self.size = folder, size

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            (self.folder / f"trial of {os.getpid()}").touch()
            deadline = time.monotonic() + 100
            while len(list(self.folder.glob("trial of *"))) < self.size:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"fewer than {self.size} trials at once")
                time.sleep(0.1)
        return super().forward(inputs)


def crowd_model(task: Task, folder: str, size: int) -> nn.Module:
    """Proves that so many trials run at once."""
    return Crowd(task.input_shape[0], task.classes, Path(folder), size)


def hungry_model(task: Task, folder: str, killed: bool) -> nn.Module:
    """Runs out of memory if another process trains one at the same time; waits for that to happen.

    It notices by itself, or is `killed` as by Ray's memory monitor.
    """

    class Hungry(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            if self.training and torch.is_grad_enabled():
                mine = Path(folder) / str(os.getpid())
                mine.touch()
                time.sleep(0.05)
                if len(list(Path(folder).iterdir())) > 1:
                    time.sleep(0.1)  # the other one is to notice as well
                    mine.unlink()
                    with Path(f"{folder} deaths").open("a") as deaths:
                        deaths.write("x")
                    if killed:
                        raise OutOfMemoryError("Task was killed due to the node running low on memory.")
                    raise MemoryError("no room for two")
                mine.unlink()
            return super().forward(inputs)

    return Hungry(task.input_shape[0], task.classes)


def hanging_model(task: Task, marker: str) -> nn.Module:
    """Hangs once, ever."""

    class Hanging(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            if not Path(marker).exists():
                Path(marker).touch()
                time.sleep(600)
            return super().forward(inputs)

    return Hanging(task.input_shape[0], task.classes)


def dropout_model(task: Task) -> nn.Module:
    """Draws random numbers as it trains."""
    return nn.Sequential(nn.Dropout(0.5), nn.Linear(task.input_shape[0], task.classes))
