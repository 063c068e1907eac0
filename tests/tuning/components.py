"""A task and models of a user's, reached by import path."""

import os
import signal
from pathlib import Path

import torch
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


def broken_model(task: Task, only_if: str) -> nn.Module:
    """Fails in training as long as the file `only_if` exists."""

    class Broken(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            if self.training and Path(only_if).exists():
                raise RuntimeError("the network is broken")
            return super().forward(inputs)

    return Broken(task.input_shape[0], task.classes)
