"""TinyImageNet is read as it is unzipped: folders of classes to train on, a table of labels to test on."""

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from sweeper.data import DataError, build_task
from sweeper.data.tiny_imagenet import DECODED, FOLDER, tiny_imagenet

from .formats import write_tiny_imagenet

SIZES = {"validation_size": 10}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_imagenet(tmp_path)
    return tmp_path / FOLDER


def greys(split) -> list[int]:
    return split.inputs[:, 0, 32, 32].tolist()


def test_the_published_validation_split_is_the_test_split(folder):
    task = build_task("tiny_imagenet", {"root": str(folder.parent), **SIZES})
    assert task.classes == 4
    assert task.input_shape == (3, 64, 64)
    assert task.train.inputs.dtype == torch.uint8
    assert {name: len(split.targets) for name, split in task.splits.items()} == {
        "train": 30,
        "validation": 10,
        "test": 20,
    }
    # The writer's images are of one grey each: 40 * class + index to train on, 5 brighter to test on.
    for name, offset in (("train", 0), ("validation", 0), ("test", 5)):
        for grey, target in zip(greys(task.split(name)), task.split(name).targets.tolist(), strict=True):
            assert (grey - offset) // 40 == target
    assert len({*greys(task.train), *greys(task.split("validation"))}) == 40


def test_subsets_are_seeded(folder):
    def build(**changes):
        return tiny_imagenet(str(folder.parent), **SIZES | changes)

    assert build().identity == build().identity
    assert build(seed=1).fingerprints["validation"] != build().fingerprints["validation"]
    assert len(build(train_size=12).train.targets) == 12
    assert set(greys(build(test_size=15).test)) < set(greys(build().test))
    assert build(test_size=15, seed=1).fingerprints["test"] != build(test_size=15).fingerprints["test"]
    assert "validation" not in build(validation_size=0).splits
    with pytest.raises(ValueError, match="test_size 21 is more than its 20 test images"):
        build(test_size=21)


def test_images_are_decoded_once(folder, monkeypatch):
    before = tiny_imagenet(str(folder.parent), **SIZES)
    monkeypatch.setattr(Image, "open", None)
    assert tiny_imagenet(str(folder.parent), **SIZES).identity == before.identity


def test_a_changed_image_is_noticed(folder):
    before = tiny_imagenet(str(folder.parent), **SIZES)
    changed, *others = sorted((folder / "val" / "images").iterdir())
    size = changed.stat().st_size
    changed.write_bytes(next(path.read_bytes() for path in others if path.stat().st_size == size))
    after = tiny_imagenet(str(folder.parent), **SIZES)
    assert [name for name in after.splits if after.fingerprints[name] != before.fingerprints[name]] == [
        "test"
    ]
    assert list(folder.glob(f"{DECODED}*")) == [folder / DECODED]


@pytest.mark.parametrize(
    "damage", [lambda content: content[:1000], lambda content: b"", lambda content: b"?" * 99]
)
def test_damaged_decoded_images_are_decoded_again(folder, damage):
    before = tiny_imagenet(str(folder.parent), **SIZES).identity
    decoded = folder / DECODED
    decoded.write_bytes(damage(decoded.read_bytes()))
    assert tiny_imagenet(str(folder.parent), **SIZES).identity == before


def test_where_nothing_can_be_kept_images_are_decoded_each_time(folder):
    (folder / DECODED).mkdir()
    assert len(tiny_imagenet(str(folder.parent), **SIZES).test.targets) == 20
    assert list(folder.glob(f"{DECODED}*")) == [folder / DECODED]


def no_val(folder: Path) -> None:
    shutil.rmtree(folder / "val")


def no_class(folder: Path) -> None:
    shutil.rmtree(folder / "train" / "n00000002")


def lacks_an_image(folder: Path) -> None:
    (folder / "val" / "images" / "val_3.JPEG").unlink()


def nothing(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize("damage", [nothing, no_val, no_class, lacks_an_image])
def test_missing_files_are_named_with_their_place(folder, damage):
    damage(folder)
    with pytest.raises(
        DataError, match=r'"tiny_imagenet" is missing or damaged .*: unzip tiny-imagenet-200\.zip'
    ) as caught:
        tiny_imagenet(str(folder.parent), **SIZES)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def of_another_size(path: Path) -> None:
    Image.new("RGB", (32, 32)).save(path)


@pytest.mark.parametrize("damage", [cut_off, of_another_size])
def test_an_image_that_can_not_be_used_is_named(folder, damage):
    damage(folder / "val" / "images" / "val_3.JPEG")
    with pytest.raises(DataError, match=r"val_3\.JPEG is no 64x64 image"):
        tiny_imagenet(str(folder.parent), **SIZES)
