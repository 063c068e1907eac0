"""Gain on the axis of the reader's choice, divided into facets."""

from analysis.figures.axes import axes_info, plot_axes
from analysis.figures.marks import GATHERED, MOST_MARKS
from analysis.figures.style import LABELS
from analysis.page.fragments import switch
from analysis.sections.base import Content, Drawing, View


def axes(view: View) -> Content:
    """Return the explorer: its axis and facets are switches of the page."""
    if not view.merges:
        return Content()
    info = axes_info(view.broad, view.selection, view.collapse)
    gathered = (
        f" {GATHERED}" if sum(part["trials"].sum() for part in info.marks.values()) > MOST_MARKS else ""
    )
    caption = (
        f"{view.what} gain on the axis, and in the facets, chosen above; every weight decay and augmentation is shown. "
        f"Curves of all batch sizes meet on an axis along which the sweep collapses.{gathered}"
    )
    axis = switch("axis", "Axis", list(info.axes.items()), "noise_scale")
    facets = [("", "none"), *((name, LABELS[name]) for name in info.facets)]
    switches = f'<div class="local">{axis}{switch("facet", "Facets", facets, "")}</div>'
    return Content(switches, (Drawing("axes", plot_axes(info), caption),))
