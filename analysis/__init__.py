"""Read a sweep: records to tables, curves, the critical noise scale, figures, and the report. Needs no torch.

>>> import analysis                                                          # doctest: +SKIP
>>> table = analysis.read_records("sweeps/runs/digits-cpu-1f2e3d4c")         # doctest: +SKIP
>>> curve = analysis.gain_curve(table, metric="loss", split="validation")    # doctest: +SKIP
>>> analysis.verdict("sweeps/runs/digits-cpu-1f2e3d4c").point                # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from analysis.collapse import Collapse, collapse, effective_noise
from analysis.critical_point import CriticalPoint, critical_point
from analysis.guide import Recommendation
from analysis.reading import RunError, read_measurements, read_records, read_run_info, read_trials
from analysis.recommend import recommend_info, whole_verdict, with_collapse
from analysis.table import GainCurve, Selection, gain_curve
from analysis.verdict import Verdict, objective_selection, verdict

if TYPE_CHECKING:
    from analysis.report import write_report

__all__ = [
    "Collapse", "CriticalPoint", "GainCurve", "Recommendation", "RunError", "Selection", "Verdict", "collapse",
    "critical_point", "effective_noise", "gain_curve", "objective_selection", "read_measurements", "read_records",
    "read_run_info", "read_trials", "recommend_info", "verdict", "whole_verdict", "with_collapse",
    "write_report",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Plotly is imported for the report alone.
    if name == "write_report":
        from analysis.report import write_report

        return write_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
