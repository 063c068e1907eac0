import itertools

import pytest
import torch

from sweeper.data import derive_seed, epoch_order
from sweeper.data.randomness import partition


def test_seeds_depend_on_value_type_and_position():
    parts = [
        ("order", 0, 1),
        ("order", 1, 0),
        ("augment", 0, 1),
        ("order", "0", 1),
        ("order0", 1),
        ("order", 0, 1, 0),
    ]
    seeds = [derive_seed(*part) for part in parts]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_seeds_are_the_same_on_every_machine_and_release():
    # Golden: stored checkpoints were trained from these.
    assert derive_seed("order", 0, 0) == 16071251167386022724
    assert epoch_order(8, seed=0, epoch=0).tolist() == [5, 4, 0, 7, 3, 2, 1, 6]


def test_streams_do_not_coincide():
    orders = {tuple(epoch_order(20, seed, epoch).tolist()) for seed in range(40) for epoch in range(50)}
    assert len(orders) == 2000


@pytest.mark.parametrize("images", [1, 2, 50])
def test_an_order_visits_every_image_once(images):
    assert epoch_order(images, seed=3, epoch=4).sort().values.tolist() == list(range(images))


def test_every_image_is_as_likely_in_every_place():
    first = torch.stack([epoch_order(4, seed=0, epoch=epoch) for epoch in range(4000)])
    counts = torch.stack([torch.bincount(column, minlength=4) for column in first.unbind(1)])
    # Binomial(4000, 1/4) has a standard deviation of 27.
    assert (counts - 1000).abs().max() < 130


def test_partition_is_disjoint_and_complete():
    splits = partition(100, test=20, validation=10, train=None, seed=0)
    assert {name: len(numbers) for name, numbers in splits.items()} == {
        "test": 20,
        "validation": 10,
        "train": 70,
    }
    assert torch.cat(list(splits.values())).sort().values.tolist() == list(range(100))


def test_training_sets_are_nested_and_leave_the_other_splits_alone():
    small, large = (partition(100, test=20, validation=10, train=train, seed=0) for train in (30, 60))
    assert torch.equal(small["test"], large["test"])
    assert torch.equal(small["validation"], large["validation"])
    assert torch.equal(small["train"], large["train"][:30])


def test_partitions_of_different_seeds_differ():
    tests = [
        partition(100, test=20, validation=10, train=None, seed=seed)["test"].tolist() for seed in range(5)
    ]
    assert all(a != b for a, b in itertools.combinations(tests, 2))


@pytest.mark.parametrize(("test", "train"), [(50, 60), (95, None), (0, 0)])
def test_a_partition_that_does_not_fit_is_refused(test, train):
    with pytest.raises(ValueError, match=r"don't fit 100 images"):
        partition(100, test=test, validation=5, train=train, seed=0)
