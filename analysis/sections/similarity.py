"""Are the networks that merge well alike? Figure 9, right."""

from analysis.figures.similarity import plot_similarity, similarity_info
from analysis.page.fragments import interval, paragraphs
from analysis.sections.base import Content, Drawing, View


def similarity(view: View) -> Content:
    """Return gain against CKA of the endpoints, if it was measured."""
    if not (view.merges and view.run.asks("cka")):
        return Content()
    info = similarity_info(view.run.measurements, view.rows, view.selection)
    if info is None:
        return Content()
    found = info.correlation
    text = (
        "Too few trials, or values, for a correlation of CKA and gain."
        if found is None
        else f"Spearman's rank correlation of CKA and gain: {found.value:.2f} (95% interval "
        f"{interval(found.low, found.high)}, {found.n} trials)."
    )
    caption = (
        f"{view.what} gain against the linear CKA of the penultimate activations of the two endpoints, one mark "
        "per trial, means over branch points with bars of one standard error. Open marks are at chance."
    )
    return Content(paragraphs([text]), (Drawing("similarity", plot_similarity(info), caption),))
