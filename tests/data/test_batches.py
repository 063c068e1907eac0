import pytest
import torch

from sweeper.data import AUGMENTATIONS, Task, augment, batches, epoch_draws, epoch_order, train_batches

from .examples import make_task

B, STEPS_PER_EPOCH = 8, 6  # fifty images


def drained(task: Task, start: int, end: int, kind: str = "flip_crop", **settings: object):
    return list(train_batches(task, B, kind, 3, start, end, **settings))


def assert_same(a, b):
    assert len(a) == len(b)
    for (inputs, targets), (other_inputs, other_targets) in zip(a, b, strict=True):
        assert torch.equal(inputs, other_inputs)
        assert torch.equal(targets, other_targets)


@pytest.fixture(params=["one chunk", "a chunk per batch", "no table of windows"])
def memory(request, monkeypatch):
    """Every way of preparing batches must give the same bits."""
    if request.param == "a chunk per batch":
        monkeypatch.setattr(batches, "CHUNK_BYTES", 1)
    if request.param != "one chunk":
        monkeypatch.setattr(batches, "WINDOWS_BYTES", 1)


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("kind", AUGMENTATIONS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_batches_are_the_epoch_augmented_shuffled_and_normalised(kind, dtype):
    task = make_task(dtype)
    expected = []
    for epoch in range(3):
        images = augment(task.train.inputs, epoch_draws(kind, 50, 3, epoch), kind)
        order = epoch_order(50, 3, epoch)[: B * STEPS_PER_EPOCH]
        expected += zip(task.batch(images[order]).split(B), task.train.targets[order].split(B), strict=True)
    assert_same(drained(task, 0, 3 * STEPS_PER_EPOCH, kind), expected)


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("cut", [0, 1, 6, 7, 29, 30])
def test_split_anywhere_the_batches_are_the_same(task, cut):
    assert_same(drained(task, 0, cut) + drained(task, cut, 30), drained(task, 0, 30))


@pytest.mark.parametrize("step", [0, 6, 7])
def test_no_steps_give_no_batches(task, step):
    assert drained(task, step, step) == []


def test_an_epoch_visits_each_image_at_most_once():
    numbers = torch.arange(50.0)[:, None]
    task = Task(
        classes=1, train=(numbers, torch.zeros(50, dtype=torch.int64)), test=(numbers, torch.zeros(50).long())
    )
    for epoch in range(4):
        first = epoch * STEPS_PER_EPOCH
        seen = torch.cat([inputs for inputs, _ in drained(task, first, first + STEPS_PER_EPOCH, "none")])
        assert len(seen) == len(seen.unique()) == B * STEPS_PER_EPOCH


def test_targets_stay_with_their_images():
    inputs = torch.arange(50.0)[:, None]
    task = Task(classes=50, train=(inputs, torch.arange(50)), test=(inputs, torch.arange(50)))
    for images, targets in drained(task, 0, 20, "none"):
        assert torch.equal(images[:, 0].long(), targets)


def test_another_seed_gives_another_order_and_augmentation(task):
    a, b = (next(train_batches(task, B, "crop", seed, 0, 1)) for seed in (0, 1))
    assert not torch.equal(a[0], b[0])


def test_layout_and_type_are_as_asked(task):
    for inputs, _ in drained(task, 0, 2, dtype=torch.float64, channels_last=True):
        assert inputs.dtype == torch.float64
        assert inputs.is_contiguous(memory_format=torch.channels_last)
    channels_last, contiguous = drained(task, 0, 6, channels_last=True), drained(task, 0, 6)
    assert_same(channels_last, contiguous)


def test_the_largest_batch_is_the_whole_training_set(task):
    assert len(list(train_batches(task, 50, "none", 0, 0, 3))) == 3
    with pytest.raises(ValueError, match="batch_size 51 is larger than the training set of 50"):
        next(train_batches(task, 51, "none", 0, 0, 3))


@pytest.mark.gpu
def test_a_gpu_is_given_the_same_batches(task):
    on_gpu = drained(task.to("cuda"), 3, 20, dtype=torch.float64)
    for (inputs, targets), (expected, labels) in zip(
        on_gpu, drained(task, 3, 20, dtype=torch.float64), strict=True
    ):
        torch.testing.assert_close(inputs.cpu(), expected, rtol=0, atol=1e-12)
        assert torch.equal(targets.cpu(), labels)
