from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sweeper.data import DataError, build_task
from sweeper.data.folder import image_folder


def write(
    folder: Path, count: int, *, size: tuple[int, int] = (20, 12), classes: tuple[str, ...] = ("cat", "dog")
) -> None:
    """Images of one grey each, so that resizing keeps it: cats dark, dogs bright."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            Image.new("L", size, 100 * number + index).save(folder / name / f"{index}.png")


def test_a_single_tree_is_split_by_seed(tmp_path):
    write(tmp_path, 20)
    task = image_folder(str(tmp_path), size=8, validation_fraction=0.1, test_fraction=0.2)
    assert task.classes == 2
    assert {name: len(split.targets) for name, split in task.splits.items()} == {
        "train": 28,
        "validation": 4,
        "test": 8,
    }
    assert task.input_shape == (3, 8, 8)
    assert task.train.inputs.dtype == torch.uint8
    greys = torch.cat([split.inputs[:, 0, 0, 0] for split in task.splits.values()])
    assert sorted(greys.tolist()) == [*range(20), *range(100, 120)]
    for split in task.splits.values():
        assert torch.equal(split.inputs[:, 0, 0, 0] >= 100, split.targets == 1)
    assert task.identity == image_folder(str(tmp_path), 8, 0.1, 0.2).identity
    assert task.identity != image_folder(str(tmp_path), 8, 0.1, 0.2, seed=1).identity


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_folders_of_splits_are_taken_as_they_are(tmp_path, validation):
    for name, count in (("train", 5), (validation, 3), ("test", 2)):
        write(tmp_path / name, count)
    task = build_task("image_folder", {"root": str(tmp_path), "size": 8})
    assert {name: len(split.targets) for name, split in task.splits.items()} == {
        "train": 10,
        "validation": 6,
        "test": 4,
    }


def test_a_missing_split_is_drawn_from_train(tmp_path):
    write(tmp_path / "train", 10)
    write(tmp_path / "test", 2)
    task = image_folder(str(tmp_path), 8, validation_fraction=0.5)
    assert {name: len(split.targets) for name, split in task.splits.items()} == {
        "train": 10,
        "validation": 10,
        "test": 4,
    }
    assert "validation" not in image_folder(str(tmp_path), 8, validation_fraction=0.0).splits


def test_images_are_cut_about_their_centre_not_squeezed(tmp_path):
    pixels = np.zeros((10, 30), np.uint8)
    pixels[:, 10:20] = 200
    (tmp_path / "only").mkdir()
    for index in range(4):
        Image.fromarray(pixels).save(tmp_path / "only" / f"{index}.png")
    assert image_folder(str(tmp_path), size=10, test_fraction=0.5).train.inputs.unique().tolist() == [200]


def test_images_may_lie_deeper_in_their_class_folder(tmp_path):
    """As TinyImageNet's train/<class>/images/ do."""
    write(tmp_path / "nested", 5, classes=("images",))
    (tmp_path / "flat").mkdir()
    Image.new("L", (8, 8), 200).save(tmp_path / "flat" / "0.JPEG")
    inputs, targets = image_folder(str(tmp_path), 8, 0.0, 0.2).train
    assert torch.equal(inputs[:, 0, 0, 0] >= 100, targets == 0)
    assert targets.bincount().sum() == 5


def test_other_files_are_passed_over(tmp_path):
    write(tmp_path, 3)
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    assert sum(len(split.targets) for split in image_folder(str(tmp_path), 8, 0.0, 0.3).splits.values()) == 6


def no_classes(root: Path) -> None:
    root.joinpath("a.png").touch()


def no_images(root: Path) -> None:
    root.joinpath("cat").mkdir()


def damaged_image(root: Path) -> None:
    write(root, 3)
    path = root / "dog" / "1.png"
    path.write_bytes(path.read_bytes()[:40])


def unknown_class(root: Path) -> None:
    write(root / "train", 3)
    write(root / "test", 3, classes=("cat", "fox"))


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (no_classes, "has no class folders"),
        (no_images, "has no images"),
        (damaged_image, r"1\.png can't be decoded"),
        (unknown_class, "class folder fox is not among train's: cat, dog"),
    ],
)
def test_what_can_not_be_read_is_named(tmp_path, prepare, message):
    prepare(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        image_folder(str(tmp_path), size=8)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_test_split_without_images_is_refused(tmp_path):
    write(tmp_path, 3)
    with pytest.raises(ValueError, match=r"test_fraction 0\.01 of 6 images is none"):
        image_folder(str(tmp_path), 8, test_fraction=0.01)
