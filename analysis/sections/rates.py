"""Which learning rates merge with which: Figures 8, 23 and 24."""

from analysis.figures.rates import plot_rates, rates_info
from analysis.sections.base import Content, Drawing, View


def rates(view: View) -> Content:
    """Return heat maps over the learning rates of both endpoints, if pairs of different ones were merged."""
    return Content(
        "",
        tuple(
            Drawing(
                f"rates-{number}",
                plot_rates(found, view.selection.metric),
                f"{view.what} gain of merging endpoints of two learning rates by {found.merge}, mean over branch "
                "points; blue gains, red loses, and colours end where a merge fails by far. Pairs count in both "
                "orders. The slider changes α, and begins at that of the largest mean gain.",
            )
            for number, found in enumerate(rates_info(view.every_merge))
        ),
    )
