"""A made-up sweep over digits with a planted hump, written as a run directory by the schema's own classes."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.records import COLUMNS, MergeRecord, Outcome, RunInfo, Stage, Suggestion
from search_spaces import load_recipe
from search_spaces.noise import lr_for_noise_scale

PEAK, HEIGHT = 0.02, {"loss": 0.05, "accuracy": 1.2}
STEPS = {15: 150, 30: 300, 45: 450}


@dataclass(frozen=True)
class Sweep:
    """What the made-up sweep varies."""

    noise_scales: tuple[float, ...] = tuple(float(f"{s:.3g}") for s in np.geomspace(3e-4, 0.3, 13))
    batch_sizes: tuple[int, ...] = (16, 64, 128)
    models: tuple[str, ...] = ("mlp",)
    weight_decays: tuple[float, ...] = (5e-4,)
    diverges_above: float = 0.15
    at_chance_above: float = 0.09
    noise: float = 0.07
    """Standard deviation of a pair's gain, as a share of the peak's height."""


def true_gain(noise_scale: float, metric: str) -> float:
    """A hump that peaks at PEAK: the curve u e^{1-u}-like on the left, Gaussian in log S on the right."""
    decades = math.log10(noise_scale / PEAK)
    width = 1.0 if decades < 0 else 0.45
    return HEIGHT[metric] * (1.35 * math.exp(-0.5 * (decades / width) ** 2) - 0.35)


def trial_settings(sweep: Sweep) -> Iterator[dict[str, Any]]:
    number = 0
    for model in sweep.models:
        for weight_decay in sweep.weight_decays:
            for noise_scale in sweep.noise_scales:
                for batch_size in sweep.batch_sizes:
                    lr = lr_for_noise_scale(noise_scale, batch_size, 0.9)
                    yield {
                        "trial": f"{number:05d}",
                        "model": model,
                        "weight_decay": weight_decay,
                        "noise_scale": noise_scale,
                        "batch_size": batch_size,
                        "lr": lr,
                    }
                    number += 1


def stage_records(
    settings: dict[str, Any], epoch: int, sweep: Sweep, rng: np.random.Generator
) -> list[MergeRecord]:
    """One branch point: the rows of one pair over metrics, splits and batch-norm policies."""
    noise_scale = settings["noise_scale"]
    status = "ok"
    # The largest noise kills late branch points first, so that some trials collapse in part.
    if noise_scale > sweep.diverges_above or (noise_scale > sweep.at_chance_above and epoch == 45):
        status = "diverged"
    elif noise_scale > sweep.at_chance_above:
        status = "at_chance"
    drawn = rng.normal()
    rows = []
    for split in ("train", "validation", "test"):
        for batchnorm in ("recalibrated", "averaged"):
            for metric in ("accuracy", "loss"):
                gain = true_gain(noise_scale, metric) + sweep.noise * HEIGHT[metric] * (
                    drawn + 0.3 * rng.normal()
                )
                if status == "at_chance":
                    gain = 0.01 * rng.normal()
                single = {"accuracy": 94 - 20 * noise_scale + epoch / 45, "loss": 0.02 + 1.5 * noise_scale}[
                    metric
                ]
                sign = 1 if metric == "accuracy" else -1
                values = {
                    "f_merged": single + sign * gain,
                    "f_a": single - 0.01,
                    "f_b": single + 0.01,
                    "f_mean": single,
                    "gain": gain,
                }
                rows.append(
                    MergeRecord(
                        run="demo",
                        attempt=1,
                        recipe="digits",
                        task="digits",
                        optimizer="sgd",
                        momentum=0.9,
                        augment="shift",
                        seed=0,
                        branch_epoch=epoch,
                        branch_step=STEPS[epoch],
                        n_endpoints=2,
                        key_a=f"a{settings['trial']}{epoch}",
                        key_b=f"b{settings['trial']}{epoch}",
                        endpoints=json.dumps([{"branch": 0}, {"branch": 1}]),
                        merge="linear",
                        alpha=0.5,
                        merge_settings="{}",
                        batchnorm=batchnorm,
                        eval_task="digits",
                        split=split,
                        metric=metric,
                        status=status,
                        **(dict.fromkeys(values) if status == "diverged" else values),
                        **settings,
                    )
                )
    return rows


def sweep_stages(sweep: Sweep, seed: int = 0) -> Iterator[Stage]:
    rng = np.random.default_rng(seed)
    for settings in trial_settings(sweep):
        for epoch in STEPS:
            yield Stage(
                trial=settings["trial"],
                attempt=1,
                branch_step=STEPS[epoch],
                records=tuple(stage_records(settings, epoch, sweep, rng)),
                measurements=(),
                trained={f"k{settings['trial']}{epoch}": 31.0},
            )


def write_part(run: Path, trial: str, attempt: int, name: str, part: Any) -> Path:
    path = run / "parts" / trial / str(attempt) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(part.model_dump_json(by_alias=True))
    return path


def suggestion(trial: str, attempt: int = 1, number: int = 0) -> Suggestion:
    return Suggestion(
        trial=trial,
        attempt=attempt,
        number=number,
        overrides={"train/noise_scale": 0.01},
        config={},
        time=1e9,
    )


def outcome(trial: str, attempt: int = 1, number: int = 0, status: str = "ok") -> Outcome:
    return Outcome(
        trial=trial,
        attempt=attempt,
        number=number,
        status=status,
        objective=0.01,
        epochs_trained=93.0,
        wall_seconds=11.0,
        cpu_seconds=10.5,
        host="node",
        time=1e9 + 11.0 * (number + 1),
    )


def write_head(run: Path, **changes: Any) -> None:
    run.mkdir(parents=True)
    recipe = load_recipe("digits").model_dump(mode="json")
    info = RunInfo(
        run="demo",
        recipe={**recipe, **changes},
        versions={"torch": "2.14.1", "sweeper": "0.1.0"},
        hardware={"host": "node", "cores": 2},
        command="sweeper run digits --scale cpu",
        time=1e9,
    )
    (run / "run.json").write_text(info.model_dump_json())


def write_run(run: Path, sweep: Sweep = Sweep(), **changes: Any) -> Path:
    """Write a finished run of `sweep`; `changes` are fields of its recipe."""
    write_head(run, **changes)
    trials: dict[str, set[str]] = {}
    for stage in sweep_stages(sweep):
        write_part(run, stage.trial, 1, f"stage-{stage.branch_step}", stage)
        trials.setdefault(stage.trial, set()).update(record.status for record in stage.records)
    for number, (trial, statuses) in enumerate(trials.items()):
        status = "ok" if "ok" in statuses else "at_chance" if "at_chance" in statuses else "diverged"
        write_part(run, trial, 1, "suggested", suggestion(trial, number=number))
        write_part(run, trial, 1, "outcome", outcome(trial, number=number, status=status))
    return run


def table_of(sweep: Sweep, seed: int = 0) -> pd.DataFrame:
    rows = [
        record.model_dump(by_alias=True) for stage in sweep_stages(sweep, seed) for record in stage.records
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"f_merged": float, "gain": float, "f_mean": float})
