"""What the benchmarks compare is the same: arithmetic, gain, epochs. Nothing timed is asserted."""

import pytest
import torch
from torch.optim import SGD
from torch.utils.data import DataLoader

from benchmarks import demo, epochs, overhead, plain, requests
from benchmarks.timing import interleaved, step_flops
from benchmarks.train_epoch import AUGMENTATIONS, _images, digits_cases, plain_gain, sweeper_gain
from search_spaces.base import arguments
from sweeper.models import build_model
from sweeper.training import branch_schedule, build_optimizer, train


def test_epochs_per_merge_point_follow_the_formula_exactly():
    for trunk, every, decay, m in ((6, 2, 1, 3), (4, 2, 3, 2)):
        assert epochs.epochs_trained(trunk, every, decay) == (m, trunk + 2 * m * decay)


def test_every_branch_point_asks_the_same_of_an_object_store():
    asked = [requests.requests(points) for points in (1, 2, 3)]
    for kind in requests.KINDS:
        first, second, third = (counts[kind] for counts in asked)
        assert third - second == second - first, kind
    assert asked[0]["PUT"] > 0


def test_both_arms_compute_the_same_step_by_step():
    case = digits_cases(0)[1]
    config, steps = case.config.train, case.steps_per_epoch
    images = _images(case, "train", [])
    batches = list(DataLoader(images, config.batch_size, drop_last=True))
    networks = [build_model("mlp", arguments(case.config.model), case.task, seed=0) for _ in range(2)]
    schedule, end = branch_schedule(config, case.config.branch, 0, steps)
    decay = int(case.config.branch.decay_epochs)
    assert end == decay * steps
    train(
        networks[0], build_optimizer(networks[0].parameters(), config), batches * decay, schedule, 0, seed=0
    )
    lr = config.resolved_lr
    optimizer = SGD(networks[1].parameters(), lr, momentum=config.momentum, weight_decay=config.weight_decay)
    plain.train(networks[1], optimizer, batches, decay, plain.sqrt_decay(lr, end))
    for ours, theirs in zip(*(network.state_dict().values() for network in networks), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_the_plain_script_sees_the_same_images():
    case = digits_cases(0)[0]
    images = _images(case, "test", [])
    assert torch.equal(torch.stack([image for image, _ in images]), case.task.test.inputs)
    assert [target for _, target in images] == case.task.test.targets.tolist()
    shifted, _ = _images(case, "train", AUGMENTATIONS["shift"])[0]
    assert shifted.shape == case.task.input_shape


def test_both_arms_measure_a_gain():
    case = digits_cases(0)[2]
    assert sweeper_gain(case, seed=0) == sweeper_gain(case, seed=0) != sweeper_gain(case, seed=1)
    # Of branches this long in this noise every merge is better than its ends, in both arms.
    assert 0 < sweeper_gain(case, seed=0) < 1
    assert 0 < plain_gain(case, seed=0) < 1


def test_arms_take_turns():
    order: list[str] = []
    costs = interleaved({name: lambda name=name: order.append(name) or len(order) for name in "ab"}, 3)
    assert "".join(order) == "abbaab"
    assert costs == {"a": [1, 4, 5], "b": [2, 3, 6]}


def test_flops_are_those_of_the_products():
    network = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 3))
    # Two per multiplication: forward; backward to the weights; backward to the inputs, but for the first layer.
    assert step_flops(network, torch.randn(11, 5)) == 2 * 11 * (2 * 5 * 7 + 3 * 7 * 3)


@pytest.mark.slow
def test_overhead_and_demo_run_in_small():
    assert "≥ 10" in overhead.main(1, trials=2)
    assert "6 trials" in demo.main(1, ("digits", "--scale", "smoke"))
