"""From records to curves: one observation per trial, and never a mixture of different experiments.

How a trial's pairs become one observation. The pairs of one branch point share endpoints, so they are averaged
first; the trial's gain is the mean over its branch points, and its standard error comes from their spread.
A pair has *collapsed* when its status is not ok. Where all have, the trial says only that nothing merges there:
it is `at_chance` if some collapsed pair still has a gain, else `diverged` and without a gain. Where some have,
leaving them out would favour noise scales at which every second network dies, and dropping the trial would hide
the survivors: a collapsed pair counts as a gain of 0 (there is nothing to gain from merging it), or as the
survivors' mean where that is below 0, so that collapse never improves a trial.

A trial that has only the first of its run's branch points, because it was ended early or still runs, is not compared
with trials that have them all: its gain is what these foretell of all (`analysis.search.fidelity`), its standard error
that of the prediction. With fewer than 8 trials to learn this from, its gain is the mean of what it has.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.search.fidelity import Trend

CONTEXT = [
    "task",
    "model",
    "optimizer",
    "weight_decay",
    "augment",
    "n_endpoints",
    "merge_settings",
    "eval_task",
]
"""What S does not account for: gains that differ in one of these do not belong on one curve."""
WITHIN_MERGE = ["n_endpoints", "merge_settings"]
"""Those of them that belong to a merge, not to what was trained."""
SETTINGS = ["lr", "batch_size", "momentum", "weight_decay", "augment"]
"""What a sweep may vary and figures put on an axis."""
PRIOR_FREEDOM = 4
"""Degrees of freedom that the typical spread over branch points lends to each trial's own."""

Floats = NDArray[np.float64]
Strings = NDArray[np.object_]


@dataclass(frozen=True)
class Selection:
    """Which merge, evaluated how: what turns a table of records into one number per pair."""

    metric: str = "loss"
    split: str = "validation"
    merge: str = "linear"
    alpha: float | None = 0.5
    batchnorm: str = "recalibrated"

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the selected rows.

        Raises:
            ValueError: if there are none; it lists what the table holds.
        """
        if table.empty:
            raise ValueError("there are no records yet")
        for column in ("metric", "split", "merge", "batchnorm", "alpha"):
            wanted = getattr(self, column)
            held = table[column]
            match = (
                held.isna()
                if wanted is None
                else np.isclose(held, wanted)
                if column == "alpha"
                else held == wanted
            )
            if not match.any():
                known = ", ".join(f"{value}" for value in sorted(held.dropna().unique())) or "nothing"
                raise ValueError(f"no records with {column} {wanted}; there the table holds {known}")
            table = table[match]
        return table


@dataclass(frozen=True)
class GainCurve:
    """One observation per trial, ordered by noise scale; all arrays have shape (trials,).

    `gain` and `sem` are in the metric's unit: percent or nats; both are NaN where `status` is diverged.
    """

    noise_scale: Floats
    gain: Floats
    sem: Floats
    trial: Strings
    status: Strings
    """ok, diverged, at_chance; or low, where the single models are less accurate than was asked for."""
    lr: Floats
    batch_size: NDArray[np.int64]
    momentum: Floats
    n: NDArray[np.int64]
    """Branch points measured."""
    collapsed: Floats
    """Share of the pairs whose status is not ok, in [0, 1]."""

    def __len__(self) -> int:
        return len(self.noise_scale)

    def where(self, mask: NDArray[np.bool_]) -> "GainCurve":
        """Return the trials at which `mask` is true."""
        return GainCurve(**{field.name: getattr(self, field.name)[mask] for field in fields(self)})


def gain_curve(
    table: pd.DataFrame,
    metric: str = "loss",
    split: str = "validation",
    merge: str = "linear",
    alpha: float | None = 0.5,
    batchnorm: str = "recalibrated",
    min_accuracy: float | None = None,
) -> GainCurve:
    """Return gain against noise scale, one observation per trial.

    Trials may differ in lr, batch size, momentum, seed and branch points; failed ones are left out. The
    standard error of a trial with m branch points of variance v is √(ṽ/m), ṽ = ((m − 1) v + 4 v₀) / (m + 3):
    three branch points say little about their variance, so the median v₀ over trials steadies it. It is NaN
    if no trial has two branch points. Trials whose single models reach less than `min_accuracy` percent on average
    have the status low.

    Raises:
        ValueError: if nothing is selected, or what is selected mixes experiments that S cannot compare.
    """
    selection = Selection(metric, split, merge, alpha, batchnorm)
    rows = selection.rows(table)
    check_unmixed(rows)
    trials = trial_gains(rows)
    if min_accuracy is not None:
        singles = replace(selection, metric="accuracy").rows(table)
        accuracy = singles["f_mean"].groupby(trial_names(singles)).mean().reindex(trials["trial"])
        poor = ~(accuracy.to_numpy(float) >= min_accuracy)
        trials.loc[poor & (trials["status"] == "ok"), "status"] = "low"
    return GainCurve(
        **{
            name: trials[name].to_numpy()
            for name in ("noise_scale", "gain", "sem", "lr", "momentum", "collapsed")
        },
        **{name: trials[name].to_numpy(np.int64) for name in ("batch_size", "n")},
        **{name: trials[name].to_numpy(object) for name in ("trial", "status")},
    )


def check_unmixed(rows: pd.DataFrame) -> None:
    """Pass if `rows` agree in all columns of `CONTEXT`.

    Raises:
        ValueError: naming the first column that varies, its values, and how to select one.
    """
    for column in varying(rows, CONTEXT):
        values = sorted(rows[column].unique())
        raise ValueError(
            f"the selection mixes {column} {', '.join(map(str, values))}; "
            f"choose one, as in table[table.{column} == {values[0]!r}]"
        )


def varying(rows: pd.DataFrame, columns: list[str]) -> list[str]:
    """Return those of `columns` in which `rows` differ."""
    return [column for column in columns if rows[column].nunique() > 1]


def experiments(table: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Split `table` into experiments that can be drawn as one curve: yield (what sets it apart, its rows).

    `merge_settings` and `n_endpoints` belong to a merge; they set experiments apart only within one.
    """
    columns = varying(table, [column for column in CONTEXT if column not in WITHIN_MERGE])
    columns += [
        column
        for column in WITHIN_MERGE
        if any(varying(rows, [column]) for _, rows in table.groupby("merge"))
    ]
    if not columns:
        yield {}, table
        return
    for values, rows in table.groupby(columns):
        yield dict(zip(columns, values, strict=True)), rows


def trial_gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per trial: its settings, noise_scale, gain, sem, status, n and collapsed.

    The rules are those of the module's docstring; `rows` are selected, one per pair.
    """
    rows = rows[rows["status"] != "failed"]
    alive = rows["gain"].where(rows["status"] == "ok")
    survivors = alive.groupby([rows["run"], rows["trial"]]).transform("mean")
    rows = rows.assign(
        value=alive.fillna(survivors.clip(upper=0.0)),
        chance=rows["gain"].where(rows["status"] == "at_chance"),
        collapsed=rows["status"] != "ok",
    )
    settings = {name: (name, "first") for name in ["noise_scale", *SETTINGS]}
    means = {name: (name, "mean") for name in ("value", "chance", "collapsed")}
    points = rows.groupby(["run", "trial", "branch_step"], sort=False).agg(**settings, **means).reset_index()
    trials = (
        points.groupby(["run", "trial"], sort=False)
        .agg(**settings, **means, variance=("value", "var"), n=("value", "size"))
        .reset_index()
        .rename(columns={"value": "gain"})
    )
    lost = trials["gain"].isna()
    trials["status"] = np.where(~lost, "ok", np.where(trials["chance"].notna(), "at_chance", "diverged"))
    trials["gain"] = trials["gain"].fillna(trials["chance"])
    freedom = trials["n"] - 1
    typical = trials.loc[~lost, "variance"].median()
    variance = (freedom * trials["variance"].fillna(0.0) + PRIOR_FREEDOM * typical) / (
        freedom + PRIOR_FREEDOM
    )
    trials["sem"] = ((variance / trials["n"]) ** 0.5).where(trials["gain"].notna())
    for _, run in trials.groupby("run"):
        if run["n"].nunique() > 1:
            _complete(trials, run, points)
    trials["trial"] = trial_names(trials)
    return trials.drop(columns=["chance", "variance"]).sort_values(
        ["noise_scale", "trial"], ignore_index=True
    )


def trial_names(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return each row's trial, with the run before it if `rows` are of several."""
    return rows["run"] + "/" + rows["trial"] if rows["run"].nunique() > 1 else rows["trial"]


def _complete(trials: pd.DataFrame, run: pd.DataFrame, points: pd.DataFrame) -> None:
    """Set in `trials` gain and sem of those of one run that have only the first of its branch points."""
    own = points[points["run"] == run["run"].iloc[0]].sort_values("branch_step")
    own = own.assign(place=own.groupby("trial").cumcount())
    values = own.pivot(index="trial", columns="place", values="value").reindex(run["trial"])
    # Branch points lie at the multiples of the first, which is a number of epochs or of steps.
    step = own.groupby("trial")["branch_step"].first().reindex(run["trial"]).to_numpy()
    images = step * run["batch_size"].to_numpy()
    ok, n = (run["status"] == "ok").to_numpy(), run["n"].to_numpy()
    whole = n == n.max()
    alike = np.isclose(step, np.median(step[whole])) | np.isclose(images, np.median(images[whole]), rtol=0.05)
    x, full = np.log10(run["noise_scale"].to_numpy()[whole]), np.where(ok, run["gain"], np.nan)[whole]
    for count in np.unique(n[~whole]):
        early = values[range(count)].mean(axis=1).to_numpy()
        trend = Trend.fit(x, np.where(ok, early, np.nan)[whole], full)
        chosen = ok & alike & (n == count)
        if trend is not None and chosen.any():
            gain, sem = trend.predict(early[chosen])
            trials.loc[run.index[chosen], "gain"] = gain
            trials.loc[run.index[chosen], "sem"] = sem
