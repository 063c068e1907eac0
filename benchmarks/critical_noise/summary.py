"""Tables from the rows of all repeats."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.critical_noise.humps import FAMILIES, WITHOUT_PEAK
from benchmarks.critical_noise.measure import ORACLE, OURS
from benchmarks.critical_noise.peers import CHECKPOINTS
from benchmarks.timing import table

WINDOW = np.log10(1.25)
ENOUGH = 0.9
NEGLIGIBLE = 0.02
"""Share of the peak's gain that a stop on a plateau may lose: what the stopping rule promises."""
SHOWN = (12, 16, 24, 40)


def summary(rows: pd.DataFrame) -> str:
    """Return tables: ours beside the best peer and the oracle, all families together, each, stops, and false humps."""
    checked = rows[rows["trials"].isin(CHECKPOINTS)]
    parts = [f"{rows['repeat'].nunique()} repeats."]
    with_peak = checked[checked["family"].isin(list(FAMILIES))]
    parts += [f"### Ours, the best peer and the limit\n\n{_compared(with_peak)}"]
    parts += [f"### All families with a peak\n\n{_family(with_peak)}"]
    parts += [f"### {family}\n\n{_family(of_family)}" for family, of_family in _with_peak(checked)]
    parts += [f"### Stops\n\n{_stops(rows)}", f"### Without a peak\n\n{_without_peak(checked)}"]
    return "\n\n".join(parts)


def _with_peak(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for family in FAMILIES:
        if (rows["family"] == family).any():
            yield family, rows[rows["family"] == family]


def _compared(rows: pd.DataFrame) -> str:
    """Return by family the trials to 90% hits, and median errors at 24 trials."""
    found = []
    for family, of_family in _with_peak(rows):
        arms = {str(arm): of_arm for arm, of_arm in of_family.groupby("arm", sort=False)}
        trials = {arm: trials_to_hits(hits_by_trials(of_arm)) for arm, of_arm in arms.items()}
        errors = {arm: _error(of_arm) for arm, of_arm in arms.items()}
        peers = [arm for arm in arms if arm not in {OURS, ORACLE}]
        enough = [needed for arm in peers if (needed := trials[arm])]
        best = min(errors[arm] for arm in peers)
        found.append(
            [
                family,
                *(_or_more(needed) for needed in (trials[OURS], min(enough, default=None), trials[ORACLE])),
                *(f"{error:.3f}" for error in (errors[OURS], best, errors[ORACLE])),
                f"{errors[OURS] / errors[ORACLE]:.1f}" if errors[ORACLE] else "–",
            ]
        )
    header = ["family", "trials to 90% hits: ours", "best peer", "oracle"]
    return table([*header, "median error at 24: ours", "best peer", "oracle", "ours / oracle"], found)


def _error(rows: pd.DataFrame) -> float:
    return float(rows.loc[rows["trials"] == 24, "error"].median())


def _or_more(trials: int | None) -> str:
    return f"{trials}" if trials else f"> {CHECKPOINTS[-1]}"


def _family(rows: pd.DataFrame) -> str:
    header = [
        "arm",
        "trials to 90% hits",
        *(f"hits at {n}" for n in SHOWN),
        "median error at 24, decades",
        "regret at 24",
        "covered at 24",
    ]
    return table(header, [_arm(str(arm), of_arm) for arm, of_arm in rows.groupby("arm", sort=False)])


def _arm(arm: str, rows: pd.DataFrame) -> list[str]:
    hits = hits_by_trials(rows)
    last = rows[rows["trials"] == 24]
    return [
        arm,
        _or_more(trials_to_hits(hits)),
        *(f"{hits[n]:.2f}" for n in SHOWN),
        f"{_error(rows):.3f}",
        f"{last['regret'].mean():.3f}",
        "–" if arm == ORACLE else f"{last['covered'].astype(float).mean():.2f}",
    ]


def hits_by_trials(rows: pd.DataFrame) -> "pd.Series[float]":
    """Return the share within ×1.25 of the peak by number of trials; no estimate is a miss."""
    hits: pd.Series[float] = (rows["error"] <= WINDOW).groupby(rows["trials"]).mean()
    return hits


def trials_to_hits(hits: "pd.Series[float]") -> int | None:
    """Return the first checkpoint from which on 90% hit, None if there is none."""
    worst_from_here = hits[::-1].cummin()[::-1]
    return next((n for n in CHECKPOINTS if worst_from_here.get(n, 0.0) >= ENOUGH), None)


def _stops(rows: pd.DataFrame) -> str:
    ours = rows[(rows["arm"] == OURS) & rows["family"].isin(list(FAMILIES))]
    found = []
    for family, of_family in ours.groupby("family", sort=False):
        stops = of_family[of_family["stopped"].isin(["located", "plateau"])]
        flat = (stops["stopped"] == "plateau") & (stops["regret"] <= NEGLIGIBLE)
        right = ((stops["error"] <= WINDOW) | flat).mean() if len(stops) else np.nan
        found.append(
            [
                str(family),
                f"{len(stops)} of {of_family['repeat'].nunique()}",
                f"{stops['trials'].median():.0f}" if len(stops) else "–",
                f"{right:.2f}" if len(stops) else "–",
            ]
        )
    return table(["family", "stopped within 40", "median trials", "right"], found)


def _without_peak(rows: pd.DataFrame) -> str:
    nulls = rows[rows["family"].isin(list(WITHOUT_PEAK)) & (rows["trials"] == 24)]
    claims = nulls.assign(claimed=nulls["claimed"].astype(float))
    rows_of = [
        [family, arm, f"{of_arm['claimed'].mean():.2f}"]
        for family in WITHOUT_PEAK
        for arm in nulls["arm"].unique()
        if len(of_arm := claims[(claims["family"] == family) & (claims["arm"] == arm)])
    ]
    return table(["family", "arm", "false humps at 24"], rows_of)
