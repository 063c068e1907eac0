"""Which axis brings the curves together: how well one curve describes all gains, on each candidate axis.

| symbol | shape  | meaning                                                                                |
|--------|--------|----------------------------------------------------------------------------------------|
| u      | (n,)   | log10 of the candidate axis                                                            |
| y      | (n,)   | gains in the caller's unit; what collapsed counts as the floor, far below the peak     |
| σ      | scalar | standard error of one gain: `error`                                                    |
| W      | (m, m) | y → the value that the other curves' neighbours predict, on the cells they enclose     |

Sources: Rasmussen & Williams (2006), algorithm 2.1, for the process; Houdayer & Hartmann (2004), appendix, for the
quality of a collapse.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.collapse.cells import SAME, Cells, on_axis
from analysis.hump.gaussian_process import AMPLITUDES, LENGTHS, Kernel, regress
from analysis.hump.model import Mask
from analysis.hump.smc import Array

NOISES = np.geomspace(0.03, 1.0, 10)
REPLICATES = 999
"""Simulated collapses behind a p-value."""


@dataclass(frozen=True)
class AxisQuality:
    """How well one curve on an axis describes the gains of all batch sizes."""

    name: str
    """S, lr, 1/B, lr/B, lr·λ, lr/√B or S_eff."""
    r2: float
    """Share of the gains' variance that one smooth curve explains."""
    loo_error: float
    """Leave-one-batch-size-out error: of predicting a batch size from the others, in standard errors of a gain."""
    nugget: float
    """Scatter about the curve beyond the standard error, in the gain's unit."""
    quality: float
    """Houdayer and Hartmann's mean square of the curves' distances in standard errors, past the collapse left out;
    NaN where no two curves overlap."""
    p_value: float
    """Share of simulated perfect collapses on the same cells whose quality is no better."""


def axis_words(exponents: tuple[float, float]) -> str:
    """Return the name of the axis lr / (B^b (1 − μ)^c).

    >>> axis_words((1.0, 1.0)), axis_words((0.5, 0.0)), axis_words((1.72, 1.0))
    ('S', 'lr/√B', 'lr / (B^1.72 (1 − μ))')
    """
    if name := {(1.0, 1.0): "S", (0.5, 0.0): "lr/√B"}.get(exponents):
        return name
    powers = [
        base if exponent == 1 else f"{base}^{exponent:.3g}"
        for base, exponent in zip(("B", "(1 − μ)"), exponents, strict=True)
        if exponent != 0
    ]
    return f"lr / ({' '.join(powers)})"


def candidates(cells: Cells) -> dict[str, Array]:
    """Return log10 of each candidate axis that varies, leaving out those that an earlier one only rescales."""

    def powers(b: float, c: float) -> Array:
        return on_axis(cells.lr, cells.batch_size, cells.momentum, (b, c))

    # Of two names of one axis the first is kept.
    axes = {
        axis_words(cells.expected): cells.x,
        "S": powers(1, 1),
        "lr": powers(0, 0),
        "1/B": -np.log10(cells.batch_size),
        "lr/B": powers(1, 0),
        "lr/√B": powers(0.5, 0),
    }
    if (cells.weight_decay > 0).all():
        axes["lr·λ"] = np.log10(cells.lr * cells.weight_decay)
    if (cells.measured > 0).all():
        axes["S_eff"] = np.log10(cells.measured)
    kept: dict[str, Array] = {}
    for name, u in axes.items():
        if np.ptp(u) > SAME and not any(
            abs(np.corrcoef(u, other)[0, 1]) > 1 - SAME for other in kept.values()
        ):
            kept[name] = u
    return kept


def judge_axis(
    name: str, u: Array, cells: Cells, error: float, rng: np.random.Generator
) -> tuple[AxisQuality, Array]:
    """Return the quality of the axis `u`, and the squared leave-one-out error of each cell, in σ² (n,)."""
    y, kept = cells.floored, cells.before_collapse
    kernel, centre, spread = best_kernel(u, y)

    def predicted(seen: Mask, at: Array) -> Array:
        mean, _, _ = regress(u[seen], (y[seen] - centre) / spread, at, kernel)
        return centre + spread * mean

    residual = y - predicted(np.ones(len(y), bool), u)
    left_out = np.empty(len(y))
    for size in np.unique(cells.batch_size):
        one = cells.batch_size == size
        seen = ~one
        # Beyond what the others reach a process would return to the mean, a curve to nothing known.
        left_out[one] = y[one] - predicted(seen, np.clip(u[one], u[seen].min(), u[seen].max()))
    quality, p_value = collapse_quality(
        u[kept], y[kept], predicted(kept, u[kept]), error, cells.curve[kept], rng
    )
    return AxisQuality(
        name,
        r2=float(1 - residual @ residual / ((y - y.mean()) ** 2).sum()),
        loo_error=float(np.sqrt(np.mean(left_out**2)) / error),
        nugget=float(np.sqrt(max(0.0, (kernel.noise * spread) ** 2 - error**2))),
        quality=quality,
        p_value=p_value,
    ), (left_out / error) ** 2


def best_kernel(u: Array, y: Array) -> tuple[Kernel, float, float]:
    """Return the kernel of the largest evidence for standardised y on u, and y's mean and deviation."""
    centre, spread = float(y.mean()), float(y.std()) or 1.0
    standard = (y - centre) / spread
    kernels = [Kernel(*values) for values in itertools.product(LENGTHS, AMPLITUDES, NOISES)]
    evidence = [regress(u, standard, u[:0], kernel)[2] for kernel in kernels]
    return kernels[int(np.argmax(evidence))], centre, spread


def collapse_quality(
    u: Array, y: Array, curve_at_u: Array, error: float, label: NDArray[np.int64], rng: np.random.Generator
) -> tuple[float, float]:
    """Return the Houdayer-Hartmann quality, and the share of simulated perfect collapses no better than it.

    Raw, about 1 would mean a collapse; on coarse grids a perfect one scores far more, since the curve bends between
    neighbours. So replicates are drawn about `curve_at_u` on the same cells: y′ = f(u) + σ ε.
    """
    weights, variance, enclosed = neighbour_weights(u, label)
    if not enclosed.any():
        return float("nan"), float("nan")

    def quality(gains: Array) -> Array:
        distance = (gains - gains @ weights.T)[..., enclosed]
        mean: Array = np.mean(distance**2 / (error**2 * (1 + variance[enclosed])), axis=-1)
        return mean

    observed = float(quality(y))
    simulated = quality(curve_at_u + error * rng.standard_normal((REPLICATES, len(u))))
    return observed, float((1 + (simulated >= observed).sum()) / (1 + REPLICATES))


def neighbour_weights(u: Array, label: NDArray[np.int64]) -> tuple[Array, Array, Mask]:
    """Return W (n, n), the variance of W y in σ² (n,), and which cells other curves enclose (n,).

    From each other curve that reaches beyond u_i on both sides come its two neighbours of u_i; the prediction is the
    least-squares line through all of them, at u_i.
    """
    n = len(u)
    weights, enclosed = np.zeros((n, n)), np.zeros(n, bool)
    curves = [np.flatnonzero(label == each)[np.argsort(u[label == each])] for each in np.unique(label)]
    for i in range(n):
        near: list[int] = []
        for members in curves:
            after = int(np.searchsorted(u[members], u[i], side="right"))
            if label[members[0]] != label[i]:
                if 0 < after < len(members):
                    near += [members[after - 1], members[after]]
                elif after == len(members) and len(members) > 1 and abs(u[members[-1]] - u[i]) < SAME:
                    near += [members[-2], members[-1]]
        if near:
            enclosed[i] = True
            weights[i, near] = line_weights(u[near] - u[i])
    return weights, (weights**2).sum(axis=1), enclosed


def line_weights(v: Array) -> Array:
    """Return the weights (m,) with which a least-squares line through values at v (m,) predicts that at 0."""
    centred = v - v.mean()
    spread = centred @ centred
    weights: Array = 1 / len(v) - (v.mean() * centred / spread if spread > 0 else 0.0 * centred)
    return weights
