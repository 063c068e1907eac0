"""Slow references for the hump posterior, the Gaussian process and HC3, written from the definitions."""

import math

import numpy as np
from scipy.stats import logistic, norm

# weight; wL, pL, aL as (median, deviation of ln); wR or the ratio wR / wL; pR, aR; b as (mean, deviation).
MIXTURE = [
    (0.45, (0.6, 0.6), (2, 0.08), (1.1, 0.5), ("ratio", 0.0, 0.08), (2, 0.08), (1.5, 0.7), (2, 3)),
    (0.20, (0.75, 0.5), (2, 0.18), (1.1, 0.5), ("ratio", -0.3, 0.5), (2, 0.18), (1.5, 0.7), (0, 0.7)),
    (0.20, (1, 0.7), (1.5, 0.4), (1.2, 0.6), ("wR", math.log(0.05), 0.9), (1.7, 0.5), (1.5, 0.7), (0, 0.7)),
    (0.15, (0.7, 0.7), (2.5, 0.6), (1.2, 0.6), ("wR", math.log(0.45), 0.7), (2.5, 0.6), (1.5, 0.7), (0, 0.7)),
]


def curve(x, m, T, ln_s, ln_wl, ln_pl, ln_al, ln_wr, ln_pr, ln_ar, b):
    """f at one place x."""
    u = x - m
    w, p, a = (math.exp(v) for v in ((ln_wl, ln_pl, ln_al) if u < 0 else (ln_wr, ln_pr, ln_ar)))
    length = abs(u) if b == 0 else math.sqrt(2 * (math.expm1(b * u) - b * u)) / abs(b)
    return T - a * (1 - math.exp(-((length / w) ** p)))


def log_likelihood(theta, x, y, floor, diverged, at_chance, error):
    """Sum over trials; y, floor and error in units of D."""
    total = 0.0
    for place, gain, without, chance, e in zip(x, y, diverged, at_chance, error, strict=True):
        scale = math.sqrt(math.exp(theta[2]) ** 2 + e**2) * math.sqrt(3) / math.pi
        f = curve(place, *theta)
        if chance:
            total += logistic.logcdf((max(gain, floor) - f) / scale)
        elif without or gain <= floor:
            total += logistic.logcdf((floor - f) / scale)
        else:
            total += logistic.logpdf(gain, f, scale)
    return total


def log_prior(theta, lowest, highest, peak, noise):
    """Up to a constant; peak and noise in units of D."""
    m, T, ln_s, ln_wl, ln_pl, ln_al, ln_wr, ln_pr, ln_ar, b = theta
    if not lowest - 0.75 <= m <= highest + 0.75 or min(ln_pl, ln_pr) < math.log(0.82):
        return -math.inf
    shape = 0.0
    for weight, wl, pl, al, (kind, centre, spread), pr, ar, skew in MIXTURE:
        density = weight * norm.pdf(ln_wr - ln_wl if kind == "ratio" else ln_wr, centre, spread)
        for value, (median, deviation) in ((ln_wl, wl), (ln_pl, pl), (ln_al, al), (ln_pr, pr), (ln_ar, ar)):
            density *= norm.pdf(value, math.log(median), deviation)
        shape += density * norm.pdf(b, *skew)
    return math.log(shape) + norm.logpdf(T, peak, 0.4) + norm.logpdf(ln_s, math.log(noise), 0.5)


def hc3_slope(x, y):
    """Slope and error; a residual over 1 − leverage is the error of predicting what was left out."""
    design = np.column_stack([np.ones_like(x), x])
    weights = np.linalg.pinv(design)[1]
    variance = 0.0
    for i in range(len(y)):
        others = np.delete(np.arange(len(y)), i)
        without = np.linalg.lstsq(design[others], y[others], rcond=None)[0]
        variance += (weights[i] * (y[i] - design[i] @ without)) ** 2
    return weights @ y, math.sqrt(variance)
