"""Where each batch size peaks on its own: the drift that a failing collapse shows."""

from collections.abc import Mapping

from analysis.critical_point import CriticalPoint, Location
from analysis.figures import style
from analysis.figures.noise import peak_shapes


def plot_peaks(peaks: Mapping[int, Location], point: CriticalPoint) -> style.Spec:
    """Return S* of each batch size with its 95% interval, and that of all together as a line in its band."""
    styles = style.style_by(peaks)
    data = [
        {
            "type": "scatter",
            "x": [peak.noise_scale],
            "y": [size],
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [peak.high - peak.noise_scale],
                "arrayminus": [peak.noise_scale - peak.low],
                "color": styles[size][0],
            },
            "mode": "markers",
            "marker": {"color": styles[size][0], "symbol": styles[size][1], "size": 10},
            "showlegend": False,
            "hovertemplate": style.hover(
                B=f"{size}", peak="%{x:.3g}", interval=f"{peak.low:.3g} to {peak.high:.3g}"
            ),
        }
        for size, peak in peaks.items()
    ]
    sizes = list(peaks)
    scale = style.titled(style.LABELS["noise_scale"], type="log")
    names = [f"{size}" for size in sizes]
    batch = style.titled(style.LABELS["batch_size"], type="log", tickvals=sizes, ticktext=names)
    return style.panels(data, [scale], [batch], height=260, shapes=peak_shapes(point, "x", "y"))
