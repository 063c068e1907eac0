"""A task: labelled splits as tensors on one device, and how a slice of them becomes a network's input."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Self

import torch
from torch import Tensor


class DataError(ValueError):
    """Data are missing or damaged; the message says where to put which file."""


class Split(NamedTuple):
    """Inputs (N, …) and their class numbers (N,)."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """Labelled splits that lie on one device, raw: uint8 images or floats.

    A task is written in one expression, and checked once, here:

    >>> x, y = torch.rand(30, 3, 8, 8), torch.arange(30) % 10
    >>> task = Task(classes=10, train=(x, y), validation=(x[:9], y[:9]), test=(x[9:], y[9:]))
    >>> task.input_shape
    (3, 8, 8)

    Args:
        train: Inputs, uint8 or floating point, shape (N, C, H, W) or any (N, …), and class numbers, shape (N,); a
            `Split` or a plain pair, like every split.
        validation: What a search optimises on; None where all of the training data is trained on.
        test: What is reported.
        classes: Number of classes.
        name: For messages and records.
        extra: Further splits by name, such as `ood`.
        mean: Per channel, for values in [0, 1] (uint8) or as they are (floats). Default: the training split's for
            uint8, no normalisation for floats.
        std: Like `mean`.

    Raises:
        ValueError: if the splits' lengths, types, shapes or class numbers don't fit together, a split is empty, or
            a float is NaN or infinite.
    """

    train: Split
    test: Split
    classes: int
    validation: Split | None = None
    name: str = "custom"
    extra: Mapping[str, Split] = field(default_factory=dict)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "train", Split(*self.train))
        _check(self)
        if self.mean is None and self.train.inputs.dtype == torch.uint8:
            mean, std = channel_statistics(self.train.inputs)
            object.__setattr__(self, "mean", mean)
            object.__setattr__(self, "std", std)

    @cached_property
    def splits(self) -> dict[str, Split]:
        """Every split by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test, **self.extra}
        return {name: Split(*split) for name, split in named.items() if split is not None}

    def split(self, name: str) -> Split:
        """Return the split called `name`.

        Raises:
            ValueError: if there is none.
        """
        if name not in self.splits:
            raise ValueError(
                f'task "{self.name}" has no split "{name}": choose from {", ".join(self.splits)}'
            )
        return self.splits[name]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, e.g. (3, 32, 32)."""
        return tuple(self.train.inputs.shape[1:])

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 per split, over the types, shapes and bytes of its tensors."""
        return {name: _fingerprint(split) for name, split in self.splits.items()}

    @cached_property
    def identity(self) -> str:
        """SHA-256 over all that training sees of the task: training split, classes, normalisation.

        Neither the name nor what is only evaluated on enters: another test set trains nothing again.
        """
        train = self.fingerprints["train"]
        seen = {"train": train, "classes": self.classes, "mean": self.mean, "std": self.std}
        return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()

    def to(self, device: torch.device | str) -> Self:
        """Return the same task with its tensors on `device`."""
        placed = {
            name: Split(inputs.to(device), targets.to(device))
            for name, (inputs, targets) in self.splits.items()
        }
        moved = replace(
            self,
            train=placed.pop("train"),
            validation=placed.pop("validation", None),
            test=placed.pop("test"),
            extra=placed,
        )
        # The bytes are the same, and hashing them where they are is cheaper than fetching them back.
        moved.__dict__["fingerprints"] = self.fingerprints
        return moved

    def batch(self, inputs: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return what a network is fed: (x − mean) / std per channel, in `dtype`; uint8 is first divided by 255."""
        if self.mean is None or self.std is None:
            return inputs.to(dtype)
        unit = 255.0 if inputs.dtype == torch.uint8 else 1.0
        shape = (-1, *[1] * (inputs.ndim - 2))
        mean, std = torch.tensor([self.mean, self.std], dtype=dtype, device=inputs.device) * unit
        centred: Tensor = inputs - mean.view(shape)
        return centred.div_(std.view(shape))


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel of uint8 images (N, C, H, W), for values in [0, 1].

    Inputs of another shape count as one channel. Both come from exact integer counts, so that neither depends on
    the number of threads.
    """
    channels = images.unbind(1) if images.ndim == 4 else [images]
    counts = [torch.bincount(channel.flatten(), minlength=256).double().cpu() for channel in channels]
    values = torch.arange(256, dtype=torch.float64) / 255
    means = [float(count @ values / count.sum()) for count in counts]
    variances = [float(n @ (values - mean) ** 2 / n.sum()) for n, mean in zip(counts, means, strict=True)]
    # A constant channel stays constant whatever divides it.
    return tuple(means), tuple(variance**0.5 or 1.0 for variance in variances)


def _fingerprint(split: Split) -> str:
    digest = hashlib.sha256()
    for tensor in split:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().view(torch.uint8).cpu().numpy().data)
    return digest.hexdigest()


def _check(task: Task) -> None:
    shape, dtype = task.train.inputs.shape[1:], task.train.inputs.dtype
    for name, (inputs, targets) in task.splits.items():
        problem = _problem(inputs, targets, task.classes)
        if not problem and (inputs.shape[1:] != shape or inputs.dtype != dtype):
            problem = f"is {inputs.dtype} {tuple(inputs.shape[1:])}, but train is {dtype} {tuple(shape)}"
        if problem:
            raise ValueError(f'task "{task.name}": {name} {problem}')
    if (task.mean is None) != (task.std is None):
        raise ValueError(f'task "{task.name}": mean and std come together: give both or neither')


def _problem(inputs: Tensor, targets: Tensor, classes: int) -> str:
    if inputs.ndim < 2 or targets.ndim != 1 or len(inputs) != len(targets):
        return f"has inputs {tuple(inputs.shape)} and targets {tuple(targets.shape)}: want (N, …) and (N,)"
    if len(inputs) == 0:
        return "is empty: give it at least one example"
    if inputs.dtype != torch.uint8 and not inputs.is_floating_point():
        return f"has inputs of {inputs.dtype}: convert them to uint8 or a floating-point type"
    if targets.dtype != torch.int64:
        return f"has targets of {targets.dtype}: convert them to torch.int64"
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= classes:
        return f"has class numbers {low}…{high}: with classes={classes} they must lie in 0…{classes - 1}"
    if inputs.is_floating_point() and not inputs.isfinite().all():
        return "has NaN or infinite inputs: remove or replace them"
    return ""
