"""Fully connected networks."""

from collections import OrderedDict
from collections.abc import Sequence
from math import prod
from typing import Literal

from torch import nn


def mlp(
    input_shape: tuple[int, ...],
    classes: int,
    widths: Sequence[int] = (64, 64, 64),
    norm: Literal["batch", "none"] = "batch",
) -> nn.Sequential:
    """Return hidden layers of `widths`, each linear, batch norm (or none), ReLU, and a linear classifier."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    inputs = prod(input_shape)
    for number, width in enumerate(widths, start=1):
        layers[f"linear{number}"] = nn.Linear(inputs, width)
        if norm == "batch":
            layers[f"norm{number}"] = nn.BatchNorm1d(width)
        layers[f"relu{number}"] = nn.ReLU()
        inputs = width
    layers["classifier"] = nn.Linear(inputs, classes)
    return nn.Sequential(layers)
