"""Writes tiny data sets in the original files' formats, as their authors published them."""

import gzip
import hashlib
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image
from torchvision.datasets import CIFAR10, SVHN

TRAIN, TEST = 40, 20


def images(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)


def labels(count: int, classes: int = 10) -> np.ndarray:
    return np.arange(count) % classes


def write_idx(folder: Path, suffix: str = "") -> None:
    """The four files of MNIST and Fashion-MNIST, plain or gzipped."""
    folder.mkdir(parents=True, exist_ok=True)
    opened = gzip.open if suffix == ".gz" else open
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        with opened(folder / f"{part}-images-idx3-ubyte{suffix}", "wb") as file:
            file.write(struct.pack(">IIII", 0x803, count, 28, 28) + images(count, 28, 28).tobytes())
        with opened(folder / f"{part}-labels-idx1-ubyte{suffix}", "wb") as file:
            file.write(struct.pack(">II", 0x801, count) + labels(count).astype(np.uint8).tobytes())


def write_cifar(root: Path, dataset: type[CIFAR10]) -> dict[str, object]:
    """The batches of CIFAR-10 or -100, and the class attributes that hold their checksums."""
    folder = root / dataset.base_folder
    folder.mkdir(parents=True)
    per_file = TRAIN // len(dataset.train_list)
    key, classes = ("labels", 10) if dataset is CIFAR10 else ("fine_labels", 100)
    pixels = {"train": images(TRAIN, 3072), "test": images(TEST, 3072)}
    for index, (name, _) in enumerate(dataset.train_list):
        own = slice(index * per_file, (index + 1) * per_file)
        _pickle(folder / name, {"data": pixels["train"][own], key: labels(TRAIN, classes)[own].tolist()})
    _pickle(folder / dataset.test_list[0][0], {"data": pixels["test"], key: labels(TEST, classes).tolist()})
    _pickle(
        folder / dataset.meta["filename"], {dataset.meta["key"]: [str(number) for number in range(classes)]}
    )
    with tarfile.open(root / dataset.filename, "w:gz") as archive:
        archive.add(folder, dataset.base_folder)
    return {
        "train_list": [[name, _md5(folder / name)] for name, _ in dataset.train_list],
        "test_list": [[name, _md5(folder / name)] for name, _ in dataset.test_list],
        "meta": {**dataset.meta, "md5": _md5(folder / dataset.meta["filename"])},
        "tgz_md5": _md5(root / dataset.filename),
    }


def write_svhn(root: Path) -> dict[str, object]:
    """The two .mat files of SVHN, where the digit 0 has label 10, and the attribute that holds their checksums."""
    root.mkdir(parents=True, exist_ok=True)
    split_list = {}
    for part, count in (("train", TRAIN), ("test", TEST)):
        path = root / f"{part}_32x32.mat"
        digits = labels(count)
        pixels = images(count, 32, 32, 3).transpose(1, 2, 3, 0)
        scipy.io.savemat(
            path, {"X": pixels, "y": np.where(digits == 0, 10, digits).astype(np.uint8)[:, None]}
        )
        split_list[part] = [SVHN.split_list[part][0], path.name, _md5(path)]
    return {"split_list": split_list}


def write_tiny_imagenet(root: Path) -> None:
    """Four classes as tiny-imagenet-200.zip unpacks, every image of one grey: 40 * class + index, and in val 5 more."""
    folder = root / "tiny-imagenet-200"
    names = [f"n0000000{number}" for number in range(4)]
    for number, name in enumerate(names):
        (folder / "train" / name / "images").mkdir(parents=True)
        for index in range(TRAIN // 4):
            # Some of the original images are grey, most are in colour.
            image = Image.new("L" if index == 3 else "RGB", (64, 64), _grey(40 * number + index, index == 3))
            image.save(folder / "train" / name / "images" / f"{name}_{index}.JPEG")
    (folder / "val" / "images").mkdir(parents=True)
    lines = []
    for index in range(TEST):
        number = index % 4
        image = Image.new("RGB", (64, 64), _grey(40 * number + 5 + index // 4))
        image.save(folder / "val" / "images" / f"val_{index}.JPEG")
        lines.append(f"val_{index}.JPEG\t{names[number]}\t0\t32\t44\t62\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))


def _grey(level: int, single: bool = False) -> int | tuple[int, int, int]:
    return level if single else (level, level, level)


def _pickle(path: Path, content: object) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()
