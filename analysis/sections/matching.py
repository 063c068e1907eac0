"""Do noise scales that make branches merge make strangers merge? Figure 26."""

from analysis.figures.matching import matching_info, plot_matching
from analysis.page.fragments import interval, paragraphs
from analysis.sections.base import Content, Drawing, View


def matching(view: View) -> Content:
    """Return gains of branched pairs against gains of matched independent ones, if the run holds both."""
    info = matching_info(view.every_merge, view.run.trials, view.selection)
    if info is None:
        return Content()
    found = info.correlation
    text = (
        "Too few settings for a correlation of the two gains."
        if found is None
        else f"Spearman's rank correlation of the two gains: {found.value:.2f} (95% interval "
        f"{interval(found.low, found.high)}, {found.n} settings)."
    )
    caption = (
        f"{view.what} gain of pairs that share a trunk, and of independent networks after matching their units, at the "
        "same setting: means over branch points with 95% intervals. Zoom out for gains below the axes."
    )
    return Content(paragraphs([text]), (Drawing("matching", plot_matching(info), caption),))
