"""The trials as a table whose columns sort."""

from analysis.page.fragments import paragraphs, table_html
from analysis.sections.base import Content, View
from analysis.table import SETTINGS, trial_gains
from analysis.verdict import of_objective

MOST_ROWS = 1000
NAMES = {
    "number": "#",
    "noise_scale": "noise scale",
    "n": "branch points",
    "epochs_trained": "epochs",
    "wall_seconds": "seconds",
    **{name: name.replace("_", " ") for name in SETTINGS},
}


def trials(view: View) -> Content:
    """Return every trial's settings, gain on the objective, cost, and error."""
    run = view.run
    if run.trials.empty:
        return Content(paragraphs(["No trial has been suggested yet."]))
    try:
        own = run.records[of_objective(run.records, run.info.recipe)]
        selected = run.objective.rows(own)
    except ValueError:
        selected = run.records.iloc[:0]
    gains = trial_gains(selected)[["trial", "noise_scale", *SETTINGS, "gain", "sem", "n", "collapsed"]]
    ended = run.trials[["number", "trial", "status", "epochs_trained", "wall_seconds", "host", "error"]]
    columns = [
        "number",
        "status",
        "noise_scale",
        *SETTINGS,
        "gain",
        "sem",
        "n",
        "collapsed",
        "epochs_trained",
    ]
    shown = ended.merge(gains, on="trial", how="left")[[*columns, "wall_seconds", "host", "error", "trial"]]
    shown["augment"] = shown["augment"].astype(object).fillna("")
    text = f"Gain is the {run.objective.split} {run.objective.metric} gain; collapsed is the share of a trial's pairs."
    if len(shown) > MOST_ROWS:
        text += f" The first {MOST_ROWS} of {len(shown)} trials are listed; the download holds all."
    return Content(paragraphs([text]) + table_html(shown.head(MOST_ROWS).rename(columns=NAMES), "Trials"))
