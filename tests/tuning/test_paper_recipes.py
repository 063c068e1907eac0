"""The recipes that run now, run: each network on each data set of the paper, in the original files' formats."""

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
from torchvision.datasets import CIFAR10, CIFAR100, SVHN

from search_spaces import RECIPES, TrialConfig, load_recipe
from search_spaces.paths import apply_overrides
from search_spaces.recipe import SCALES
from sweeper.store import Store
from sweeper.trial import run_trial
from sweeper.tuning import unsupported
from tests.data.formats import write_cifar, write_svhn, write_tiny_imagenet

SHORT = {
    "train/batch_size": 4,
    "trunk/steps": 2,
    "trunk/branch_every_steps": 2,
    "branch/decay_steps": 1,
}
SMALL = {"task/train_size": 12, "task/validation_size": 10, "task/test_size": 10}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", RECIPES)
def test_every_named_recipe_can_run(name, scale):
    assert unsupported(load_recipe(name, scale)) == []


def combinations() -> dict[str, TrialConfig]:
    """The trials of all paper scales that differ in more than numbers: recipe, task and model → config."""
    found: dict[tuple[object, ...], tuple[str, TrialConfig]] = {}
    for name in RECIPES:
        recipe = load_recipe(name, "paper")
        for space in recipe.space:
            for point in space.grid():
                config = recipe.trial(point)
                kind = (config.task, config.model, config.train.augment, config.measures)
                found.setdefault(kind, (f"{name}-{config.task.name}-{config.model.name}", config))
    return dict(found.values())


COMBINATIONS = combinations()
LIGHT = ["digits-digits-mlp", "fig2-svhn-mlp", "fig2-tiny_imagenet-mlp", "fig1-cifar100-resnet18"]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory):
    """Every data set of the paper in small, torchvision's checksums set to those of our files."""
    root = tmp_path_factory.mktemp("data")
    write_tiny_imagenet(root)
    written: dict[type, dict[str, Any]] = {
        dataset: write_cifar(root, dataset) for dataset in (CIFAR10, CIFAR100)
    }
    written[SVHN] = write_svhn(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_DATA", str(root))
        for dataset, attributes in written.items():
            for name, value in attributes.items():
                patch.setattr(dataset, name, value)
        yield


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in LIGHT else pytest.mark.slow) for name in COMBINATIONS]
)
def test_a_shortened_trial_of_the_paper_runs(name: str, tmp_path: Path):
    content = COMBINATIONS[name].model_dump(mode="json")
    small = SMALL if "test_size" in content["task"] else {}
    config = TrialConfig.model_validate(apply_overrides(content, {**SHORT, **small}))
    (stage,) = run_trial(config, Store(str(tmp_path)))
    # 2 steps of the trunk, 1 of each branch.
    per_epoch = 12 // 4 if small else 600 // 4
    assert math.fsum(stage.trained.values()) == pytest.approx((2 + config.branch.count) / per_epoch)
    measured = {(record.split, record.metric) for record in stage.records}
    assert measured == set(itertools.product(config.measures.splits, config.measures.metrics))
    assert all(math.isfinite(record.f_merged) for record in stage.records if record.status != "diverged")
