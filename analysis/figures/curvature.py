"""Figure 30: the largest Hessian eigenvalues of the endpoints, by learning rate or another setting."""

from dataclasses import dataclass

import pandas as pd

from analysis.figures import style
from analysis.figures.means import binned, leading_setting, line, means, setting_axis


@dataclass(frozen=True)
class CurvatureInfo:
    """Eigenvalues by setting."""

    setting: str
    table: pd.DataFrame
    """Rows of `means` by `index`, 0 the largest eigenvalue, and `at`, the setting's value."""


def curvature_info(measurements: pd.DataFrame, rows: pd.DataFrame) -> CurvatureInfo | None:
    """Return the mean eigenvalues over endpoints, by value of the setting that varies; None if none were measured.

    Args:
        measurements: as from `read_measurements`.
        rows: records of the trials whose endpoints are wanted.
    """
    measured = measurements[measurements["name"] == "hessian_eigenvalue"]
    setting = leading_setting(rows)
    place = rows.groupby("trial", observed=True)[setting].first()
    found = measured[measured["trial"].isin(set(place.index))].dropna(subset="value")
    if found.empty:
        return None
    found = found.assign(**{setting: found["trial"].astype(str).map(place.to_dict())})
    return CurvatureInfo(setting, means(binned(found, setting), ["index", "at"], "value"))


def plot_curvature(info: CurvatureInfo) -> style.Spec:
    """Return a line per eigenvalue against the setting, with 95% intervals."""
    styles = style.style_by(info.table["index"])
    data = [
        line(part, "at", f"λ{style.subscript(int(str(index)) + 1)}", styles[index], at="%{x:.3g}")
        for index, part in info.table.groupby("index")
    ]
    setting = setting_axis(info.setting, info.table["at"])
    sharpness = style.titled(
        "Hessian eigenvalue", **style.log_axis([*info.table["mean"], *info.table["low"].dropna()])
    )
    return style.panels(data, [setting], [sharpness])
