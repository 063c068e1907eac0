"""scikit-learn's embedded digits, made hard enough to be worth merging."""

import numpy as np
import torch

from sweeper.data.randomness import generator, partition
from sweeper.data.task import Split, Task

TEST_SIZE = 600


def digits(
    train_size: int = 600, validation_size: int = 597, pixel_noise: float = 0.3, seed: int = 0
) -> Task:
    """Return the 1797 8x8 digits in [0, 1] plus Gaussian pixel noise of standard deviation `pixel_noise`.

    Noise is drawn once, for all images; 600 are the test split, the others as asked.

    Raises:
        ValueError: if training and validation need more than the other 1197 images.
    """
    from sklearn.datasets import load_digits  # a second of imports that other tasks needn't wait for

    bunch = load_digits()
    clean = bunch.images[:, None] / 16.0
    noisy = clean + pixel_noise * generator("digits", seed).standard_normal(clean.shape)
    inputs = torch.from_numpy(noisy.astype(np.float32))
    targets = torch.from_numpy(bunch.target)
    numbers = partition(len(targets), test=TEST_SIZE, validation=validation_size, train=train_size, seed=seed)
    splits = {name: Split(inputs[images], targets[images]) for name, images in numbers.items()}
    return Task(
        name="digits",
        classes=10,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
    )
