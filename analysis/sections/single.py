"""Gain against the accuracy or loss of the networks that were merged: Figures 2 (bottom) and 13."""

from analysis.figures.accuracy import plot_single, single_info
from analysis.sections.base import Content, Drawing, View


def single(view: View) -> Content:
    """Return the scatter of gain against the endpoints' own metric."""
    if not view.merges:
        return Content()
    info = single_info(view.rows, view.selection)
    mark = "pair"
    if info.pairs > len(info.gain):
        mark = (
            f"trial (means over its pairs; {len(info.gain)} trials are shown, of {info.pairs} pairs in all)"
        )
    caption = (
        f"{view.what} gain against the mean of the two endpoints, one mark per {mark}: colour is the noise scale, "
        "shape the batch size, and later branch points are more opaque. Zoom out for gains below the axis."
    )
    return Content("", (Drawing("single", plot_single(info), caption),))
