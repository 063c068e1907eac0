"""Every loader runs on files in the original format; torchvision's checksums are set to those of our files."""

import shutil

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, SVHN

from sweeper.data import DataError, build_task, vision
from sweeper.data.vision import SOURCES, torchvision_task

from .formats import TEST, TRAIN, images, labels, write_cifar, write_idx, write_svhn

SIZES = {"validation_size": 10, "seed": 1}


@pytest.fixture
def root(request, tmp_path, monkeypatch):
    """A folder laid out as torchvision does, holding the data set that the test is parametrised with."""
    name = request.param
    if name in ("mnist", "fashion_mnist"):
        write_idx(tmp_path / {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}[name] / "raw")
        return tmp_path
    dataset = {"cifar10": CIFAR10, "cifar100": CIFAR100, "svhn": SVHN}[name]
    attributes = write_svhn(tmp_path) if dataset is SVHN else write_cifar(tmp_path, dataset)
    for attribute, value in attributes.items():
        monkeypatch.setattr(dataset, attribute, value)
    return tmp_path


def original(name: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What the files hold, as (N, C, H, W)."""
    shape = {"mnist": (28, 28), "fashion_mnist": (28, 28), "svhn": (32, 32, 3)}.get(name, (3072,))
    pixels = images(count, *shape)
    pixels = (
        pixels.transpose(0, 3, 1, 2)
        if name == "svhn"
        else pixels.reshape(count, *((1, 28, 28) if len(shape) == 2 else (3, 32, 32)))
    )
    return torch.from_numpy(pixels.copy()), torch.from_numpy(labels(count, SOURCES[name].classes))


def rows(inputs: torch.Tensor, targets: torch.Tensor) -> list[tuple[bytes, int]]:
    return sorted(
        (np.ascontiguousarray(image).tobytes(), int(target))
        for image, target in zip(inputs.numpy(), targets, strict=True)
    )


@pytest.mark.parametrize(("name", "root"), [(name, name) for name in SOURCES], indirect=["root"])
def test_each_loader_gives_the_files_images_and_labels(name, root):
    task = torchvision_task(name, str(root), **SIZES)
    assert task.classes == SOURCES[name].classes
    assert task.train.inputs.dtype == torch.uint8
    assert {part: len(split.targets) for part, split in task.splits.items()} == {
        "train": TRAIN - 10,
        "validation": 10,
        "test": TEST,
    }
    carved = [torch.cat(parts) for parts in zip(task.split("train"), task.split("validation"), strict=True)]
    assert rows(*carved) == rows(*original(name, TRAIN))
    assert torch.equal(task.test.inputs, original(name, TEST)[0])
    assert torch.equal(task.test.targets, original(name, TEST)[1])


@pytest.mark.parametrize("root", ["cifar10"], indirect=True)
def test_subsets_are_seeded(root):
    def build(**changes: object):
        return torchvision_task("cifar10", str(root), **{**SIZES, "train_size": 15} | changes)

    assert len(build().train.targets) == 15
    assert build().identity == build().identity
    assert build(seed=2).fingerprints["validation"] != build().fingerprints["validation"]
    assert build(train_size=20).fingerprints["validation"] == build().fingerprints["validation"]
    assert "validation" not in build(validation_size=0).splits
    assert set(rows(*build(test_size=12).test)) < set(rows(*build().test))
    assert build(test_size=12, seed=2).fingerprints["test"] != build(test_size=12).fingerprints["test"]
    with pytest.raises(ValueError, match="test_size 21 is more than its 20 test images"):
        build(test_size=21)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_may_lie_in_the_root_and_be_gzipped(tmp_path, suffix):
    write_idx(tmp_path, suffix)
    for name in ("mnist", "fashion_mnist"):
        assert torch.equal(
            torchvision_task(name, str(tmp_path), **SIZES).test.inputs, original(name, TEST)[0]
        )


def test_debians_files_are_found_without_a_root(tmp_path, monkeypatch):
    write_idx(tmp_path / "debian", ".gz")
    monkeypatch.setattr(vision, "DEBIAN_FASHION_MNIST", tmp_path / "debian")
    monkeypatch.setenv("SWEEPER_DATA", str(tmp_path / "empty"))
    assert len(torchvision_task("fashion_mnist", **SIZES).test.targets) == TEST


def test_the_root_comes_from_the_environment(tmp_path, monkeypatch):
    write_idx(tmp_path / "MNIST" / "raw")
    monkeypatch.setenv("SWEEPER_DATA", str(tmp_path))
    assert len(torchvision_task("mnist", **SIZES).test.targets) == TEST


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "images-idx3"),
        ("fashion_mnist", "images-idx3"),
        ("cifar10", "cifar-10-batches-py/"),
        ("cifar100", "cifar-100-python/"),
        ("svhn", "train_32x32.mat and test_32x32.mat"),
    ],
)
def test_missing_files_are_named_with_their_place(name, file, tmp_path, monkeypatch):
    monkeypatch.setattr(vision, "DEBIAN_FASHION_MNIST", tmp_path)
    with pytest.raises(DataError, match=f'task "{name}" is missing or damaged') as caught:
        build_task(name, {"root": str(tmp_path)})
    message = str(caught.value)
    assert file in message
    assert str(tmp_path) in message
    assert "\n" not in message


@pytest.mark.parametrize("damage", [lambda b: b[:100], lambda b: b[:9], lambda b: b[:2] + b"\x0d" + b[3:]])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_damaged_idx_files_are_refused(tmp_path, damage, suffix):
    write_idx(tmp_path, suffix)
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="missing or damaged"):
        torchvision_task("mnist", str(tmp_path), **SIZES)


def test_files_with_a_wrong_checksum_are_refused(tmp_path):
    write_cifar(tmp_path, CIFAR10)
    with pytest.raises(DataError, match="missing or damaged"):
        torchvision_task("cifar10", str(tmp_path), **SIZES)


@pytest.mark.parametrize("root", ["cifar10"], indirect=True)
def test_download_unpacks_an_archive_that_is_there(root):
    shutil.rmtree(root / CIFAR10.base_folder)
    assert len(torchvision_task("cifar10", str(root), download=True, **SIZES).test.targets) == TEST


def test_a_failed_download_says_why_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", [(tmp_path / "nowhere").as_uri() + "/"])
    with pytest.raises(DataError, match=r"Error downloading train-images-idx3-ubyte\.gz") as caught:
        torchvision_task("mnist", str(tmp_path), download=True, **SIZES)
    assert "\n" not in str(caught.value)


def test_the_real_fashion_mnist(fashion_mnist_folder):
    task = torchvision_task("fashion_mnist", str(fashion_mnist_folder))
    assert {name: len(split.targets) for name, split in task.splits.items()} == {
        "train": 55_000,
        "validation": 5000,
        "test": 10_000,
    }
    both = torch.cat([task.train.targets, task.split("validation").targets])
    assert both.bincount().tolist() == [6000] * 10
    # The mean and spread of its pixels that everyone normalises by.
    assert task.mean == (pytest.approx(0.2860, abs=0.002),)
    assert task.std == (pytest.approx(0.3530, abs=0.002),)
