"""Any folder of class folders of images, decoded once to uint8 tensors of one size."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from sweeper.data.randomness import partition
from sweeper.data.task import DataError, Split, Task


def image_folder(
    root: str,
    size: int = 32,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
) -> Task:
    """Return the images under `root`, RGB, scaled and cut about their centre to `size` x `size` pixels.

    `root` holds one folder per class, or the folders `train`, `validation` (or `val`) and `test` of such folders.
    A split that has no folder of its own is drawn at random from the training images.

    Args:
        root: The folder.
        size: Height and width in pixels.
        validation_fraction: Of the training images, when there is no validation folder; 0 for no validation split.
        test_fraction: Of the training images, when there is no test folder.
        seed: Of the random splits.

    Raises:
        DataError: if there are no images, one can't be decoded, or a split has a class that train lacks.
        ValueError: if the fractions leave a split empty.
    """
    folder = Path(root).expanduser()
    found = {
        name: path for name in ("train", "validation", "val", "test") if (path := folder / name).is_dir()
    }
    if "val" in found:
        found.setdefault("validation", found.pop("val"))
    train_folder = found.pop("train", folder)
    classes = _class_names(train_folder)
    splits = {name: _read(path, classes, size) for name, path in found.items()}

    train = _read(train_folder, classes, size)
    images = len(train.targets)
    test = 0 if "test" in splits else round(test_fraction * images)
    validation = 0 if "validation" in splits else round(validation_fraction * images)
    for name, numbers in partition(images, test=test, validation=validation, train=None, seed=seed).items():
        if len(numbers):
            splits[name] = Split(train.inputs[numbers], train.targets[numbers])
    if "test" not in splits:
        raise ValueError(
            f"image_folder {root}: test_fraction {test_fraction} of {images} images is none; raise it"
        )
    return Task(
        name="image_folder",
        classes=len(classes),
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits["test"],
    )


def _class_names(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not names:
        raise DataError(
            f"image_folder {folder} has no class folders: put each class's images into one folder of it"
        )
    return names


def _read(folder: Path, classes: list[str], size: int) -> Split:
    unknown = sorted(set(_class_names(folder)) - set(classes))
    if unknown:
        raise DataError(
            f"image_folder {folder}: class folder {unknown[0]} is not among train's: {', '.join(classes)}"
        )
    known = Image.registered_extensions()
    paths = [
        (path, number)
        for number, name in enumerate(classes)
        for path in sorted((folder / name).rglob("*"))
        if path.suffix.lower() in known
    ]
    if not paths:
        raise DataError(f"image_folder {folder} has no images: put them into its class folders")
    images = torch.stack([_decode(path, size) for path, _ in paths])
    return Split(images, torch.tensor([number for _, number in paths]))


def _decode(path: Path, size: int) -> torch.Tensor:
    try:
        with Image.open(path) as image:
            fitted = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    except OSError as error:
        raise DataError(f"image_folder: {path} can't be decoded ({error}); repair or remove it") from error
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1)
