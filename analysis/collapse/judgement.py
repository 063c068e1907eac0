"""Do the curves of all batch sizes fall on one, and on which axis? Exponents, axes, and a verdict in words."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.collapse.axes import AxisQuality, axis_words, candidates, judge_axis
from analysis.collapse.cells import SAME, Cells, on_axis
from analysis.collapse.exponents import Estimate, Exponent, ExponentPosterior, spline_profile
from analysis.collapse.peaks import agree, apart, own_peaks
from analysis.critical_point import CLAIM, FEWEST_TRIALS, Location
from analysis.hump.smc import Array
from analysis.table import Selection, check_unmixed, trial_gains

Verdict = Literal["holds", "imperfect", "unknown"]

WIDEST = 1.0
"""Width of b's interval above which it tells nothing: b = 0, lr alone, and b = 1 would both do."""
MISFIT = 0.01
"""P-value below which the curves differ by more than noise."""


@dataclass(frozen=True)
class Collapse:
    """Whether the gains of all batch sizes and momenta lie on one curve over lr / (B^b (1 − μ)^c)."""

    verdict: Verdict
    """It holds, it is imperfect, or these data can't tell."""
    reason: str
    """Why, in a sentence."""
    axes: tuple[AxisQuality, ...]
    """Best first; only axes that vary, and of those that only rescale each other the first."""
    b: Exponent | None
    """Exponent of batch size; None if it doesn't vary or can't be told."""
    c: Exponent | None
    """Exponent of 1 − momentum."""
    peaks: Mapping[int, Location]
    """Batch size → its own peak on the expected axis, from its own trials; without those that have fewer than five."""
    expected: tuple[float, float]
    """(b, c) as theory has them: (1, 1), or (1/2, 0) for AdamW."""
    axis: tuple[float, float] | None
    """(b, c) to use: the expected ones unless rejected, else the fitted ones; None: take a peak per batch size."""
    posterior: ExponentPosterior | None = field(repr=False, compare=False)

    def coordinate(self, lr: ArrayLike, batch_size: ArrayLike, momentum: ArrayLike) -> Array:
        """Return lr / (B^b (1 − μ)^c) on the axis to use; on the expected one where there is none."""
        place: Array = 10 ** on_axis(lr, batch_size, momentum, self.axis or self.expected)
        return place

    def lr_at(self, batch_size: int, momentum: float) -> Estimate | None:
        """Return the learning rate at the peak with its 95% interval, from all curves and the exponents' uncertainty.

        None where nothing could be fitted.
        """
        if self.posterior is None:
            return None
        return self.posterior.lr_at(batch_size, momentum, np.random.default_rng(batch_size))


def collapse(table: pd.DataFrame, measured: pd.Series | None = None, **selection: Any) -> Collapse:
    """Return how well the gains of `table` collapse.

    Args:
        table: merge records, as from `read_records`; lr, batch size, momentum and weight decay may vary.
        measured: trial → measured S_eff = S tr Σ, as from `effective_noise`: a further axis if every trial with a
            gain has one.
        selection: metric, split, merge, alpha and batchnorm, as for `gain_curve`.

    Raises:
        ValueError: if nothing is selected, or what is selected mixes experiments that no axis compares.
    """
    rows = Selection(**selection).rows(table)
    # Weight decay is what one of the axes is about.
    check_unmixed(rows.assign(weight_decay=0.0))
    trials = trial_gains(rows)
    return find_collapse(
        *(trials[name] for name in ("lr", "batch_size", "momentum", "gain")),
        sem=trials["sem"],
        status=trials["status"],
        weight_decay=trials["weight_decay"],
        measured=None if measured is None else trials["trial"].map(measured),
        expected=expected_exponents(rows["optimizer"].iloc[0]),
    )


def find_collapse(
    lr: ArrayLike,
    batch_size: ArrayLike,
    momentum: ArrayLike,
    gain: ArrayLike,
    *,
    sem: ArrayLike | None = None,
    status: ArrayLike | None = None,
    weight_decay: ArrayLike | None = None,
    measured: ArrayLike | None = None,
    expected: tuple[float, float] = (1.0, 1.0),
    seed: int = 0,
) -> Collapse:
    """Return how well gains collapse; all arrays have one value per trial, and their order doesn't matter.

    Args:
        lr: learning rate.
        batch_size: batch size.
        momentum: momentum, in [0, 1).
        gain: larger is better; NaN means diverged.
        sem: standard errors of the gains, where known.
        status: ok, diverged, low, at_chance or failed (left out).
        weight_decay: λ, if it varies or lr·λ is to be judged.
        measured: S_eff, a further axis if every trial with a gain has one.
        expected: the exponents (b, c) to test.
        seed: of the sampler; the result is a function of the arguments.

    Raises:
        ValueError: if lengths differ, or lr is not positive.

    Source: `analysis.collapse.exponents` for b and c, `analysis.collapse.axes` for the axes.
    """
    rng = np.random.default_rng(seed)
    cells = Cells.of(
        lr,
        batch_size,
        momentum,
        gain,
        sem=sem,
        status=status,
        weight_decay=weight_decay,
        measured=measured,
        expected=expected,
        rng=rng,
    )
    if why := _too_little(cells):
        return Collapse("unknown", why, (), None, None, {}, expected, expected, None)
    posterior = ExponentPosterior.fit(cells, rng)
    exponents = _exponents(posterior, rng)
    rejected = [
        name for name, found in exponents.items() if not _within(cells.expected_exponents[name], found)
    ]
    peaks = own_peaks(cells, rng)
    unlike = apart(peaks)
    if posterior.hump_probability <= CLAIM:
        # Flanks may fit some exponent too, but there is no peak to take a learning rate at.
        rejected, unlike = [], []
    axis: tuple[float, float] | None = expected
    if rejected or unlike:
        b, c = (
            exponents[name].value if name in rejected else cells.expected_exponents[name] for name in "bc"
        )
        axis = (b, c) if rejected and agree(posterior, peaks) else None
    axes, better = _axes(posterior, rng)
    verdict, reason = _conclude(posterior, exponents, rejected, unlike, axes, better)
    return Collapse(
        verdict, reason, axes, exponents.get("b"), exponents.get("c"), peaks, expected, axis, posterior
    )


def expected_exponents(optimizer: str) -> tuple[float, float]:
    """Return (b, c) as theory has them: those of S, or for AdamW those of its proxy lr / √B."""
    return (0.5, 0.0) if optimizer == "adamw" else (1.0, 1.0)


def _too_little(cells: Cells) -> str:
    """Return why nothing can be fitted, "" if something can."""
    sizes, counts = np.unique(cells.batch_size, return_counts=True)
    if len(sizes) < 2:
        return "One batch size was swept: that curves of several align is assumed, not tested."
    if (counts >= FEWEST_TRIALS).sum() < 2:
        return f"Fewer than two batch sizes have {FEWEST_TRIALS} trials: run more at each."
    if cells.without.all():
        return "No trial has a gain: all diverged or are at chance."
    if np.ptp(cells.x) < SAME:
        return f"Only one {axis_words(cells.expected)} was tried: run others."
    return ""


def _exponents(posterior: ExponentPosterior, rng: np.random.Generator) -> dict[str, Exponent]:
    """Return b and c, as far as they vary."""
    cells = posterior.cells
    spline = spline_profile(cells)
    trimmed = cells.where(cells.before_collapse)
    enough = trimmed.regressors.keys() == cells.regressors.keys() and not _too_little(trimmed)
    check = ExponentPosterior.fit(trimmed, rng) if enough else None
    return {
        name: Exponent(
            **asdict(posterior.exponent(name)),
            trimmed=check.exponent(name) if check else None,
            spline=spline[name],
        )
        for name in spline
    }


def _within(value: float, found: Estimate) -> bool:
    return found.low <= value <= found.high


def _axes(posterior: ExponentPosterior, rng: np.random.Generator) -> tuple[tuple[AxisQuality, ...], str]:
    """Return the axes, best first, and the name of one that predicts better than the expected one, "" if none does."""
    cells = posterior.cells
    found = [judge_axis(name, u, cells, posterior.noise, rng) for name, u in candidates(cells).items()]
    found.sort(key=lambda pair: pair[0].loo_error)
    axes = tuple(axis for axis, _ in found)
    errors = {axis.name: squared for axis, squared in found}
    gained = errors[axis_words(cells.expected)] - errors[axes[0].name]
    # Paired over cells, so that the ones that no axis predicts cancel.
    clear = gained.mean() > 2 * gained.std() / math.sqrt(len(gained))
    return axes, axes[0].name if clear else ""


def _conclude(
    posterior: ExponentPosterior,
    exponents: Mapping[str, Exponent],
    rejected: list[str],
    unlike: list[int],
    axes: tuple[AxisQuality, ...],
    better: str,
) -> tuple[Verdict, str]:
    """Return the verdict and why."""
    cells = posterior.cells
    b, name = exponents["b"], axis_words(cells.expected)
    if posterior.hump_probability <= CLAIM:
        return "unknown", "No hump is claimed, so there are no peaks to align."
    if rejected:
        wrong = rejected[0]
        base = {"b": "the batch size", "c": "1 − momentum"}[wrong]
        wanted = cells.expected_exponents[wrong]
        return "imperfect", (
            f"The learning rate at the peak grows as {base} to the power {_words(exponents[wrong])}, not {wanted:g}."
        )
    if unlike:
        return (
            "imperfect",
            f"Batch sizes {unlike[0]} and {unlike[1]} peak at different {name}, each by its own trials.",
        )
    if b.high - b.low > WIDEST:
        return (
            "unknown",
            f"The exponent of batch size, {_words(b)}, is too uncertain: run more batch sizes or trials.",
        )
    for letter, found in exponents.items():
        if found.trimmed and not _within(cells.expected_exponents[letter], found.trimmed):
            return "imperfect", (
                f"The collapses on the right align on {name}, but before them {letter} is {_words(found.trimmed)}."
            )
    if better:
        return "imperfect", f"{better} predicts a batch size from the others better than {name} does."
    own = next(axis for axis in axes if axis.name == name)
    if own.p_value < MISFIT:
        return "imperfect", (
            f"The peaks align on {name} (exponent of batch size {_words(b)}), but the curves differ by more than noise."
        )
    return (
        "holds",
        f"The curves of all batch sizes fall on one over {name}: exponent of batch size {_words(b)}.",
    )


def _words(found: Estimate) -> str:
    return f"{found.value:.2g} (95% interval {found.low:.2g} to {found.high:.2g})"
