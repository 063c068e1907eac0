"""Gains by each setting that varies: Figures 2 to 4, 10, 11, 14 to 16."""

from analysis.figures import style
from analysis.figures.boxes import MOST_POINTS, gain_boxes_info, plot_boxes
from analysis.sections.base import Content, Drawing, View
from analysis.table import SETTINGS, varying


def boxes(view: View) -> Content:
    """Return box plots of the gains of pairs, one figure per setting."""
    if not view.merges:
        return Content()
    rows = view.selection.rows(view.broad)
    points = "boxes alone, as there are many pairs" if len(rows) > MOST_POINTS else "one point per pair"
    return Content(
        "",
        tuple(
            Drawing(
                f"boxes-{setting}",
                plot_boxes(gain_boxes_info(rows, setting, view.selection)),
                f"{view.what} gain by {style.LABELS[setting]}: {points}, collapsed pairs counted as lost. Zoom out for "
                "gains below the axis.",
            )
            for setting in varying(rows, SETTINGS) or ["lr"]
        ),
    )
