"""TinyImageNet: 100,000 training and 10,000 labelled validation images of 200 classes, 64x64 pixels.

Decoding them takes half a minute, so it is done once: the pixels are kept beside the images, in one file that every
worker maps into memory.
"""

import contextlib
import hashlib
import uuid
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sweeper.data.published import carve, data_folder
from sweeper.data.task import DataError, Split, Task

FOLDER = "tiny-imagenet-200"
DECODED = "decoded.safetensors"
SIZE = 64


def tiny_imagenet(
    root: str | None = None,
    train_size: int | None = None,
    validation_size: int = 10_000,
    test_size: int | None = None,
    seed: int = 0,
) -> Task:
    """Return TinyImageNet, RGB; its published validation split is the test split, since its test labels are secret.

    Args:
        root: Folder that holds tiny-imagenet-200, as unzipped. Default: $SWEEPER_DATA, else ~/.cache/sweeper/data.
        train_size: Train on a random subset of this size. Default: all that validation leaves.
        validation_size: Images set aside from the published training split, at random; 0 for no validation split.
        test_size: Test on a random subset of this size. Default: the whole published validation split.
        seed: Of these choices.

    Raises:
        DataError: if the files are missing or damaged.
        ValueError: if the splits don't fit.
    """
    folder = data_folder(root) / FOLDER
    try:
        listed = _listed(folder)
        state = _state(listed)
    except (OSError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f'task "tiny_imagenet" is missing or damaged ({reason}): unzip tiny-imagenet-200.zip in {folder.parent}, '
            f"so that {folder} holds train/ and val/, or point root or SWEEPER_DATA at the folder that holds {FOLDER}"
        ) from error
    train, test = _decoded(folder / DECODED, listed, state)
    classes = 1 + max(number for _, number in listed["train"])
    return carve("tiny_imagenet", classes, train, test, train_size, validation_size, test_size, seed)


Listed = dict[str, list[tuple[Path, int]]]
"""Part → the files of its images with their class numbers."""


def _listed(folder: Path) -> Listed:
    """List the images of train/<class>/images/, and those of val/images/ as val/val_annotations.txt labels them.

    Raises:
        ValueError: if there are none.
    """
    names = sorted(path.name for path in (folder / "train").iterdir())
    numbers = {name: number for number, name in enumerate(names)}
    train = [
        (path, number)
        for name, number in numbers.items()
        for path in sorted((folder / "train" / name / "images").iterdir())
    ]
    lines = (folder / "val" / "val_annotations.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    val = [(folder / "val" / "images" / file, numbers[name]) for file, name, *_ in rows]
    if not train or not val:
        raise ValueError("it has no images")
    return {"train": train, "val": val}


def _decoded(path: Path, listed: Listed, state: str) -> tuple[Split, Split]:
    """Return the published splits, their pixels from the file at `path` if it is of the same images."""
    targets = {part: torch.tensor([number for _, number in files]) for part, files in listed.items()}
    images = _load(path, state)
    if images is None:
        images = {part: _decode(files) for part, files in listed.items()}
        # Data may lie where nobody may write; then each process decodes them.
        with contextlib.suppress(OSError, SafetensorError):
            _save(path, images, state)
    return Split(images["train"], targets["train"]), Split(images["val"], targets["val"])


def _state(listed: Listed) -> str:
    """Return a hash of every file's name, size and time of change: changed data are decoded again."""
    digest = hashlib.sha256()
    for path, number in (file for files in listed.values() for file in files):
        found = path.stat()
        digest.update(f"{path.name} {number} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _load(path: Path, state: str) -> dict[str, torch.Tensor] | None:
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("state") != state:
                return None
            return {part: file.get_tensor(part) for part in ("train", "val")}
    except (OSError, SafetensorError):
        return None


def _save(path: Path, images: dict[str, torch.Tensor], state: str) -> None:
    # Several workers may decode at once; renaming leaves one whole file.
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        save_file(images, temporary, metadata={"state": state})
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _decode(files: list[tuple[Path, int]]) -> torch.Tensor:
    images = np.empty((len(files), 3, SIZE, SIZE), np.uint8)
    for image, (path, _) in zip(images, files, strict=True):
        try:
            with Image.open(path) as opened:
                image[:] = np.asarray(opened.convert("RGB")).transpose(2, 0, 1)
        except (OSError, ValueError) as error:
            raise DataError(
                f"tiny_imagenet: {path} is no {SIZE}x{SIZE} image ({error}); unzip it again"
            ) from error
    return torch.from_numpy(images)
