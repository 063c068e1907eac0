"""Figures 2–4, 10, 11, 14–16: one box per value of a setting, over branch points, pairs and trials."""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.figures import style
from analysis.table import Floats, Selection, Strings, experiments

MOST_BOXES = 14
"""More distinct values than this, as a random search gives, are gathered into bins of equal log width."""
MOST_POINTS = 3000
"""Of more numbers only the boxes are drawn."""


@dataclass(frozen=True)
class Box:
    """The numbers at one value, or in one bin, of the setting."""

    label: str
    values: Floats
    trials: Strings
    """Whose they are."""
    collapsed: int
    """Pairs without status ok, which have no place in the box."""

    @property
    def median(self) -> float:
        """Median of `values`; NaN if everything collapsed."""
        return float(np.median(self.values)) if len(self.values) else float("nan")


@dataclass(frozen=True)
class BoxInfo:
    """Boxes of one quantity against one setting, by facet."""

    setting: str
    quantity: str
    """Axis title."""
    facets: dict[str, tuple[Box, ...]]
    """What sets an experiment apart ("" for a single one) → its boxes, in the order of the setting."""


def gain_boxes_info(table: pd.DataFrame, setting: str, selection: Selection) -> BoxInfo:
    """Return the gains of pairs of status ok, by value of `setting`.

    Raises:
        ValueError: if nothing is selected.
    """
    rows = selection.rows(table).assign(number=lambda rows: rows["gain"].where(rows["status"] == "ok"))
    return _boxes(rows, setting, style.gain_label(selection.metric))


def training_loss_info(table: pd.DataFrame, setting: str, batchnorm: str = "recalibrated") -> BoxInfo:
    """Return the training loss (nats) of the decayed endpoints by value of `setting`: the check of Figure 14.

    The mean over a pair's two endpoints stands for both.

    Raises:
        ValueError: if the sweep did not measure the loss on the training split.
    """
    train = table[
        (table["metric"] == "loss") & (table["split"] == "train") & (table["batchnorm"] == batchnorm)
    ]
    if train.empty:
        raise ValueError("the training loss was not measured; add train to measures/splits")
    # Every merge of a pair repeats the losses of its endpoints.
    rows = train.drop_duplicates(["run", "trial", "branch_step", "key_a", "key_b", "eval_task"])
    rows = rows.assign(number=rows["f_mean"].where(rows["status"] != "diverged"))
    return _boxes(rows, setting, "training loss of endpoints (nats)")


def _boxes(rows: pd.DataFrame, setting: str, quantity: str) -> BoxInfo:
    rows = rows[rows["status"] != "failed"]
    labels = _labels(rows[setting])
    facets: dict[str, list[pd.DataFrame]] = {}
    for context, part in experiments(rows):
        # The setting itself never makes a facet.
        context.pop(setting, None)
        facets.setdefault(style.describe(context), []).append(part)
    return BoxInfo(
        setting, quantity, {name: _facet(pd.concat(parts), labels) for name, parts in facets.items()}
    )


def _labels(values: pd.Series) -> pd.Series:
    """Return each row's box as an ordered categorical: the value, or its bin if there are too many values."""
    distinct = np.sort(np.asarray(values.unique()))
    if len(distinct) <= MOST_BOXES or values.dtype.kind not in "if":
        names = [style.number(value) if values.dtype.kind in "if" else f"{value}" for value in distinct]
        return values.map(dict(zip(distinct, names, strict=True))).astype(
            pd.CategoricalDtype(names, ordered=True)
        )
    edges = np.geomspace(distinct[0], distinct[-1], MOST_BOXES // 2 + 1)
    edges[[0, -1]] = distinct[0], distinct[-1]
    names = [f"{style.number(a, 2)}<br>– {style.number(b, 2)}" for a, b in itertools.pairwise(edges)]
    return pd.cut(values, list(edges), labels=names, include_lowest=True)


def _facet(rows: pd.DataFrame, labels: pd.Series) -> tuple[Box, ...]:
    by_label = rows.groupby(labels.loc[rows.index], observed=True)
    return tuple(
        Box(
            str(label),
            (held := part.dropna(subset="number"))["number"].to_numpy(np.float64),
            held["trial"].to_numpy(object),
            int((part["status"] != "ok").sum()),
        )
        for label, part in by_label
    )


def plot_boxes(info: BoxInfo, log_y: bool = False) -> style.Spec:
    """Return one panel per facet, one box per value; beneath each box how many pairs collapsed ("lost").

    Whiskers reach the furthest number within 1.5 interquartile ranges of the box. Numbers are drawn beside it up
    to `MOST_POINTS` of them. A linear axis starts no lower than `style.gain_range`; zooming out shows the rest.
    """
    boxes_of = list(info.facets.values())
    values = np.concatenate([box.values for boxes in boxes_of for box in boxes] or [np.array([])])
    data, axes = [], []
    for panel, boxes in enumerate(boxes_of):
        styles = style.style_by(range(len(boxes)))
        for place, box in enumerate(boxes):
            if len(box.values):
                data.append(_box_trace(box, place, styles[place][0]) | style.on(panel))
            if len(box.values) and len(values) <= MOST_POINTS:
                data.append(_point_trace(box, place, styles[place]) | style.on(panel))
        # Places by number: a category in which everything collapsed would vanish.
        axes.append(
            style.titled(
                style.LABELS[info.setting],
                range=[-0.5, len(boxes) - 0.5],
                tickvals=list(range(len(boxes))),
                ticktext=[
                    f"{box.label}<br><i>{box.collapsed} lost</i>" if box.collapsed else box.label
                    for box in boxes
                ],
                tickangle=0,
                zeroline=False,
            )
        )
    y = {"type": "log", "nticks": 6} if log_y else {"range": list(style.gain_range(values))}
    return style.panels(
        data,
        axes,
        [style.titled(info.quantity, **y)],
        height=380,
        gap=0.03 / len(axes),
        titles=list(info.facets),
    )


def _box_trace(box: Box, place: int, colour: str) -> style.Spec:
    low, median, high = np.quantile(box.values, [0.25, 0.5, 0.75])
    reach = 1.5 * (high - low)
    within = box.values[(box.values >= low - reach) & (box.values <= high + reach)]
    summary = {
        "q1": low,
        "median": median,
        "q3": high,
        "lowerfence": within.min(),
        "upperfence": within.max(),
    }
    return {
        "type": "box",
        "x": [place],
        **{name: [float(value)] for name, value in summary.items()},
        "name": f"{box.label.replace('<br>', ' ')}, {len(box.values)} pairs",
        "width": 0.6,
        "marker": {"color": colour},
        "line": {"width": 1.5},
        "showlegend": False,
    }


def _point_trace(box: Box, place: int, look: tuple[str, str]) -> style.Spec:
    # Multiples of the golden ratio spread evenly, however many there are.
    spread = (np.arange(len(box.values)) * 0.618034) % 1.0 - 0.5
    return {
        "type": "scatter",
        "x": place + 0.45 * spread,
        "y": box.values,
        "mode": "markers",
        "marker": {"color": look[0], "symbol": look[1], "size": 4, "opacity": 0.5},
        "showlegend": False,
        "text": box.trials.tolist(),
        "hovertemplate": style.hover(trial="%{text}", value="%{y:.4g}"),
    }
