"""One self-contained HTML file about one run, or several: `analysis.sections` says what, `analysis.page` how.

A report never fails on what a run holds: what cannot be said is said to be missing, and why.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import page
from analysis.collapse import measured_noise
from analysis.figures import style
from analysis.page.fragments import switch, timestamp
from analysis.reading import RunPath, read_records, read_run_info, read_trials
from analysis.recommend import with_collapse
from analysis.sections import COMPARISONS, SECTIONS
from analysis.sections.base import Content, Run, View
from analysis.table import SETTINGS, Selection, experiments, trial_gains
from analysis.verdict import judge_all, objective_selection, of_objective

SWITCHES = {"metric": "Metric", "split": "Split", "batchnorm": "Batch norm"}
"""Field of `Selection` that the page can change → its label."""
MOST_RECORDS = 50_000
"""Of more, the page's download has one row per trial."""

Experiment = dict[Selection, View]
"""The views of one experiment: first the objective's."""


def write_report(run_path: RunPath | Sequence[RunPath], out_path: str | Path) -> Path:
    """Write the report of the run at `run_path`, or of several, to the HTML file `out_path`; return its path.

    Raises:
        RunError: if a path holds no run, or a damaged one.
    """
    runs = read_runs(run_path)
    views = [list(run_experiments(run)) for run in runs]
    contents = [dict(_run_contents(experiments)) for experiments in views]
    compared = _compared(views)
    options = [
        (f"{number}-{index}", _name(runs, experiment))
        for number, experiments in enumerate(views)
        for index, experiment in enumerate(experiments)
    ]
    records, about = _download(runs)
    payload = {
        "config": style.CONFIG,
        "file": "-".join(run.info.run for run in runs),
        "switches": list(SWITCHES),
        "compared": {anchor: content.to_json() for anchor, _, content in compared},
        "runs": contents,
    }
    first = _first_contents(contents[0])
    html = page.assemble(
        payload,
        records,
        [
            *((anchor, title, content.html) for anchor, title, content in compared),
            *((section.anchor, section.title, first[section.anchor]["html"]) for section in SECTIONS),
        ],
        title=escape(" · ".join(dict.fromkeys(_title(run) for run in runs))),
        kicker=escape(f"Merge-gain report · {', '.join(_source(run) for run in runs)}"),
        lead=escape(" ".join(_lead(run, len(runs) > 1) for run in runs)),
        controls=_controls(runs, options),
        download=escape(about),
    )
    out = Path(out_path)
    out.write_text(html, encoding="utf-8")
    return out


def read_runs(run_path: RunPath | Sequence[RunPath]) -> list[Run]:
    """Return one run, or several, as sections read them.

    Raises:
        RunError: if a path holds no run, or a damaged one.
    """
    paths = [run_path] if isinstance(run_path, str | PathLike) else list(run_path)
    runs = []
    for path in paths:
        info = read_run_info(path)
        objective = objective_selection(info.recipe)
        runs.append(Run(path, info, _categorised(read_records(path)), read_trials(path), objective))
    return runs


def _categorised(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` with its texts as categories: of a million rows they are selected ten times as fast."""
    texts = table.select_dtypes(exclude="number").columns
    return table.astype(dict.fromkeys(texts, "category"))


def run_experiments(run: Run) -> Iterator[Experiment]:
    """Yield the experiments of `run`, each under every choice of the switches.

    An experiment is what can be drawn as one curve: the records of the objective's merge that agree in the context.
    """
    table, objective = run.records, run.objective
    same_alpha = table["alpha"].isna() if objective.alpha is None else table["alpha"] == objective.alpha
    merged = table[(table["merge"] == objective.merge) & same_alpha]
    selections = [
        replace(objective, metric=metric, split=split, batchnorm=batchnorm)
        for metric, split, batchnorm in itertools.product(*(_choices(run, name) for name in SWITCHES))
    ]
    # The page opens with the recipe's own merge, and the plain one of several, not with a variant that was added.
    apart = sorted(
        experiments(merged),
        key=lambda found: (
            not of_objective(found[1], run.info.recipe).any(),
            len(found[0].get("merge_settings", "")),
        ),
    )
    for context, rows in apart:
        broad = merged
        for column, value in context.items():
            if column not in SETTINGS:
                broad = broad[broad[column] == value]
        found = judge_all(rows, selections, run.info.recipe["search"].get("min_accuracy"))
        measured = measured_noise(run.info.recipe, lambda: run.measurements)
        found[objective] = with_collapse(found[objective], rows, measured)
        aligned = found[objective].collapse
        yield {
            selection: View(run, context, rows, broad, verdict, aligned)
            for selection, verdict in found.items()
        }


def _choices(run: Run, name: str) -> list[str]:
    """Return the measured values of a field of `Selection`, the objective's first; training data is no choice."""
    first = getattr(run.objective, name)
    return [first, *sorted(set(run.records[name].unique()) - {first, "train"})]


def _run_contents(experiments: Sequence[Experiment]) -> Iterator[tuple[str, Any]]:
    """Yield what the page shows of a run: of itself, of its experiments, and of their views."""
    main = next(iter(experiments[0].values()))
    yield "sections", _contents(main, "run")
    yield (
        "experiments",
        [
            {
                "sections": _contents(next(iter(views.values())), "experiment"),
                "views": {_key(selection): _contents(view, "view") for selection, view in views.items()},
            }
            for views in experiments
        ],
    )


def _contents(view: View, per: str) -> dict[str, Any]:
    return {section.anchor: section.content(view).to_json() for section in SECTIONS if section.per == per}


def _first_contents(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return anchor → content of what the page shows before its script runs."""
    experiment = run["experiments"][0]
    return {**run["sections"], **experiment["sections"], **next(iter(experiment["views"].values()))}


def _compared(views: Sequence[Sequence[Experiment]]) -> list[tuple[str, str, Content]]:
    """Return anchor, title and content of the sections about several runs; none if there is one."""
    if len(views) < 2:
        return []
    main = [next(iter(experiments[0].values())) for experiments in views]
    return [(section.anchor, section.title, section.content(main)) for section in COMPARISONS]


def _key(selection: Selection) -> str:
    return "|".join(getattr(selection, name) for name in SWITCHES)


def _controls(runs: Sequence[Run], options: Sequence[tuple[str, str]]) -> str:
    first = runs[0].objective
    switches = [switch("experiment", "Run" if len(runs) > 1 else "Experiment", options, options[0][0])]
    for name, label in SWITCHES.items():
        choices = dict.fromkeys(choice for run in runs for choice in _choices(run, name))
        switches.append(switch(name, label, [(v, v) for v in choices], getattr(first, name)))
    return "".join(switches)


def _name(runs: Sequence[Run], experiment: Experiment) -> str:
    view = next(iter(experiment.values()))
    parts = [view.run.info.run] if len(runs) > 1 else []
    return ", ".join([*parts, *filter(None, [style.describe(view.context)])]) or "all"


def _title(run: Run) -> str:
    return str(run.info.recipe["title"] or run.info.recipe["name"])


def _source(run: Run) -> str:
    return f"recipe {run.info.recipe['name']} · run {run.info.run}"


def _lead(run: Run, several: bool) -> str:
    running = int((run.trials["status"] == "running").sum())
    name = f"{run.info.run}: started" if several else "Started"
    state = f"unfinished, {running} trials have not ended" if running else f"{len(run.trials)} trials ended"
    return f"{name} {timestamp(run.info.time)}; {state}; {len(run.records):,} records."


def _download(runs: Sequence[Run]) -> tuple[str, str]:
    """Return the records as JSON of columns, and what to say of them."""
    count = sum(len(run.records) for run in runs)
    if count <= MOST_RECORDS:
        table, about = (
            pd.concat([run.records for run in runs], ignore_index=True),
            "The download holds all records.",
        )
    else:
        table = pd.concat([_trial_rows(run) for run in runs], ignore_index=True)
        about = (
            f"With {count:,} records this page shows aggregates: marks and boxes stand for many trials where their "
            "captions say so, and the download holds one row per trial, its gain on the objective. For all records "
            f"run: sweeper export {' or '.join(run.info.run for run in runs)} --format parquet -o records.parquet"
        )
    columns = {
        name: column.astype(object).where(column.notna(), None).tolist() for name, column in table.items()
    }
    return json.dumps(columns, separators=(",", ":"), allow_nan=False), about


def _trial_rows(run: Run) -> pd.DataFrame:
    costs = run.trials[["trial", "number", "epochs_trained", "wall_seconds", "cpu_seconds"]]
    return trial_gains(run.objective.rows(run.records)).merge(costs, on="trial", how="left")
