"""The posterior of S* as a histogram."""

import numpy as np
import plotly.graph_objects as go
import pytest

from analysis.critical_point import critical_point
from analysis.figures.posterior import plot_posterior, posterior_info


@pytest.fixture(scope="module")
def point():
    rng = np.random.default_rng(0)
    x = rng.uniform(-4, 0, 24)
    return critical_point(10**x, np.exp(-0.5 * ((x + 2) / 0.6) ** 2) + 0.1 * rng.standard_normal(24))


def test_the_histogram_holds_all_draws_and_the_interval(point):
    info = posterior_info(point)
    assert info.share.sum() == pytest.approx(1.0)
    assert info.edges[0] <= min(point.low, point.draws.min()) * (1 + 1e-9)
    assert info.edges[-1] >= max(point.high, point.draws.max()) * (1 - 1e-9)
    assert np.diff(np.log10(info.edges)) == pytest.approx(np.log10(info.edges[1] / info.edges[0]))
    inside = (info.edges[:-1] >= point.low) & (info.edges[1:] <= point.high)
    assert info.share[inside].sum() > 0.8


def test_the_picture_shows_interval_and_point(point):
    info = posterior_info(point)
    figure = go.Figure(plot_posterior(info))
    (stairs,) = figure.data
    assert np.array_equal(stairs.y[:-1], 100 * info.share)
    band, line = figure.layout.shapes
    assert (band.x0, band.x1, line.x0, line.x1) == (point.low, point.high, *[point.noise_scale] * 2)
