"""How sharp the minima are: Figure 30."""

from analysis.figures.curvature import curvature_info, plot_curvature
from analysis.figures.style import LABELS
from analysis.sections.base import Content, Drawing, View


def curvature(view: View) -> Content:
    """Return the largest Hessian eigenvalues by setting, if they were measured."""
    if not view.run.asks("curvature"):
        return Content()
    info = curvature_info(view.run.measurements, view.broad)
    if info is None:
        return Content()
    caption = (
        f"The largest eigenvalues of the Hessian of the training loss at the endpoints, by {LABELS[info.setting]}:"
        " mean over branch points with its 95% interval. Larger is sharper. A mean that isn't positive puts them "
        "on a linear axis."
    )
    return Content("", (Drawing("curvature", plot_curvature(info), caption),))
