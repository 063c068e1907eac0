"""A run's ledger as an Optuna study: its trials, our figures, and the verdict in words.

The study is made anew from each look at the run, and lives in memory.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import optuna
import pandas as pd
import plotly.graph_objects as go
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from optuna_dashboard import save_note, save_plotly_graph_object

from analysis.figures.noise import noise_info, plot_noise
from analysis.figures.posterior import plot_posterior, posterior_info
from analysis.reading import RunPath, read_records, read_run_info, read_trials
from analysis.table import Selection
from analysis.verdict import Verdict, judge, objective_selection, of_objective
from search_spaces.recipe import Recipe, parse_recipe
from sweeper.dashboard.note import note
from sweeper.dashboard.parameters import coordinates, parameters

STATES = {"running": TrialState.RUNNING, "failed": TrialState.FAIL}
"""Status → state; any other is COMPLETE: a trial that diverged has been told the floor."""

INK = "#767676"
"""Legible on white and on black: optuna-dashboard doesn't tell figures which of the two its page is."""


@dataclass(frozen=True, eq=False)
class Look:
    """What one look at a run saw."""

    run: str
    recipe: Recipe
    trials: pd.DataFrame
    """As `analysis.reading.read_trials` returns them."""
    records: pd.DataFrame
    """Of the trials' own tasks, as the search saw them."""

    @classmethod
    def at(cls, path: RunPath) -> "Look":
        """Read the run at `path`.

        Raises:
            RunError: if it holds no run, or a damaged one.
        """
        info = read_run_info(path)
        # A trial's records are written before its outcome: read later, they are complete where it is there.
        trials, records = read_trials(path), read_records(path)
        own = records[(records["eval_task"] == records["task"]) & of_objective(records, info.recipe)]
        return cls(info.run, parse_recipe(info.recipe), trials, own)

    def same_as(self, other: "Look | None") -> bool:
        """Return whether nothing has happened between this look and the other."""
        return (
            other is not None and self.trials.equals(other.trials) and len(self.records) == len(other.records)
        )


def mirror(look: Look) -> InMemoryStorage:
    """Return a storage with one study, number 0, named as the run: its trials, figures and note.

    Trials are in order of suggestion. Running ones are RUNNING, failed ones FAIL, all others COMPLETE with the
    objective that the search was told. Gains of branch points are intermediate values; `status`, `epochs`, and
    what the gain curve says of the trial (`noise_scale`, `gain`, `sem`) are user attributes.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name=look.run, direction="maximize")
    search = look.recipe.search
    study.set_user_attr("objective", f"{search.objective}, {search.split} {search.metric}")
    selection = objective_selection(look.recipe.model_dump(mode="json"))
    found = judge(look.records, selection, search.min_accuracy)
    study.add_trials(_trials(look, found, selection))
    for name, figure in _figures(found).items():
        save_plotly_graph_object(study, figure, graph_object_id=name)
    save_note(study, note(found, look.trials["status"]))
    return storage


def _figures(found: Verdict) -> dict[str, go.Figure]:
    """Return the figures that the records suffice for."""
    figures = {}
    if found.curve is not None:
        figures["collapse"] = plot_noise(noise_info(found.curve, found.point, found.selection))
    if found.point is not None:
        figures["posterior"] = plot_posterior(posterior_info(found.point))
    return {name: go.Figure(figure).update_layout(font_color=INK) for name, figure in figures.items()}


def _trials(look: Look, found: Verdict, selection: Selection) -> list[FrozenTrial]:
    axes = parameters(look.recipe.space)
    gains, attributes = _branch_gains(look.records, selection), _attributes(found)
    return [
        _trial(row, axes, gains.get(row["trial"], {}), attributes.get(row["trial"], {}))
        for row in look.trials.to_dict("records")
    ]


def _trial(
    row: Mapping[Any, Any],
    axes: Mapping[str, BaseDistribution],
    gains: dict[int, float],
    attributes: dict[str, float],
) -> FrozenTrial:
    params = coordinates(json.loads(row["overrides"]), axes)
    state = STATES.get(row["status"], TrialState.COMPLETE)
    numbers = {"epochs": row["epochs_trained"], **attributes}
    ended = row["time"] if state.is_finished() else None
    began = row["time"] - (row["wall_seconds"] if state.is_finished() else 0.0)
    return FrozenTrial(
        number=0, trial_id=0,  # given by the study
        state=state,
        value=row["objective"] if state == TrialState.COMPLETE else None,
        datetime_start=datetime.fromtimestamp(began),
        datetime_complete=None if ended is None else datetime.fromtimestamp(ended),
        params=params,
        distributions={path: axes[path] for path in params},
        user_attrs={
            "trial": row["trial"],
            "status": row["status"],
            **{name: value for name, value in numbers.items() if math.isfinite(value)},
            **({"error": row["error"]} if row["error"] else {}),
        },
        system_attrs={},
        intermediate_values=gains,
    )  # fmt: skip


def _attributes(found: Verdict) -> dict[str, dict[str, float]]:
    """Return trial → its numbers on the gain curve."""
    curve = found.curve
    if curve is None:
        return {}
    names = ("noise_scale", "gain", "sem")
    columns = zip(*(getattr(curve, name).tolist() for name in names), strict=True)
    return {
        trial: dict(zip(names, values, strict=True))
        for trial, values in zip(curve.trial, columns, strict=True)
    }


def _branch_gains(records: pd.DataFrame, selection: Selection) -> dict[str, dict[int, float]]:
    """Return trial → branch step → mean gain of the pairs that have one."""
    try:
        rows = selection.rows(records)
    except ValueError:  # There is nothing to show yet.
        return {}
    means = rows.groupby(["trial", "branch_step"], as_index=False)["gain"].mean().dropna()
    gains: dict[str, dict[int, float]] = {}
    for trial, step, gain in zip(means["trial"], means["branch_step"], means["gain"], strict=True):
        gains.setdefault(trial, {})[int(step)] = float(gain)
    return gains
