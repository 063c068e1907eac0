"""The small image sets of torchvision, kept as uint8 tensors (N, C, H, W)."""

import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from sweeper.data.published import carve, data_folder
from sweeper.data.task import DataError, Split, Task

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where the package dataset-fashion-mnist puts its files."""


class Source(NamedTuple):
    """One data set: how many classes, how to read training and test split, and what to put where."""

    classes: int
    read: Callable[[Path, bool], tuple[Split, Split]]
    files: str


def torchvision_task(
    name: str,
    root: str | None = None,
    download: bool = False,
    train_size: int | None = None,
    validation_size: int = 5000,
    test_size: int | None = None,
    seed: int = 0,
) -> Task:
    """Return one of `SOURCES`, read from `root`.

    Args:
        name: Which one.
        root: Folder as torchvision lays it out. Default: $SWEEPER_DATA, else ~/.cache/sweeper/data.
        download: Let torchvision fetch what is missing.
        train_size: Train on a random subset of this size. Default: all that validation leaves.
        validation_size: Images set aside from the published training split, at random; 0 for no validation split.
        test_size: Test on a random subset of this size. Default: the whole published test split.
        seed: Of these choices.

    Raises:
        DataError: if the files are missing or damaged.
        ValueError: if the splits don't fit.
    """
    folder = data_folder(root)
    source = SOURCES[name]
    try:
        train, test = source.read(folder, download)
    except (RuntimeError, OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f'task "{name}" is missing or damaged ({reason}): put {source.files} into {folder}, '
            "point root or SWEEPER_DATA at the folder that holds them, or set download: true"
        ) from error
    return carve(name, source.classes, train, test, train_size, validation_size, test_size, seed)


def _mnist(root: Path, download: bool) -> tuple[Split, Split]:
    from torchvision.datasets import MNIST

    return _read_mnist(MNIST, [root / "MNIST" / "raw", root], root, download)


def _fashion_mnist(root: Path, download: bool) -> tuple[Split, Split]:
    from torchvision.datasets import FashionMNIST

    folders = [root / "FashionMNIST" / "raw", root, DEBIAN_FASHION_MNIST]
    return _read_mnist(FashionMNIST, folders, root, download)


def _cifar10(root: Path, download: bool) -> tuple[Split, Split]:
    from torchvision.datasets import CIFAR10

    return _read_cifar(CIFAR10, root, download)


def _cifar100(root: Path, download: bool) -> tuple[Split, Split]:
    from torchvision.datasets import CIFAR100

    return _read_cifar(CIFAR100, root, download)


def _svhn(root: Path, download: bool) -> tuple[Split, Split]:
    from torchvision.datasets import SVHN

    train, test = (SVHN(root, split, download=download) for split in ("train", "test"))
    return _split(train.data, train.labels), _split(test.data, test.labels)


SOURCES = {
    "mnist": Source(10, _mnist, "train- and t10k-{images-idx3,labels-idx1}-ubyte (or .gz)"),
    "fashion_mnist": Source(10, _fashion_mnist, "train- and t10k-{images-idx3,labels-idx1}-ubyte (or .gz)"),
    "cifar10": Source(10, _cifar10, "cifar-10-batches-py/ (unpacked from cifar-10-python.tar.gz)"),
    "cifar100": Source(100, _cifar100, "cifar-100-python/ (unpacked from cifar-100-python.tar.gz)"),
    "svhn": Source(10, _svhn, "train_32x32.mat and test_32x32.mat"),
}


def _read_mnist(
    dataset: Callable[..., object], folders: list[Path], root: Path, download: bool
) -> tuple[Split, Split]:
    """Read idx files from the first of `folders` that has all four; torchvision downloads them but reads no .gz."""
    found = next((folder for folder in folders if _has_idx_files(folder)), None)
    if found is None:
        dataset(root, download=download)
        found = folders[0]
    return _read_idx_split(found, "train"), _read_idx_split(found, "t10k")


def _has_idx_files(folder: Path) -> bool:
    return all(len(list(folder.glob(f"{part}-*-ubyte*"))) >= 2 for part in ("train", "t10k"))


def _read_idx_split(folder: Path, part: str) -> Split:
    images = _read_idx(folder / f"{part}-images-idx3-ubyte")
    return _split(images[:, None], _read_idx(folder / f"{part}-labels-idx1-ubyte"))


def _read_idx(path: Path) -> np.ndarray:
    """Read an array of bytes: 0, 0, 8 (the type), the number of axes, each axis' length in 4 bytes, the data.

    Raises:
        ValueError: if the file holds anything else.
    """
    content = (
        path.read_bytes()
        if path.exists()
        else gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes())
    )
    _, kind, axes = struct.unpack_from(">HBB", content)
    if kind != 8:
        raise ValueError(f"{path.name} holds type {kind}, not bytes")
    shape = struct.unpack_from(f">{axes}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _read_cifar(dataset: Callable[..., Any], root: Path, download: bool) -> tuple[Split, Split]:
    train, test = (dataset(root, train=train, download=download) for train in (True, False))
    # torchvision turns the file's (N, C, H, W) into (N, H, W, C) for PIL.
    return _split(train.data.transpose(0, 3, 1, 2), train.targets), _split(
        test.data.transpose(0, 3, 1, 2), test.targets
    )


def _split(images: np.ndarray, labels: np.ndarray | list[int]) -> Split:
    return Split(torch.from_numpy(images.copy()), torch.from_numpy(np.array(labels, dtype=np.int64)))
