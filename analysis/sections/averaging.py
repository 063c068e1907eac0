"""Does averaging along each branch replace merging across them? Figure 35."""

from analysis.figures.averaging import averaging_info, plot_averaging
from analysis.sections.base import Content, Drawing, View


def averaging(view: View) -> Content:
    """Return gains of merges with SWA and without, if both were made."""
    info = averaging_info(view.every_merge, view.selection)
    if info is None:
        return Content()
    caption = (
        f"{view.what}: merges of means of each branch's last checkpoints (SWA), and of the endpoints themselves. "
        "Left, the gain over the mean of the networks that were merged, averaged ones for SWA; right, the merged "
        "network. Means over branch points with 95% intervals. SWA leaves merging less to gain, but the merged "
        "networks can be as good."
    )
    return Content("", (Drawing("averaging", plot_averaging(info), caption),))
