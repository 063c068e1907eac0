"""CPU time per trained epoch, of sweeper's loop and of the plain script, at the same gain."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median
from typing import Any

import torch
from PIL import Image
from torch.optim import SGD
from torch.utils.data import DataLoader
from torchvision import transforms

from benchmarks import plain
from benchmarks.fashion_mnist import fashion_mnist_folder
from benchmarks.timing import (
    cpu_seconds,
    interleaved,
    matmul_peak,
    mean_with_error,
    spread,
    step_flops,
    table,
)
from search_spaces import TrialConfig, load_recipe
from search_spaces.base import arguments
from search_spaces.paths import apply_overrides
from sweeper.data import Task, train_batches
from sweeper.models import build_model, is_convolutional
from sweeper.store import Store
from sweeper.training import build_optimizer, train, trunk_schedule
from sweeper.trial import load_task, run_trial

TEST_BATCH = 500
DIGITS_SEEDS, FASHION_SEEDS = 20, 8
"""Trials per arm over which gains are compared."""


@dataclass(frozen=True)
class Case:
    """What is trained: a trial with one branch point, as both arms run it; `timed_epochs` of its trunk are timed."""

    name: str
    config: TrialConfig
    task: Task
    bar: float
    timed_epochs: int
    gain_seeds: int

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in one epoch."""
        return len(self.task.train.targets) // self.config.train.batch_size


def digits_cases(gain_seeds: int) -> list[Case]:
    """Return the demo's trial, with one branch point and two branches, at each of its batch sizes."""
    changes = {"trunk/epochs": 15, "branch/decay_epochs": 8}
    configs = [_trial(batch_size, changes) for batch_size in (16, 64, 128)]
    return [
        Case(
            name=f"digits, MLP, B={config.train.batch_size}",
            config=config,
            task=load_task(config.task),
            bar=6.0,
            timed_epochs=15,
            gain_seeds=gain_seeds,
        )
        for config in configs
    ]


def fashion_case(gain_seeds: int) -> Case:
    """Return ResNet-8 on 2,000 images of Fashion-MNIST."""
    task = {
        "name": "fashion_mnist",
        "root": str(fashion_mnist_folder()),
        "train_size": 2000,
        "validation_size": 0,
        "test_size": 1000,
    }
    changes = {
        "task": task,
        "model": {"name": "resnet8"},
        "train/augment": "flip_crop",
        "trunk/epochs": 3,
        "trunk/branch_every": 3,
        "branch/decay_epochs": 1,
    }
    config = _trial(64, changes)
    return Case(
        name="Fashion-MNIST (2,000), ResNet-8, B=64",
        config=config,
        task=load_task(config.task),
        bar=1.6,
        timed_epochs=1,
        gain_seeds=gain_seeds,
    )


def _trial(batch_size: int, changes: dict[str, Any]) -> TrialConfig:
    demo = load_recipe("digits", "cpu").base.model_dump(mode="json")
    shared = {
        "train/batch_size": batch_size,
        "train/noise_scale": 0.02,
        "branch/count": 2,
        "measures/splits": ["test"],
    }
    return TrialConfig.model_validate(apply_overrides(demo, {**shared, **changes}))


def main(rounds: int) -> str:
    """Time every case, compare gains, and return the tables."""
    torch.set_num_threads(1)
    peak = matmul_peak()
    every = [*digits_cases(DIGITS_SEEDS), fashion_case(FASHION_SEEDS)]
    return "\n\n".join(
        [
            f"Peak of one thread, float32 matrix products: {peak / 1e9:.0f} GFLOP/s.",
            table(
                [
                    "CPU time per trained epoch",
                    "sweeper, ms",
                    "plain, ms",
                    "ratio",
                    "bar",
                    "FLOP/s over peak, sweeper / plain",
                ],
                [_timed(case, rounds, peak) for case in every],
            ),
            table(
                ["loss gain, nats ± standard error", "seeds", "sweeper", "plain", "difference"],
                [_compared(case) for case in every],
            ),
        ]
    )


def _timed(case: Case, rounds: int, peak: float) -> list[str]:
    arms = {"sweeper": partial(sweeper_seconds, case), "plain": partial(plain_seconds, case)}
    interleaved(arms, 1)  # the first round also pays for what is allocated and chosen once
    costs = interleaved(arms, rounds)
    ratios = [theirs / ours for ours, theirs in zip(costs["sweeper"], costs["plain"], strict=True)]
    milliseconds = [spread([1e3 * seconds for seconds in costs[arm]]) for arm in arms]
    shares = [f"{epoch_flops(case) / median(costs[arm]) / peak:.1%}" for arm in arms]
    return [case.name, *milliseconds, f"**{spread(ratios, 2)}**", f"≥ {case.bar:g}", " / ".join(shares)]


def _compared(case: Case) -> list[str]:
    seeds = range(case.gain_seeds)
    ours, our_error = mean_with_error([sweeper_gain(case, seed) for seed in seeds])
    theirs, their_error = mean_with_error([plain_gain(case, seed) for seed in seeds])
    return [
        case.name,
        str(case.gain_seeds),
        f"{ours:.4f} ± {our_error:.4f}",
        f"{theirs:.4f} ± {their_error:.4f}",
        f"{ours - theirs:+.4f} ± {math.hypot(our_error, their_error):.4f}",
    ]


def sweeper_seconds(case: Case) -> float:
    """Return the CPU seconds of one epoch in sweeper's loop."""
    config = case.config
    network = _network(case, seed=0)
    optimizer = build_optimizer(network.parameters(), config.train)
    schedule = trunk_schedule(config.train, case.steps_per_epoch)
    batches = train_batches(
        case.task,
        config.train.batch_size,
        config.train.augment,
        seed=0,
        start_step=0,
        end_step=case.timed_epochs * case.steps_per_epoch,
        channels_last=is_convolutional(network),
    )
    return cpu_seconds(lambda: train(network, optimizer, batches, schedule, 0, seed=0)) / case.timed_epochs


def plain_seconds(case: Case) -> float:
    """Return the CPU seconds of one epoch in the plain loop."""
    network, optimizer, loader = _plain(case, seed=0)
    lr = case.config.train.resolved_lr
    work = partial(plain.train, network, optimizer, loader, case.timed_epochs, lambda _: lr)
    return cpu_seconds(work) / case.timed_epochs


def sweeper_gain(case: Case, seed: int) -> float:
    """Return the test loss gain of one trial."""
    config = case.config.model_copy(update={"seed": seed})
    with tempfile.TemporaryDirectory() as store:
        (stage,) = run_trial(config, Store(store))
    gains = [r.gain for r in stage.records if r.metric == "loss" and r.batchnorm == "recalibrated"]
    return fmean(gain for gain in gains if gain is not None)


def plain_gain(case: Case, seed: int) -> float:
    """Return the test loss gain of the plain script, from the same initial network."""
    network, optimizer, loader = _plain(case, seed)
    test = DataLoader(_images(case, "test", []), TEST_BATCH)
    trunk, branch = case.config.trunk, case.config.branch
    assert trunk is not None
    assert trunk.epochs is not None
    assert branch.decay_epochs is not None
    return plain.loss_gain(network, optimizer, loader, test, int(trunk.epochs), int(branch.decay_epochs))


def epoch_flops(case: Case) -> int:
    """Return the FLOPs of the matrix products and convolutions of one epoch."""
    inputs = case.task.batch(case.task.train.inputs[: case.config.train.batch_size])
    return case.steps_per_epoch * step_flops(_network(case, seed=0), inputs)


def _network(case: Case, seed: int) -> torch.nn.Module:
    return build_model(case.config.model.name, arguments(case.config.model), case.task, seed)


def _plain(case: Case, seed: int) -> tuple[torch.nn.Module, SGD, DataLoader[Any]]:
    torch.manual_seed(seed)
    config = case.config.train
    network = _network(case, seed).to(memory_format=torch.contiguous_format)
    optimizer = SGD(
        network.parameters(), config.resolved_lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    images = _images(case, "train", AUGMENTATIONS[config.augment])
    return network, optimizer, DataLoader(images, config.batch_size, shuffle=True, drop_last=True)


AUGMENTATIONS: dict[str, list[Callable[[Any], Any]]] = {
    "shift": [transforms.RandomCrop(8, padding=1)],
    "flip_crop": [transforms.RandomCrop(28, padding=4), transforms.RandomHorizontalFlip()],
}


def _images(case: Case, split: str, augment: list[Callable[[Any], Any]]) -> plain.Images:
    """Return a split as torchvision's data sets hold it: arrays that become PIL images when they are asked for."""
    inputs, targets = case.task.split(split)
    steps = [Image.fromarray, *augment, transforms.ToTensor()]
    if inputs.dtype == torch.uint8:
        steps.append(transforms.Normalize(case.task.mean, case.task.std))
    return plain.Images(list(inputs[:, 0].numpy()), targets.tolist(), transforms.Compose(steps))
