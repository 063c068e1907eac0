"""Accuracy and loss of a network on a split."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from sweeper.data import Task

CHUNK = 1024
"""Examples per forward pass."""


@dataclass(frozen=True)
class Scores:
    """Accuracy in percent and mean cross-entropy in nats, over one split."""

    accuracy: float
    loss: float

    def __getitem__(self, metric: str) -> float:
        return self.accuracy if metric == "accuracy" else self.loss


@torch.no_grad()
def evaluate(network: nn.Module, task: Task, split: str) -> Scores | None:
    """Return accuracy and loss of `network`, in eval mode, on all examples of `split` without augmentation.

    None if the loss is not finite: parameters can be finite and still too large to compute with.
    """
    network.eval()
    dtype = next(network.parameters()).dtype
    inputs, targets = task.split(split)
    correct, loss = 0, 0.0
    for chunk, labels in zip(inputs.split(CHUNK), targets.split(CHUNK), strict=True):
        outputs = network(task.batch(chunk, dtype))
        correct += int((outputs.argmax(1) == labels).sum())
        loss += float(F.cross_entropy(outputs.double(), labels, reduction="sum"))
    return Scores(100.0 * correct / len(targets), loss / len(targets)) if math.isfinite(loss) else None
