"""Figure 35: merging means of each branch's last checkpoints (SWA), against merging the endpoints themselves."""

import json
from dataclasses import dataclass

import pandas as pd

from analysis.figures import style
from analysis.figures.means import binned, leading_setting, line, means, setting_axis
from analysis.table import Selection


@dataclass(frozen=True)
class AveragingInfo:
    """Gain and quality of merges by how many checkpoints each side averages."""

    metric: str
    setting: str
    gain: pd.DataFrame
    """Rows of `means` by `swa`, the number of checkpoints (0: the endpoint itself), and `at`, the setting's value."""
    merged: pd.DataFrame
    """The same of the merged network's metric."""


def averaging_info(rows: pd.DataFrame, selection: Selection) -> AveragingInfo | None:
    """Return the selected merge with and without SWA, over pairs of status ok; None unless both were made.

    Args:
        rows: records of every merge under one metric, split and batch-norm policy.
        selection: the merge and its α.
    """
    settings = {text: json.loads(text) for text in rows["merge_settings"].unique()}
    counts = {
        text: found["swa"] if found.keys() == {"swa"} else 0
        for text, found in settings.items()
        if found.keys() <= {"swa"}
    }
    if not any(counts.values()):
        return None
    rows = rows[rows["merge_settings"].isin(list(counts))]
    rows = rows[(rows["merge"] == selection.merge) & (rows["status"] == "ok")]
    rows = rows if selection.alpha is None else rows[rows["alpha"] == selection.alpha]
    rows = rows.assign(swa=rows["merge_settings"].astype(str).map(counts))
    if rows["swa"].nunique() < 2:
        return None
    setting = leading_setting(rows)
    placed = binned(rows, setting)
    gain, merged = (means(placed, ["swa", "at"], value) for value in ("gain", "f_merged"))
    return AveragingInfo(selection.metric, setting, gain, merged)


def plot_averaging(info: AveragingInfo) -> style.Spec:
    """Return the gain and the merged network's metric by setting, a line per number of averaged checkpoints."""
    styles = style.style_by(info.gain["swa"])
    data = []
    for panel, table in enumerate((info.gain, info.merged)):
        for swa, part in table.groupby("swa"):
            name = f"mean of the last {int(str(swa))}" if swa else "endpoints"
            trace = line(part, "at", name, styles[swa], at="%{x:.3g}", of=name)
            data.append(trace | style.on(panel) | {"showlegend": panel == 0})
    setting = setting_axis(info.setting, info.gain["at"])
    merged = f"{info.metric} of the merged network ({style.UNITS.get(info.metric, '')})"
    return style.panels(
        data, [setting, setting], [style.titled(style.gain_label(info.metric)), style.titled(merged)], gap=0.1
    )
