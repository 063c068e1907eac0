"""Seeds and seeded draws. Whatever is random depends on (seed, purpose, epoch) alone, never on what ran before.

Draws are made on the CPU by NumPy's PCG64: torch's CPU generator keeps 32 bits of its seed, so two of 10⁵
streams would coincide more often than not, and a draw made on a GPU would differ from the CPU's.
"""

import hashlib
import json

import numpy as np
import torch
from torch import Tensor


def derive_seed(*parts: int | str) -> int:
    """Return the first 64 bits of the SHA-256 of the parts' JSON list, in [0, 2⁶⁴).

    Parts are told apart by value, type and position: `("a", 1)`, `("a", "1")` and `("a1",)` give unrelated seeds.

    >>> derive_seed("order", 0, 7) == derive_seed("order", 0, 7) != derive_seed("order", 7, 0)
    True
    """
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "big")


def generator(*parts: int | str) -> np.random.Generator:
    """Return a fresh generator seeded by `derive_seed(*parts)`."""
    return np.random.Generator(np.random.PCG64(derive_seed(*parts)))


def epoch_order(images: int, seed: int, epoch: int) -> Tensor:
    """Return the order in which an epoch visits the training images: a permutation, int64, shape (images,)."""
    return torch.from_numpy(generator("order", seed, epoch).permutation(images))


def partition(images: int, *, test: int, validation: int, train: int | None, seed: int) -> dict[str, Tensor]:
    """Return disjoint sets of image numbers for each split, drawn at random from `images`.

    `train=None` takes all that is left. Test and validation are drawn first, so neither depends on `train`,
    and a larger training set contains every smaller one.

    Raises:
        ValueError: if the splits need more than there are images, or leave none to train on.
    """
    if train is None:
        train = images - test - validation
    if train < 1 or test + validation + train > images:
        raise ValueError(
            f"train_size {train} + validation_size {validation} + test_size {test} don't fit {images} images: "
            "make the splits smaller, the training set at least 1"
        )
    order = torch.from_numpy(generator("partition", seed).permutation(images))
    pieces = torch.split(order, [test, validation, train, images - test - validation - train])
    return {"test": pieces[0], "validation": pieces[1], "train": pieces[2]}
