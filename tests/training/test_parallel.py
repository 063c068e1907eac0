"""Several processes that share every batch train as one does."""

import dataclasses
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from tiny import NO_NORM, RESNET, tiny

from sweeper.training import Course, Diverged, Separate, state_of
from sweeper.training.parallel import Parallel
from sweeper.trial import load_task
from tests.training.test_fused import Chance, network_of

STEPS = 50
CASES = {
    "batch norm": {},
    "none": NO_NORM,
    "convolutions": RESNET,
    "adamw": {**NO_NORM, "train/optimizer": "adamw", "train/lr": 0.01},
}


def course_of(config, lr=0.05):
    return Course(state_of(network_of(config)), 3, lambda step: lr * (1 - step / 100), config.train)


def rank(index: int, port: int, folder: str) -> None:
    """Run as one of two processes; keep what the first of them gets."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=index, world_size=2)
    ends = {}
    for name, settings in CASES.items():
        config = tiny(settings)
        trainer = Parallel(network_of(config), load_task(config.task))
        [first] = trainer.train([course_of(config)], 0, STEPS // 2)
        going_on = dataclasses.replace(course_of(config), state=first)
        [ends[name]] = trainer.train([going_on], STEPS // 2, STEPS)
    config = tiny(NO_NORM)
    [lost] = Parallel(network_of(config), load_task(config.task)).train([course_of(config, 1e30)], 0, 200)
    chance = Parallel(Chance(), load_task(config.task))
    [drawn] = chance.train([dataclasses.replace(course_of(config), state=state_of(Chance()))], 0, 2)
    ends |= {"diverged at": lost.step if isinstance(lost, Diverged) else None, "drew": bool(drawn)}
    torch.save(ends, Path(folder) / f"{index}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(rank, (port, str(folder)), nprocs=2)
    return [torch.load(folder / f"{index}.pt") for index in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_as_one(case, ends):
    config = tiny(CASES[case])
    course = course_of(config)
    [alone] = Separate(network_of(config), load_task(config.task)).train([course], 0, STEPS)
    together, other = ends[0][case], ends[1][case]
    assert together.keys() == alone.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, rtol=1e-5, atol=1e-5)
        assert torch.equal(other[name], together[name]), "both processes hold the same network"
        assert (
            name not in course.state
            or tensor.dtype == torch.int64
            or not torch.equal(tensor, course.state[name])
        )


def test_all_processes_stop_where_one_alone_would(ends):
    config = tiny(NO_NORM)
    [lost] = Separate(network_of(config), load_task(config.task)).train([course_of(config, 1e30)], 0, 200)
    assert [each["diverged at"] for each in ends] == [lost.step] * 2


def test_networks_that_draw_train(ends):
    assert all(each["drew"] for each in ends)
