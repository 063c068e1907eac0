"""One self-contained HTML file about one run: verdict, figures, tables, provenance.

A report never fails on what a run holds: what cannot be said is said to be missing, and why.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis import page
from analysis.figures import style
from analysis.figures.accuracy import plot_single, single_info
from analysis.figures.boxes import gain_boxes_info, plot_boxes, training_loss_info
from analysis.figures.health import health_info, plot_health
from analysis.figures.noise import noise_info, plot_noise
from analysis.reading import RunPath, read_records, read_run_info, read_trials
from analysis.records import RunInfo
from analysis.table import SETTINGS, Selection, experiments, trial_gains, varying
from analysis.verdict import Verdict, judge_all, objective_selection

SWITCHES = {"metric": "Metric", "split": "Split", "batchnorm": "Batch norm"}
"""Field of `Selection` that the page can change → its label."""
MOST_ROWS = 1000
"""Trials in the page's table; the download holds all."""


def write_report(run_path: RunPath, out_path: str | Path) -> Path:
    """Write the report of the run at `run_path` to the HTML file `out_path`; return its path.

    Raises:
        RunError: if `run_path` holds no run, or a damaged one.
    """
    info = read_run_info(run_path)
    table, trials = read_records(run_path), read_trials(run_path)
    objective = objective_selection(info.recipe)
    payload = _payload(table, trials, objective)
    first = payload["experiments"][0]
    html = page.assemble(
        payload,
        table.to_csv(index=False),
        title=escape(info.recipe["title"] or info.recipe["name"]),
        kicker=escape(f"Merge-gain report · recipe {info.recipe['name']} · run {info.run}"),
        lead=escape(_lead(info, trials)),
        controls=_controls(table, objective),
        verdict=first["views"][_key(objective)]["verdict"],
        health=first["views"][_key(objective)]["health_text"],
        trials=_trials(table, trials, objective),
        methods=page.paragraphs(_methods(table, objective)),
        provenance=page.provenance_html(info),
    )
    out = Path(out_path)
    out.write_text(html, encoding="utf-8")
    return out


def _payload(table: pd.DataFrame, trials: pd.DataFrame, objective: Selection) -> dict[str, Any]:
    """Return what the page's script draws: experiments, and their views under each choice of the switches."""
    selections = list(_selections(table, objective))
    return {
        "config": style.CONFIG,
        "csv_name": "records.csv",
        "switches": [[name, getattr(objective, name)] for name in SWITCHES],
        "experiments": [
            {
                "training": _training(broad, objective),
                "views": {
                    _key(selection): _view(rows, broad, trials, found)
                    for selection, found in judge_all(rows, selections).items()
                },
            }
            for _, rows, broad in _experiments(table, objective)
        ],
    }


def _key(selection: Selection) -> str:
    return "|".join(getattr(selection, name) for name in SWITCHES)


def _controls(table: pd.DataFrame, objective: Selection) -> str:
    contexts = [style.describe(context) for context, _, _ in _experiments(table, objective)]
    options = [(str(index), text) for index, text in enumerate(contexts)]
    return page.switch("experiment", "Experiment", options, "0") + "".join(
        page.switch(name, label, [(v, v) for v in _choices(table, objective, name)], getattr(objective, name))
        for name, label in SWITCHES.items()
    )


def _experiments(
    table: pd.DataFrame, objective: Selection
) -> Iterator[tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]]:
    """Yield (what sets the experiment apart, its rows, its rows with all weight decays and augmentations).

    A curve against S needs one weight decay; boxes by weight decay need all.
    """
    same_alpha = table["alpha"].isna() if objective.alpha is None else table["alpha"] == objective.alpha
    merged = table[(table["merge"] == objective.merge) & same_alpha]
    for context, rows in experiments(merged):
        broad = merged
        for column, value in context.items():
            if column not in SETTINGS:
                broad = broad[broad[column] == value]
        yield context, rows, broad


def _selections(table: pd.DataFrame, objective: Selection) -> Iterator[Selection]:
    """Yield the objective's selection under every choice of the switches."""
    choices = (_choices(table, objective, name) for name in SWITCHES)
    for metric, split, batchnorm in itertools.product(*choices):
        yield replace(objective, metric=metric, split=split, batchnorm=batchnorm)


def _choices(table: pd.DataFrame, objective: Selection, name: str) -> list[str]:
    """Return the measured values of a field of `Selection`, the objective's first; training data is no choice."""
    first = getattr(objective, name)
    return [first, *sorted(set(table[name]) - {first, "train"})]


def _view(rows: pd.DataFrame, broad: pd.DataFrame, trials: pd.DataFrame, found: Verdict) -> dict[str, Any]:
    """Return texts and figures of one experiment under one selection."""
    health = health_info(found.curve, trials)
    view: dict[str, Any] = {
        "verdict": page.verdict_html(found) + page.paragraphs([_cost(trials)]),
        "health_text": _health_text(found, health.counts, trials),
        **{name: [] for name in ("noise", "health", "boxes", "single")},
    }
    if found.curve is not None and len(found.curve):
        caption = "Trials by noise scale and what became of them; trials without a record yet have no place."
        view["noise"] = [_noise(found)]
        view["health"] = [_figure(plot_health(health), caption)]
    if found.curve is not None and (found.curve.status == "ok").any():
        view["boxes"] = _boxes(broad, found.selection)
        view["single"] = [_single(rows, found.selection)]
    return view


def _figure(figure: go.Figure, caption: str, linked: bool = False) -> dict[str, Any]:
    alt = f"Interactive chart. {caption}"
    return {**figure.to_dict(), "caption": caption, "alt": alt, "linked": linked}


def _noise(found: Verdict) -> dict[str, Any]:
    assert found.curve is not None
    what = f"{found.selection.split.capitalize()} {found.selection.metric}"
    caption = (
        f"{what} gain of the merged network over the mean of its endpoints; one mark per trial, bars are one "
        "standard error over branch points. Open marks: at chance. At the bottom, crosses have diverged and other "
        "marks lie lower. "
    )
    if found.point is None:
        caption += f"No curve is drawn: {found.reason}."
    else:
        caption += (
            f"Right: posterior curve with its 95% band; S* = {style.number(found.point.noise_scale)}, dashed, and "
            f"its 95% interval, {style.number(found.point.low)} to {style.number(found.point.high)}, shaded."
        )
    return _figure(plot_noise(noise_info(found.curve, found.point, found.selection)), caption, linked=True)


def _boxes(broad: pd.DataFrame, selection: Selection) -> list[dict[str, Any]]:
    rows = selection.rows(broad)
    settings = varying(rows, SETTINGS) or ["lr"]
    return [
        _figure(
            plot_boxes(gain_boxes_info(broad, setting, selection)),
            f"{selection.split.capitalize()} {selection.metric} gain by {style.LABELS[setting]}: one point per pair, "
            "collapsed pairs counted as lost. Zoom out for gains below the axis.",
        )
        for setting in settings
    ]


def _single(rows: pd.DataFrame, selection: Selection) -> dict[str, Any]:
    return _figure(
        plot_single(single_info(rows, selection)),
        f"{selection.split.capitalize()} {selection.metric} gain against the mean of the two endpoints, one mark per "
        "pair: colour is the noise scale, shape the batch size, and later branch points are more opaque. "
        "Zoom out for gains below the axis.",
    )


def _training(broad: pd.DataFrame, objective: Selection) -> list[dict[str, Any]]:
    rows = broad[(broad["split"] == "train") & (broad["metric"] == "loss")]
    settings = varying(rows, SETTINGS)[:1] or ["lr"]
    try:
        info = training_loss_info(broad, settings[0], objective.batchnorm)
    except ValueError:
        return []
    positive = all((box.values > 0).all() for boxes in info.facets.values() for box in boxes)
    caption = "Training loss of the decayed endpoints. Well converged means near zero; one point per pair."
    return [_figure(plot_boxes(info, log_y=positive), caption)]


def _cost(trials: pd.DataFrame) -> str:
    ended = trials[trials["status"] != "running"]
    return (
        f"Cost so far: {len(trials)} trials suggested, {len(ended)} ended; {ended['epochs_trained'].sum():,.0f} epochs "
        f"trained; {page.duration(ended['cpu_seconds'].sum())} of processor time, "
        f"{page.duration(ended['wall_seconds'].sum())} of trials' wall time."
    )


def _health_text(found: Verdict, counts: Mapping[str, int], trials: pd.DataFrame) -> str:
    warnings = list(found.warnings)
    if running := int((trials["status"] == "running").sum()):
        warnings.insert(
            0, f"The run is not finished: {running} of {len(trials)} suggested trials have not ended."
        )
    if failed := int((trials["status"] == "failed").sum()):
        warnings.append(
            f"{failed} trials failed for reasons of infrastructure; the table of trials says why."
        )
    if found.point is None:
        warnings.append(f"No critical point: {found.reason}.")
    listed = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return page.paragraphs([f"Trials: {listed or 'none'}."]) + page.notices(warnings, "Nothing to warn of.")


def _lead(info: RunInfo, trials: pd.DataFrame) -> str:
    running = int((trials["status"] == "running").sum())
    state = f"unfinished, {running} trials have not ended" if running else f"{len(trials)} trials ended"
    return f"Started {page.timestamp(info.time)}; {state}."


def _trials(table: pd.DataFrame, trials: pd.DataFrame, objective: Selection) -> str:
    if trials.empty:
        return page.paragraphs(["No trial has been suggested yet."])
    try:
        gains = trial_gains(objective.rows(table))
    except ValueError:
        gains = trial_gains(table.iloc[:0])
    gains = gains[["trial", "noise_scale", *SETTINGS, "gain", "sem", "n", "collapsed"]]
    shown = trials[["number", "trial", "status", "epochs_trained", "wall_seconds", "host", "error"]]
    shown = shown.merge(gains, on="trial", how="left")[
        ["number", "status", "noise_scale", *SETTINGS, "gain", "sem", "n", "collapsed", "epochs_trained",
         "wall_seconds", "host", "error", "trial"]
    ]  # fmt: skip
    shown["augment"] = shown["augment"].fillna("")
    names = {
        "number": "#",
        "noise_scale": "noise scale",
        "n": "branch points",
        "epochs_trained": "epochs",
        "wall_seconds": "seconds",
    }
    text = (
        f"Gain is the {objective.split} {objective.metric} gain; collapsed is the share of a trial's pairs."
    )
    if len(shown) > MOST_ROWS:
        text += f" The first {MOST_ROWS} of {len(shown)} trials are listed."
    shown = shown.head(MOST_ROWS).rename(columns=names | {name: name.replace("_", " ") for name in SETTINGS})
    return page.paragraphs([text]) + page.table_html(shown, "Trials")


def _methods(table: pd.DataFrame, objective: Selection) -> Iterator[str]:
    def held(column: str) -> str:
        return ", ".join(
            style.number(v) if isinstance(v, float) else f"{v}" for v in sorted(table[column].unique())
        )

    if len(table):
        yield (
            f"Data and networks: {held('task')}; {held('model')}; optimizer {held('optimizer')}; augmentation "
            f"{held('augment')}; branch points at epochs {held('branch_epoch')}. Merges: {held('merge')}; the figures "
            f"show {objective.merge}{'' if objective.alpha is None else f' at α = {objective.alpha:g}'}."
        )
    yield (
        "Gain is f(merged) − mean(f(A), f(B)), in percentage points for accuracy; for loss the sign is turned, so "
        "that larger is better. Networks are selected on the split named above; the others are reported beside it. "
        "Batch norm: recalibrated means that running statistics are computed anew over training data, for endpoints "
        "and merged networks alike; averaged, that the endpoints' statistics are averaged."
    )
    yield (
        "The noise scale is S = lr / (B (1 − μ)). A trial is one observation: the mean over its branch points. Its "
        "standard error comes from their spread, steadied by the typical spread of all trials. A pair that collapsed "
        "(diverged, or endpoints no better than chance) counts as no gain in a trial that survives elsewhere; trials "
        "that collapsed throughout only bound the curve from above."
    )
    yield (
        "S* and its interval come from a posterior over flexible humps with cliffs, fitted to all batch sizes at "
        "once; a plain Gaussian process stands beside it as a check. A hump is claimed when it is more than 90% "
        "probable that gain falls off on both sides of the peak by more than the noise."
    )
