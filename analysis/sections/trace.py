"""The search as it went: what was known after each trial, and what that had cost."""

from analysis.figures.trace import plot_trace, trace_info
from analysis.sections.base import Content, Drawing, View


def trace(view: View) -> Content:
    """Return posterior, stopping mass and epochs against finished trials."""
    if not view.merges or view.verdict.curve is None:
        return Content()
    stop = view.run.info.recipe["search"]["stop"] or {}
    rule = {name: stop[name] for name in ("within",) if name in stop}
    info = trace_info(view.verdict.curve, view.run.trials, **rule, enough=stop.get("mass", 0.95))
    if info is None:
        return Content()
    caption = (
        "After growing numbers of finished trials, in the order in which they ended: median and 95% band of the "
        f"posterior of S*; its mass within a factor {info.within:g} of the median, with the mass at which an adaptive "
        "search stops dashed; and the epochs trained by then. A grid is not ordered by what it learns: its trace shows "
        "when it had seen enough."
    )
    return Content("", (Drawing("trace", plot_trace(info), caption),))
