"""Whether the curves of all batch sizes fall on one, by which exponents, and on which axis best."""

from analysis.collapse.axes import axis_words
from analysis.collapse.effective_noise import effective_noise, measured_noise
from analysis.collapse.judgement import Collapse, Verdict, collapse, expected_exponents, find_collapse

__all__ = [
    "Collapse",
    "Verdict",
    "axis_words",
    "collapse",
    "effective_noise",
    "expected_exponents",
    "find_collapse",
    "measured_noise",
]
