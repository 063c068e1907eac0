"""Figure 31: slices of the loss landscape through a branch point and two of its endpoints."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.figures import style
from analysis.table import Floats, Selection

ANCHORS = {"θ<sub>0</sub>": [1, 0, 0], "θ<sub>A</sub>": [0, 1, 0], "θ<sub>B</sub>": [0, 0, 1]}
"""Name of each network → its weights."""
MOST_PLANES = 3
LEVELS = 16
"""Contours from the best to the worst that is told apart."""


@dataclass(frozen=True)
class Plane:
    """One slice: the metric on a grid, and where the three networks lie on it."""

    trial: str
    noise_scale: float
    branch_epoch: float
    x: Floats
    """Distance along θ_B − θ₀, shape (columns,)."""
    y: Floats
    """Distance at a right angle to it, towards θ_A, shape (rows,)."""
    values: Floats
    """Shape (rows, columns), in percent or nats."""
    anchors: dict[str, tuple[float, float, float]]
    """Name of a network → x, y and value."""


def plane_info(
    measurements: pd.DataFrame, rows: pd.DataFrame, selection: Selection, peak: float
) -> list[Plane]:
    """Return slices of the trials of least and most noise, and of that nearest to `peak` in between.

    Each is of the first pair of the trial's last branch point.

    Args:
        measurements: as from `read_measurements`.
        rows: records of the trials to choose from.
        selection: of metric and split; batch norm is always recalibrated.
        peak: a noise scale.
    """
    measured = measurements[measurements["name"] == "plane"]
    alive = rows[rows["trial"].isin(set(measured["trial"]))]
    scales = alive.groupby("trial", observed=True)["noise_scale"].first().sort_values()
    if scales.empty:
        return []
    nearest = np.abs(np.log(scales / peak)).idxmin()
    chosen = list(dict.fromkeys([scales.index[0], nearest, scales.index[-1]]))
    if len(chosen) < min(MOST_PLANES, len(scales)):
        # The peak is at an end: the middle of the others shows the way there.
        chosen.append(scales.index[len(scales) // 2])
    task = str(rows["eval_task"].iloc[0])
    return [
        plane
        for trial in [trial for trial in scales.index if trial in chosen]
        for plane in _planes(measured[measured["trial"] == trial], rows, selection, task)
    ]


def _planes(measured: pd.DataFrame, rows: pd.DataFrame, selection: Selection, task: str) -> Iterator[Plane]:
    """Yield the slice of the first pair at the last branch point of one trial, if it was measured as selected."""
    last = measured[measured["branch_step"] == measured["branch_step"].max()]
    last = last[last["subject"] == min(last["subject"])]
    settings = pd.DataFrame(list(map(json.loads, last["settings"]))).assign(value=last["value"].to_numpy())
    wanted = {"eval_task": task, "split": selection.split, "metric": selection.metric}
    for name, value in wanted.items():
        settings = settings[settings[name] == value]
    if settings.empty:
        return
    grid = settings.pivot(index="y", columns="x", values="value")
    anchors = {
        name: (float(row["x"]), float(row["y"]), float(row["value"]))
        for name, weights in ANCHORS.items()
        for _, row in settings[[found == weights for found in settings["weights"]]].iterrows()
    }
    trial, step = last["trial"].iloc[0], last["branch_step"].iloc[0]
    record = rows[(rows["trial"] == trial) & (rows["branch_step"] == step)].iloc[0]
    yield Plane(
        str(trial),
        float(record["noise_scale"]),
        float(record["branch_epoch"]),
        grid.columns.to_numpy(np.float64),
        grid.index.to_numpy(np.float64),
        grid.to_numpy(np.float64),
        anchors,
    )


def colour_range(planes: list[Plane], metric: str) -> tuple[float, float]:
    """Return the least and the largest value told apart.

    Far from the networks the loss rises without bound: colours end half as far beyond the worst of the three as that is
    from the best point.
    """
    values = np.concatenate([plane.values.ravel() for plane in planes])
    ends = [value for plane in planes for _, _, value in plane.anchors.values()]
    if metric == "loss":
        low, worst = float(np.nanmin(values)), float(np.nanmax(ends))
        return low, worst + 0.5 * (worst - low)
    high, worst = float(np.nanmax(values)), float(np.nanmin(ends))
    return max(0.0, worst - 0.5 * (high - worst)), high


def plot_planes(planes: list[Plane], metric: str) -> style.Spec:
    """Return a panel of contours per slice, on one colour scale and with equal distances, the networks on it."""
    low, high = colour_range(planes, metric)
    data = []
    for panel, plane in enumerate(planes):
        names = list(plane.anchors)
        x, y, values = zip(*plane.anchors.values(), strict=True)
        contour = {
            "type": "contour", "x": plane.x, "y": plane.y, "z": plane.values.tolist(), "coloraxis": "coloraxis",
            "contours": {"start": low, "end": high, "size": (high - low) / LEVELS or 1.0},
            "line": {"width": 0.5, "color": "rgba(255,255,255,0.5)"},
            "hovertemplate": style.hover(x="%{x:.3g}", y="%{y:.3g}", **{metric: "%{z:.4g}"}),
        }  # fmt: skip
        marker = {
            "size": 9,
            "color": "#ffffff",
            "symbol": "circle",
            "line": {"width": 1.5, "color": "#000000"},
        }
        points = {
            "type": "scatter", "x": list(x), "y": list(y), "mode": "markers+text", "text": names, "marker": marker,
            "textposition": ["bottom center", "top center", "bottom center"][: len(names)], "showlegend": False,
            "textfont": {"color": "#ffffff", "shadow": "0 0 3px #000, 0 0 3px #000"}, "customdata": list(values),
            "hovertemplate": style.hover(network="%{text}", **{metric: "%{customdata:.4g}"}),
        }  # fmt: skip
        data += [contour | style.on(panel), points | style.on(panel)]
    bar = {"title": {"text": style.UNITS.get(metric, "")}, "thickness": 12, "tickformat": ".3g"}
    coloraxis = {
        "cmin": low,
        "cmax": high,
        "colorscale": "Cividis",
        "reversescale": metric == "loss",
        "colorbar": bar,
    }
    along, across = (
        style.titled("distance along θ<sub>B</sub> − θ<sub>0</sub>"),
        style.titled("distance towards θ<sub>A</sub>"),
    )
    heights = [
        (across if panel == 0 else {})
        | {"scaleanchor": f"x{panel + 1}" if panel else "x", "constrain": "domain"}
        for panel in range(len(planes))
    ]
    titles = [f"S = {style.number(plane.noise_scale)}, epoch {plane.branch_epoch:g}" for plane in planes]
    x_axes = [along | {"constrain": "domain"} for _ in planes]
    return style.panels(data, x_axes, heights, height=360, gap=0.08, titles=titles, coloraxis=coloraxis)
