"""Time of a step of all branches of a branch point: one by one, at once, and as the planner chooses by itself."""

from collections.abc import Mapping
from functools import partial
from statistics import median

import torch

from benchmarks.timing import cpu_seconds, interleaved, spread, table
from search_spaces import TrialConfig, load_recipe
from search_spaces.base import arguments
from search_spaces.paths import apply_overrides
from sweeper.models import build_model
from sweeper.training import Course, state_of
from sweeper.training.replicas import TRAINERS, faster
from sweeper.trial import load_task

MLP = {"model": {"name": "mlp", "widths": [64, 64, 64]}}
SMALL = {**MLP, "train/batch_size": 16}
CASES: dict[str, Mapping[str, object]] = {
    **{f"digits, MLP, B=16, {count} branches": {**SMALL, "branch/count": count} for count in (2, 4, 8, 16)},
    "digits, MLP, B=128, 8 branches": {**MLP, "train/batch_size": 128, "branch/count": 8},
    "digits, ResNet-8 of width 4, B=16, 2 branches": {
        "model": {"name": "resnet8", "width": 4},
        "train/batch_size": 16,
        "branch/count": 2,
    },
}
STEPS = 40


def main(rounds: int) -> str:
    """Return, per case, both arms' times, the planner's choice, and how fast that is beside the better arm."""
    torch.set_num_threads(1)
    rows = []
    for name, changes in CASES.items():
        config = config_of(changes)
        choice = faster(config, load_task(config.task)).replicas
        times = interleaved({arm: partial(step_seconds, config, arm) for arm in TRAINERS}, rounds)
        best = min(median(values) for values in times.values())
        micros = [spread([1e6 * value for value in values], 0) for values in times.values()]
        rows.append([name, *micros, choice, f"{best / median(times[choice]):.2f}"])
    header = ["CPU µs per step of all branches", *TRAINERS, "choice", "its speed, best arm 1; bar ≥ .95"]
    return table(header, rows)


def config_of(changes: Mapping[str, object]) -> TrialConfig:
    """Return the demo's trial with these changes."""
    base = load_recipe("digits", "cpu").base.model_dump(mode="json")
    return TrialConfig.model_validate(apply_overrides(base, changes))


def step_seconds(config: TrialConfig, arm: str) -> float:
    """Return the processor time of one step of all branches."""
    task = load_task(config.task)
    network = build_model(config.model.name, arguments(config.model), task, 0)
    courses = [
        Course(state_of(network), seed, lambda step: 1e-3, config.train)
        for seed in range(config.branch.count)
    ]
    trainer = TRAINERS[arm](network, task)  # type: ignore[index]
    return cpu_seconds(lambda: trainer.train(courses, 0, STEPS)) / STEPS
