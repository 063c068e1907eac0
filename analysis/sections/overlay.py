"""Several runs on one page: their curves on one noise axis, and a table of their peaks."""

from collections.abc import Sequence

import pandas as pd

from analysis.figures.overlay import overlay_info, plot_overlay
from analysis.figures.style import UNITS, describe
from analysis.page.fragments import interval, table_html
from analysis.sections.base import Content, Drawing, View


def overlay(views: Sequence[View]) -> Content:
    """Return the runs' curves, a figure for each metric that is some run's objective, and their S*."""
    names = {id(view): _name(view) for view in views}
    drawings = []
    for metric in dict.fromkeys(view.selection.metric for view in views):
        curves = [
            (names[id(view)], view.verdict.curve, view.verdict.point)
            for view in views
            if view.selection.metric == metric and view.merges and view.verdict.curve is not None
        ]
        caption = (
            f"Gain in {metric} against the noise scale, one colour and shape per run, each on its own objective: marks "
            "are trials, curves the posterior with its 95% band, and S* is dashed in its shaded interval."
        )
        if curves:
            drawings.append(Drawing(f"runs-{metric}", plot_overlay(overlay_info(metric, curves)), caption))
    table = table_html(pd.DataFrame([_row(names[id(view)], view) for view in views]), "S* of each run")
    return Content(table, tuple(drawings))


def _name(view: View) -> str:
    return ", ".join(filter(None, [view.run.info.run, describe(view.context)]))


def _row(name: str, view: View) -> dict[str, str | float]:
    selection, point = view.selection, view.verdict.point
    row: dict[str, str | float] = {
        "run": name,
        "recipe": view.run.info.recipe["name"],
        "objective": f"{selection.split} {selection.metric}, batch norm {selection.batchnorm}",
        "trials": len(view.run.trials),
    }
    if point is None:
        return row | {
            "S*": float("nan"),
            "95% interval": view.verdict.reason,
            "finding": "–",
            "gain there": "–",
        }
    return row | {
        "S*": point.noise_scale,
        "95% interval": interval(point.low, point.high),
        "finding": point.finding,
        "gain there": f"{point.gain:+.3g} {UNITS.get(selection.metric, '')}",
    }
