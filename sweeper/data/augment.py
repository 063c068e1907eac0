"""Augmentation as batched tensor operations, drawn per image.

Every augmentation here is a choice, per image, among the (2p+1)² windows of the image with p zeros around it, and
of a mirror. The draws of an epoch are made for the whole training set at once and looked up by image number, so an
image's augmentation depends on (seed, epoch, image) and on nothing about how the work is split.

Notation: images N, channels C, height H, width W, padding p, windows per axis k = 2p+1.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sweeper.data.randomness import generator


class Augmentation(NamedTuple):
    """Shifts by up to `padding` pixels per axis and mirrors left to right, if `flip`, every other image."""

    padding: int
    flip: bool


AUGMENTATIONS = {
    "none": Augmentation(padding=0, flip=False),
    "shift": Augmentation(padding=1, flip=False),
    "flip": Augmentation(padding=0, flip=True),
    "crop": Augmentation(padding=4, flip=False),
    "flip_crop": Augmentation(padding=4, flip=True),
}


def epoch_draws(kind: str, images: int, seed: int, epoch: int) -> Tensor:
    """Return each image's window and mirror for one epoch: (row, column, flip), int64, shape (images, 3).

    Row and column are uniform in 0 … 2p, where p is no shift; flip is 0 or 1.
    """
    padding, flip = AUGMENTATIONS[kind]
    rng = generator("augment", seed, epoch)
    draws = torch.zeros(images, 3, dtype=torch.int64)
    if padding:
        draws[:, :2] = torch.from_numpy(rng.integers(0, 2 * padding + 1, (images, 2)))
    if flip:
        draws[:, 2] = torch.from_numpy(rng.integers(0, 2, images))
    return draws


def augment(inputs: Tensor, draws: Tensor, kind: str) -> Tensor:
    """Return the augmented images, shape and type of `inputs` (N, C, H, W); `draws` (N, 3) as `epoch_draws` gives.

    Pixels beyond the edge are raw zeros: black, before any normalisation, as when torchvision crops a PIL image.

    Raises:
        ValueError: if the augmentation needs images and the inputs have another shape.
    """
    everything = torch.arange(len(inputs), device=inputs.device)
    return take(windows(inputs, kind), everything, draws, kind)


def windows(inputs: Tensor, kind: str) -> Tensor:
    """Return every shift of every image as a view: (N, C, H, W) -> (N, k, k, C, H, W).

    Raises:
        ValueError: if the augmentation needs images and the inputs have another shape.
    """
    padding, flip = AUGMENTATIONS[kind]
    if inputs.ndim != 4 and (padding or flip):
        raise ValueError(
            f'augment "{kind}" needs images (C, H, W), these inputs are {tuple(inputs.shape[1:])}: use "none"'
        )
    if padding == 0:
        return inputs[:, None, None]
    height, width = inputs.shape[2:]
    padded = F.pad(inputs, (padding, padding, padding, padding))
    return padded.unfold(2, height, 1).unfold(3, width, 1).permute(0, 2, 3, 1, 4, 5)


def take(shifts: Tensor, images: Tensor, draws: Tensor, kind: str) -> Tensor:
    """Return the numbered `images` (n,) of `shifts`, which `windows` gives, augmented by their `draws` (n, 3)."""
    row, column, flip = draws.unbind(1)
    taken = shifts[images, row, column]
    if AUGMENTATIONS[kind].flip:
        # `where` over both, since picking out the images to mirror would make a GPU wait for their count.
        taken = torch.where(flip.view(-1, 1, 1, 1).bool(), taken.flip(-1), taken)
    return taken
