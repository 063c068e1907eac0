"""More of the made-up sweep: merges along α, of checkpoint means, and measurements with known answers."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from planted import STEPS, Sweep, outcome, suggestion, sweep_stages, write_head, write_part

from analysis.records import COLUMNS, Measurement, MergeRecord, Stage

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
SWA_SHARE = 0.4
"""Of the gain that merges of checkpoint means have."""
XS, YS = np.linspace(-2.0, 12.0, 15).tolist(), np.linspace(-2.0, 10.0, 13).tolist()
ANCHORS = [(0.0, 0.0), (4.0, 8.0), (10.0, 0.0)]
"""θ₀, θ_A and θ_B, all of them on the grid."""


def along(alpha: float, noise_scale: float) -> float:
    """What a merge loses away from α = .5, in nats: more at large noise."""
    return 2.0 * noise_scale * (alpha - 0.5) ** 2


def cka(noise_scale: float) -> float:
    return 0.95 - 0.1 * np.log10(noise_scale / 1e-4)


def eigenvalue(lr: float, index: int) -> float:
    return 100.0 * lr**0.5 / (index + 1)


def plane_value(x: float, y: float, metric: str) -> float:
    """A basin with its bottom between θ_A and θ_B."""
    loss = 0.1 + 0.01 * ((x - 7.0) ** 2 + (y - 4.0) ** 2)
    return loss if metric == "loss" else 100.0 * np.exp(-loss)


def more_records(record: MergeRecord) -> Iterator[MergeRecord]:
    """The linear merge at α = .5, along α, task arithmetic and TIES along α, and linear merges of checkpoint means."""
    yield record

    def changed(gain: float | None, **fields: Any) -> MergeRecord:
        sign = 1 if record.metric == "accuracy" else -1
        merged = None if gain is None else record.f_mean + sign * gain
        return record.model_copy(update={"gain": gain, "f_merged": merged, **fields})

    for alpha, (merge, settings) in itertools.product(
        ALPHAS, [("linear", "{}"), ("task_arithmetic", "{}"), ("ties", '{"density": 0.2}')]
    ):
        if (merge, alpha) != ("linear", 0.5):
            gain = None if record.gain is None else record.gain - along(alpha, record.noise_scale)
            yield changed(gain, merge=merge, merge_settings=settings, alpha=alpha)
    gain = None if record.gain is None else SWA_SHARE * record.gain
    yield changed(gain, merge_settings='{"swa": 5}')


def measurements(record: MergeRecord) -> Iterator[Measurement]:
    """CKA, eigenvalues of both endpoints, and the plane of the pair of `record`."""
    pair = f"{record.key_a}+{record.key_b}"

    def number(subject: str, name: str, value: float, index: int = 0, **settings: Any) -> Measurement:
        return Measurement(
            run=record.run, trial=record.trial, branch_step=record.branch_step, subject=subject, name=name, index=index,
            value=value, settings=json.dumps(settings, sort_keys=True),
        )  # fmt: skip

    yield number(pair, "cka", cka(record.noise_scale))
    yield number(pair, "cka_debiased", cka(record.noise_scale) - 0.02)
    for (key, factor), index in itertools.product(((record.key_a, 0.9), (record.key_b, 1.1)), range(8)):
        yield number(key, "hessian_eigenvalue", factor * eigenvalue(record.lr, index), index)
    for index, (y, x) in enumerate(itertools.product(YS, XS)):
        weights = [1.0 - y / 8 - (x - y / 2) / 10, y / 8, (x - y / 2) / 10]
        for split, metric in itertools.product(("validation", "test"), ("loss", "accuracy")):
            place = {
                "eval_task": "digits",
                "split": split,
                "metric": metric,
                "weights": weights,
                "x": x,
                "y": y,
            }
            yield number(f"s+{pair}", "plane", plane_value(x, y, metric), index, **place)


def measured_stages(sweep: Sweep) -> Iterator[Stage]:
    for stage in sweep_stages(sweep):
        records = tuple(more for record in stage.records for more in more_records(record))
        # Of planes one branch point is enough.
        found = tuple(
            each
            for each in measurements(stage.records[0])
            if each.name != "plane" or stage.branch_step == max(STEPS.values())
        )
        alive = stage.records[0].status != "diverged"
        yield stage.model_copy(update={"records": records, "measurements": found if alive else ()})


def measured_tables(sweep: Sweep) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records and measurements of the sweep."""
    stages = list(measured_stages(sweep))
    rows = [record.model_dump(by_alias=True) for stage in stages for record in stage.records]
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"f_merged": float, "gain": float, "f_mean": float})
    numbers = [found.model_dump() for stage in stages for found in stage.measurements]
    return table, pd.DataFrame(numbers, columns=list(Measurement.model_fields))


def write_measured_run(run: Path, sweep: Sweep) -> Path:
    """Write a finished run whose recipe asks for all of this."""
    also = ["cka", "curvature", "plane"]
    write_head(run)
    head = json.loads((run / "run.json").read_text())
    head["recipe"]["measures"]["also"] = also
    (run / "run.json").write_text(json.dumps(head))
    trials: dict[str, str] = {}
    for stage in measured_stages(sweep):
        write_part(run, stage.trial, 1, f"stage-{stage.branch_step}", stage)
        trials.setdefault(stage.trial, stage.records[0].status)
    for number, (trial, status) in enumerate(trials.items()):
        write_part(run, trial, 1, "suggested", suggestion(trial, number=number))
        write_part(run, trial, 1, "outcome", outcome(trial, number=number, status=status))
    return run
