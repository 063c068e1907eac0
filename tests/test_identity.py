"""Keys hold what changes a result and nothing else."""

from pathlib import Path

import pytest
import torch
from tiny import PLAIN, fresh_store, lineage, tiny

from search_spaces.config import BranchConfig, TrainConfig
from search_spaces.recipe import Recipe
from sweeper.data import Task
from sweeper.identity import label
from sweeper.training import Lineage

WSD = {"train/schedule": "wsd", "train/budget_epochs": 4, "train/decay_epochs": 1}
ADAMW = {"train/optimizer": "adamw"}


def keys(part: Lineage, end: int = 12) -> tuple[str, str]:
    """The first branch point and the end of its second branch."""
    return part.trunk_key(6), part.branch_key(6, 1, end, end)


@pytest.fixture
def keys_of(tmp_path: Path):
    return lambda overrides=(): keys(lineage(tiny(dict(overrides)), fresh_store(tmp_path)))


TRUNK_CHANGES = [
    {"train/lr": 0.2},
    {"train/noise_scale": 0.01},
    {"train/momentum": 0.5},
    {"train/weight_decay": 0.0},
    {"train/batch_size": 32},
    {"train/augment": "none"},
    {"train/precision": "bf16"},
    {"train/optimizer": "adamw"},
    {"train/schedule": "cosine", "train/budget_epochs": 4},
    {"train/schedule": "cosine", "train/budget_steps": 25},
    {"train/warmup_epochs": 1},
    {"train/merge_aware": {"kind": "sam"}},
    WSD,
    {"seed": 1},
    {"task/seed": 1},
    {"task/pixel_noise": 0.2},
    {"task/train_size": 97},
    {"model/widths": [9]},
    {"model/norm": "none"},
    {"model": {"name": "resnet8"}},
]
BRANCH_CHANGES = [
    {"branch/decay": "linear"},
    {"branch/optimizer_state": "fresh"},
    {"branch/warmup_epochs": 0.5},
]
CHANGES_NOTHING = [
    {"train/compile": True},
    {"train/betas": [0.5, 0.5]},
    {"trunk/epochs": 7},
    {"trunk/branch_every_steps": 2},
    {"branch/decay_epochs": 3},
    {"branch/count": 5},
    {"branch/seeds": [1, 7]},
    {"merges": [{"kind": "linear", "alphas": [0.1, 0.9]}]},
    {"merges": [{"kind": "ties"}]},
    {"measures": {"metrics": ["loss"], "splits": ["test"], "batchnorm": "averaged"}},
    {"measures": {"eval_tasks": ["digits"], "also": ["cka"]}},
]


@pytest.mark.parametrize("overrides", TRUNK_CHANGES, ids=str)
def test_what_changes_the_trunk_changes_every_key(keys_of, overrides):
    assert not set(keys_of(overrides)) & set(keys_of())


@pytest.mark.parametrize("overrides", BRANCH_CHANGES, ids=str)
def test_what_changes_the_branch_changes_its_key_alone(keys_of, overrides):
    assert keys_of(overrides)[0] == keys_of()[0]
    assert keys_of(overrides)[1] != keys_of()[1]


def test_a_branch_is_named_by_start_seed_end_and_step(tmp_path):
    part = lineage(tiny(), fresh_store(tmp_path))
    places = [(6, 1, 12, 12), (6, 0, 12, 12), (12, 1, 18, 18), (6, 1, 18, 18), (6, 1, 18, 12)]
    assert len({part.branch_key(*place) for place in places}) == len(places)


@pytest.mark.parametrize("overrides", CHANGES_NOTHING, ids=str)
def test_what_changes_no_result_changes_no_key(keys_of, overrides):
    assert keys_of(overrides) == keys_of()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"train/lr": 0.1}, {"train/noise_scale": 0.0625}),  # 0.1 / (16 (1 - 0.9))
        (
            {"train/schedule": "cosine", "train/budget_epochs": 4},
            {"train/schedule": "cosine", "train/budget_steps": 24},
        ),
        ({"train/lr": 1}, {"train/lr": 1.0}),
        ({**ADAMW, "train/momentum": 0.9}, {**ADAMW, "train/momentum": 0.5}),
        ({"model": "mlp"}, {"model": {"name": "mlp", "norm": "batch"}}),
    ],
    ids=str,
)
def test_spelling_does_not_matter(keys_of, one, other):
    assert keys_of(one) == keys_of(other)


def test_betas_belong_to_adamw(keys_of):
    assert keys_of(ADAMW) != keys_of({**ADAMW, "train/betas": [0.8, 0.999]})


def test_the_number_of_trials_does_not_enter(tmp_path):
    content = {**PLAIN, "name": "example", "space": {"train/momentum": {"low": 0.1, "high": 0.9}}}
    few, many = (
        Recipe.model_validate(
            {**content, "search": {"sampler": "random", "trials": trials}, "retention": keep}
        )
        for trials, keep in [(2, "records"), (50, "all")]
    )
    configs = [recipe.trial({"train/momentum": 0.5}) for recipe in (few, many)]
    assert len({keys(lineage(config, fresh_store(tmp_path))) for config in configs}) == 1


def test_every_setting_was_thought_of():
    """A new field of these configs must be added to one of the lists above."""
    listed = {path for overrides in TRUNK_CHANGES + BRANCH_CHANGES + CHANGES_NOTHING for path in overrides}
    train = {f"train/{name}" for name in TrainConfig.model_fields}
    # decay_steps spells decay_epochs, which is the end; overrides do not run yet.
    branch = {f"branch/{name}" for name in BranchConfig.model_fields} - {
        "branch/decay_steps",
        "branch/overrides",
    }
    assert train | branch <= listed


GOLDEN = {
    "plain": (
        {},
        "841c352e77bf3f48e2207cf416d5c78244889b1037835ea0d5af2789d610e9fa",
        "f484c938fb51f8ef89eeb2d740f5d9225dbcf400dc460e4a53f339ec867c9396",
    ),
    "adamw": (
        ADAMW,
        "346874de9cf45d92b865199bca3fa9ce3e7076ac397318c6b8f9a2356be691e5",
        "3f0ff10e711d555f7e6903235061939b37a8aa4860c3f4f8d8b6f8a3e8ac24a4",
    ),
    "wsd": (
        WSD,
        "2ff277c5c814699d2993c16771ae6f7226987c5a620b3be8a045f8ea6b1a5234",
        "23530696f6be5869868d68307ada83efca8f98aa2c5f25fb2c2898877e9a9a4f",
    ),
    "bf16 resnet": (
        {"model": "resnet8", "train/precision": "bf16", "train/warmup_epochs": 1},
        "9c44c3a867eaf76ad52b348e84929a94a54448c32184c2ffd75436af14e76817",
        "cf8f695a2b9bccf5f2626a6e6624b7f65faaa015212b567557b5a8c849a26d96",
    ),
    "branch": (
        {"branch/decay": "cosine", "branch/optimizer_state": "fresh", "seed": 3},
        "f1a7c22bdf0d7f525bb79644c5eadfdc87ced684e3278bb6104c71e1c97ab1f2",
        "d89c6a8a938d5572ffd9e2a5941100dd2123b917936918663de53222caf4cc02",
    ),
}


def golden_task() -> Task:
    inputs = torch.arange(120 * 16, dtype=torch.uint8).view(120, 1, 4, 4)
    split = inputs, torch.arange(120) % 10
    return Task(classes=10, train=split, test=split)


@pytest.mark.parametrize(("overrides", "trunk", "branch"), GOLDEN.values(), ids=GOLDEN)
def test_golden_keys_never_change(overrides, trunk, branch, tmp_path):
    """Stores that people have filled are found again: change these only with a version in `sweeper.identity`."""
    part = Lineage(tiny(overrides), golden_task(), fresh_store(tmp_path))
    assert keys(part) == (trunk, branch)


TASK = """
import torch
from sweeper.data import Task

def build(images=96, shift=0.0):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(images, 1, 4, 4, generator=generator) + shift
    split = inputs, torch.arange(images) % 2
    return Task(classes=2, train=split, validation=split, test=split)
"""
MODEL = """
from torch import nn

def build(task, width=4):
    return nn.Sequential(nn.Flatten(), nn.Linear(16, width), nn.ReLU(), nn.Linear(width, task.classes))
"""


def test_a_changed_line_of_the_users_code_trains_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    files = {name: tmp_path / f"{name}.py" for name in ("my_task_of_tests", "my_model_of_tests")}
    for path, text in zip(files.values(), (TASK, MODEL), strict=True):
        path.write_text(text)
    settings = {"task": "my_task_of_tests:build", "model": "my_model_of_tests:build"}
    store = fresh_store(tmp_path)

    def trained() -> float:
        part = lineage(tiny(settings), store)
        part.endpoint(6, 0)
        return epochs_of(part)

    assert trained() == 2
    assert trained() == 0
    for path in files.values():
        path.write_text(path.read_text() + "# the same, but who knows\n")
        assert trained() == 2, path.stem
    assert trained() == 0
    settings["model"] = {"name": "my_model_of_tests:build", "settings": {"width": 5}}
    assert trained() == 2


def epochs_of(part: Lineage) -> float:
    return sum(part.take_trained().values())


def test_labels_say_what_is_not_default():
    config = tiny()
    assert label(config.model) == "mlp(widths=[8])"
    assert label(config.task) == "digits(train_size=96, validation_size=100)"
    assert label(tiny({"model": "mlp"}).model) == "mlp"
