"""The sections of the report, in the order in which they are read. A new one is a module and an entry here."""

from collections.abc import Sequence

from analysis.sections.averaging import averaging
from analysis.sections.axes import axes
from analysis.sections.base import Section, View
from analysis.sections.boxes import boxes
from analysis.sections.collapse import collapse
from analysis.sections.curvature import curvature
from analysis.sections.health import health
from analysis.sections.matching import matching
from analysis.sections.methods import methods
from analysis.sections.noise import noise
from analysis.sections.overlay import overlay
from analysis.sections.paths import paths
from analysis.sections.peaks import peaks
from analysis.sections.planes import planes
from analysis.sections.provenance import provenance
from analysis.sections.rates import rates
from analysis.sections.similarity import similarity
from analysis.sections.single import single
from analysis.sections.trace import trace
from analysis.sections.training import training
from analysis.sections.trials import trials
from analysis.sections.verdict import verdict

SECTIONS: list[Section[View]] = [
    Section("verdict", "Verdict", verdict),
    Section("noise", "Gain against learning rate, batch size, and noise scale", noise),
    Section("collapse", "Do all batch sizes fall on one curve?", collapse, per="experiment"),
    Section("peaks", "Does every objective peak at the same noise?", peaks, per="experiment"),
    Section("axes", "Gain on any axis", axes),
    Section("boxes", "Gain by setting", boxes),
    Section("single", "Gain against the single networks", single),
    Section("paths", "Gain along α", paths),
    Section("rates", "Which learning rates merge with which?", rates),
    Section("matching", "Branched pairs against matched independent ones", matching),
    Section("averaging", "Averaging along each branch", averaging),
    Section("planes", "The landscape between the networks", planes),
    Section("similarity", "Gain against the similarity of the networks", similarity),
    Section("curvature", "How sharp are the minima?", curvature, per="experiment"),
    Section("health", "Health of the sweep", health),
    Section("training", "Are the endpoints converged?", training, per="experiment"),
    Section("trace", "How the search got there", trace, per="experiment"),
    Section("trials", "Trials", trials, per="run"),
    Section("methods", "Data and methods", methods, per="run"),
    Section("provenance", "Provenance", provenance, per="run"),
]

COMPARISONS: list[Section[Sequence[View]]] = [Section("runs", "The runs compared", overlay)]
"""Sections about several runs; they get the objective's view of the first experiment of each."""
