"""`python -m benchmarks.critical_noise.limit`: the best that n trials can say of a peak whose widths are unknown.

The curve is f(u) = T exp(−u² / 2w²) with w = wL left of the peak m and wR right of it, noise σ normal. A design ξ puts
a share of the trials at each place; M(ξ) = Σ ξ(u) J Jᵀ with J = ∂f/∂(m, T, wL, wR), and the Cramér-Rao bound is
sd(m) = σ √([M⁻¹]_mm / n). The c-optimal design, which minimises it, comes from the multiplicative algorithm.

Source: Silvey, Titterington & Torsney (1978), an algorithm for optimal designs on a finite design space.
"""

import numpy as np

from benchmarks.critical_noise.humps import NOISE, Array
from benchmarks.timing import table

HEIGHT = 1.15
PLACES = np.linspace(-2.0, 0.9, 117)
"""Decades from the peak: from the lower end of the range to the cliff of `unequal_widths`."""
WIDTHS = {"unequal_widths": (0.8, 0.42), "symmetric": (0.6, 0.6)}
"""Middles of the families' (wL, wR)."""
MEDIAN = 0.6745
"""Median of the absolute value of a standard normal."""


def jacobian(left: float, right: float) -> Array:
    """Return ∂f/∂(m, T, wL, wR) (places, 4)."""
    u = PLACES
    width = np.where(u < 0, left, right)
    shape = np.exp(-0.5 * (u / width) ** 2)
    by_width = HEIGHT * shape * u**2 / width**3
    return np.stack(
        [HEIGHT * shape * u / width**2, shape, np.where(u < 0, by_width, 0), np.where(u < 0, 0, by_width)],
        axis=1,
    )


def bound(design: Array, rows: Array) -> float:
    """Return the least standard deviation of m, in decades, of one trial spread over `design`."""
    return float(NOISE * np.sqrt(np.linalg.inv(rows.T @ (design[:, None] * rows))[0, 0]))


def optimal(rows: Array, steps: int = 3000) -> Array:
    """Return the c-optimal design for m."""
    design: Array = np.full(len(rows), 1 / len(rows))
    for _ in range(steps):
        direction = np.linalg.inv(rows.T @ (design[:, None] * rows))[:, 0]
        design = design * np.abs(rows @ direction)
        design /= design.sum()
    return design


def main() -> None:
    """Print the bounds."""
    found = []
    for family, widths in WIDTHS.items():
        rows = jacobian(*widths)
        even = np.full(len(rows), 1 / len(rows))
        for name, design in {"optimal": optimal(rows), "even": even}.items():
            deviation = [bound(design, rows) / np.sqrt(n) for n in (24, 40)]
            found.append([family, name, *(f"{d:.3f} ({MEDIAN * d:.3f})" for d in deviation)])
    print(table(["family", "design", "sd of m at 24 trials (median error)", "at 40"], found))


if __name__ == "__main__":
    main()
