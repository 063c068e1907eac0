import math
from dataclasses import replace

import pytest
import torch

from sweeper.data import Split, Task
from sweeper.data.task import channel_statistics

from .examples import make_task
from .reference import normalised

INPUTS, TARGETS = torch.rand(12, 3, 4, 4), torch.arange(12) % 3


def build(**changes: object) -> Task:
    return Task(**{"classes": 3, "train": (INPUTS, TARGETS), "test": (INPUTS, TARGETS)} | changes)


def test_plain_pairs_become_splits():
    task = build(validation=(INPUTS[:2], TARGETS[:2]), extra={"ood": (INPUTS[2:], TARGETS[2:])})
    assert list(task.splits) == ["train", "validation", "test", "ood"]
    assert all(isinstance(split, Split) for split in task.splits.values())
    assert task.split("ood").inputs.shape == (10, 3, 4, 4)
    assert task.input_shape == (3, 4, 4)


def test_an_unknown_split_is_named_beside_those_there_are():
    with pytest.raises(ValueError, match='task "custom" has no split "validation": choose from train, test'):
        build().split("validation")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": (INPUTS, TARGETS[:5])}, r"train has inputs \(12, 3, 4, 4\) and targets \(5,\)"),
        ({"train": (INPUTS, TARGETS[:, None])}, r"targets \(12, 1\): want"),
        ({"test": (INPUTS[:0], TARGETS[:0])}, "test is empty"),
        ({"test": (INPUTS.int(), TARGETS)}, "test has inputs of torch.int32"),
        ({"train": (INPUTS, TARGETS.float())}, "train has targets of torch.float32"),
        ({"classes": 2}, "class numbers 0…2: with classes=2 they must lie in 0…1"),
        ({"test": (INPUTS, TARGETS - 1)}, "test has class numbers -1…1"),
        ({"train": (INPUTS / 0, TARGETS)}, "train has NaN or infinite inputs"),
        ({"test": (INPUTS[..., :2], TARGETS)}, r"test is torch.float32 \(3, 4, 2\), but train is"),
        ({"test": (INPUTS.double(), TARGETS)}, "test is torch.float64"),
        ({"mean": (0.5,)}, "mean and std come together"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        build(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("split", ["train", "validation", "test", "ood"])
@pytest.mark.parametrize("part", ["inputs", "targets"])
def test_identity_changes_with_any_training_element_and_no_other(task, split, part):
    task = replace(task, extra={"ood": task.test})
    changed = task.split(split)._replace(**{part: getattr(task.split(split), part).clone()})
    getattr(changed, part)[-1] = 0 if part == "targets" else 1
    other = replace(task, **({"extra": {"ood": changed}} if split == "ood" else {split: changed}))
    assert (other.identity != task.identity) == (split == "train")
    assert [name for name in task.splits if task.fingerprints[name] != other.fingerprints[name]] == [split]


def test_identity_is_of_content_alone(task):
    copy = make_task()
    assert copy.identity == task.identity
    assert replace(copy, name="another").identity == task.identity
    assert replace(copy, mean=(0.0,) * 3).identity != task.identity
    assert replace(copy, std=(1.0,) * 3).identity != task.identity
    assert replace(copy, classes=5).identity != task.identity


def test_identity_tells_shapes_and_types_of_the_same_bytes_apart():
    zeros, targets = torch.zeros(4, 12), torch.zeros(4, dtype=torch.int64)
    variants = [zeros, zeros.view(4, 2, 6), zeros.view(4, 6, 2), zeros.view(torch.float64)]
    assert len({build(train=(x, targets), test=(x, targets)).identity for x in variants}) == 4


def test_moving_keeps_everything(task):
    moved = replace(task, extra={"ood": task.test}).to("cpu")
    assert moved.identity == replace(task, extra={"ood": task.test}).identity
    assert list(moved.splits) == ["train", "validation", "test", "ood"]


@pytest.mark.gpu
def test_moving_to_a_gpu_keeps_the_identity(task):
    moved = task.to("cuda")
    assert moved.train.inputs.device.type == "cuda"
    del moved.__dict__["fingerprints"]
    assert moved.identity == task.identity


def test_uint8_is_normalised_per_channel_by_the_training_images(task):
    batch = task.batch(task.train.inputs, torch.float64)
    torch.testing.assert_close(batch, normalised(task.train.inputs, task.mean, task.std), rtol=0, atol=1e-12)
    torch.testing.assert_close(batch.mean((0, 2, 3)), torch.zeros(3).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(batch.std((0, 2, 3), correction=0), torch.ones(3).double(), rtol=0, atol=1e-12)
    assert task.batch(task.train.inputs[:2]).dtype == torch.float32


def test_floats_are_left_alone_unless_asked():
    assert torch.equal(build().batch(INPUTS), INPUTS)
    shifted = build(mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0)).batch(INPUTS, torch.float64)
    torch.testing.assert_close(shifted[:, 2], (INPUTS[:, 2].double() - 0.3) / 4, rtol=0, atol=1e-12)


def test_a_constant_channel_stays_finite():
    images = torch.full((4, 1, 2, 2), 7, dtype=torch.uint8)
    task = build(train=(images, TARGETS[:4]), test=(images, TARGETS[:4]))
    assert torch.equal(task.batch(images), torch.zeros(4, 1, 2, 2))
    assert channel_statistics(images) == ((pytest.approx(7 / 255),), (1.0,))


def test_flat_uint8_counts_as_one_channel():
    flat = torch.arange(24, dtype=torch.uint8).view(4, 6)
    batch = build(train=(flat, TARGETS[:4]), test=(flat, TARGETS[:4])).batch(flat, torch.float64)
    assert math.isclose(batch.mean(), 0, abs_tol=1e-12)
    assert math.isclose(batch.std(correction=0), 1, abs_tol=1e-12)
