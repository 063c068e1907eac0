"""Training batches: shuffled, augmented and normalised on the device, the same however the steps are split.

Most of an epoch is done at once and handed out as slices: on small data a batch costs microseconds.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from search_spaces.cost import steps_per_epoch
from sweeper.data.augment import epoch_draws, take, windows
from sweeper.data.randomness import epoch_order
from sweeper.data.task import Task

CHUNK_BYTES = 16 * 2**20
"""Size of what is prepared at once. Above 32 MiB the C library returns every chunk to the system: 4x slower."""

WINDOWS_BYTES = 2 * 2**20
"""Up to this size, about a core's cache, all windows of a data set are laid out once: an epoch costs a third."""


def train_batches(
    task: Task,
    batch_size: int,
    augment: str,
    seed: int,
    start_step: int,
    end_step: int,
    dtype: torch.dtype = torch.float32,
    channels_last: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the inputs (B, …) and targets (B,) of the steps in [start_step, end_step).

    Step s belongs to epoch ⌊s / ⌊N/B⌋⌋. Order and augmentation depend on (seed, epoch, image) alone. The
    N mod B images at an epoch's end are left out, since a smaller batch would have another noise scale.

    Raises:
        ValueError: if the batch is larger than the training set, or the augmentation needs images.
    """
    inputs, targets = task.train
    per_epoch = steps_per_epoch(len(targets), batch_size)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    shifts = windows(inputs, augment)
    if shifts.numel() * shifts.element_size() <= WINDOWS_BYTES:
        shifts = shifts.contiguous()
    batch_bytes = batch_size * inputs[0].numel() * dtype.itemsize
    chunk_size = batch_size * max(1, CHUNK_BYTES // batch_bytes)

    if start_step >= end_step:
        return
    for epoch in range(start_step // per_epoch, -(-end_step // per_epoch)):
        first = max(start_step - epoch * per_epoch, 0)
        last = min(end_step - epoch * per_epoch, per_epoch)
        order = epoch_order(len(targets), seed, epoch)[first * batch_size : last * batch_size]
        draws = epoch_draws(augment, len(targets), seed, epoch)[order].to(inputs.device)
        order = order.to(inputs.device)
        for images, drawn in zip(torch.split(order, chunk_size), torch.split(draws, chunk_size), strict=True):
            chunk = task.batch(take(shifts, images, drawn, augment), dtype).contiguous(memory_format=layout)
            yield from zip(
                torch.split(chunk, batch_size), torch.split(targets[images], batch_size), strict=True
            )
