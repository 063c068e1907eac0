"""Small tasks to test on."""

import torch

from sweeper.data import Task


def make_task(dtype: torch.dtype = torch.uint8, images: int = 50, shape: tuple[int, ...] = (3, 6, 5)) -> Task:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 256, (images, *shape), generator=generator).to(dtype)
    targets = torch.arange(images) % 4
    return Task(
        classes=4,
        train=(inputs, targets),
        validation=(inputs[:7], targets[:7]),
        test=(inputs[7:], targets[7:]),
    )
