"""How much the coefficient of a merge matters: Figures 7(b), 17 and 18."""

from analysis.figures.paths import path_info, plot_paths
from analysis.sections.base import Content, Drawing, View


def paths(view: View) -> Content:
    """Return the gain along α, if merges were made at several."""
    info = path_info(view.every_merge, view.selection.metric)
    if info is None:
        return Content()
    caption = (
        f"{view.what} gain by the merge's coefficient α, mean over branch points with its 95% interval. Linear merges "
        "lead from one endpoint, at 0, to the other, at 1; task arithmetic and TIES from the branch point, at 0, along "
        "the task vectors. A flat curve is robust. Zoom out for gains below the axis."
    )
    return Content("", (Drawing("paths", plot_paths(info), caption),))
