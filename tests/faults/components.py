"""A network that counts, for all processes together, the steps it is trained."""

import functools
import os
from math import prod

import torch
from torch import Tensor, nn

from sweeper.data import Task


class Counted(nn.Sequential):
    """A small network that writes one byte to a diary per training step, the lost ones too."""

    def __init__(self, inputs: int, classes: int, diary: str) -> None:
        super().__init__(nn.Flatten(), nn.Linear(inputs, 12), nn.ReLU(), nn.Linear(12, classes))
        self.diary = diary

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (B, classes)."""
        if self.training and torch.is_grad_enabled():
            os.write(_opened(self.diary), b".")
        return super().forward(inputs)


def counted_model(task: Task, diary: str) -> nn.Module:
    """Build one."""
    return Counted(prod(task.input_shape), task.classes, diary)


@functools.cache
def _opened(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
