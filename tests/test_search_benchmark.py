"""What the benchmark of searches measures is what it says."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.critical_noise.humps import FAMILIES, HIGH, LOW, WITHOUT_PEAK, Hump
from benchmarks.critical_noise.oracle import Oracle
from benchmarks.critical_noise.peers import CHECKPOINTS, PEERS
from benchmarks.critical_noise.summary import hits_by_trials, trials_to_hits

GRID = np.linspace(LOW, HIGH, 4001)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_gain_is_highest_where_the_hump_says(family):
    for seed in range(5):
        hump = FAMILIES[family](np.random.default_rng(seed))
        gain = hump.gain(GRID)
        best = GRID[np.nanargmax(gain)]
        assert hump.distance(best) <= 0.002
        assert np.nanmax(gain) == pytest.approx(hump.height, abs=1e-3)
        assert hump.regret(hump.peak - 1e-9) == pytest.approx(0.0, abs=1e-6)
        assert hump.regret(LOW) > 0.1


def test_without_a_peak_there_is_none_within_the_range():
    flat, outside = (WITHOUT_PEAK[name](np.random.default_rng(0)) for name in ("flat", "outside"))
    assert np.ptp(flat.gain(GRID)) == 0
    assert outside.gain(GRID).argmax() == len(GRID) - 1


def test_curves_of_other_batch_sizes_are_shifted_where_collapse_is_imperfect():
    hump = FAMILIES["imperfect_collapse"](np.random.default_rng(0))
    small, large = (GRID[hump.gain(GRID, size).argmax()] for size in (16, 128))
    assert large - small == pytest.approx(0.2 * np.log10(128 / 16), abs=0.005)


@pytest.mark.filterwarnings("ignore:QMCSampler is experimental")
@pytest.mark.parametrize("arm", PEERS)
def test_every_search_sees_one_more_trial_at_a_time(arm):
    hump = FAMILIES["sharp_cliff"](np.random.default_rng(0))
    counts = [len(seen.x) for seen in PEERS[arm](hump, 12, 0)]
    assert [count for count in counts if count] == ([8, 12] if arm == "grid" else list(range(1, 13)))


def test_the_oracle_finds_what_it_knows_the_family_of():
    oracle = Oracle(FAMILIES["symmetric"])
    errors = []
    for seed in range(5):
        hump = FAMILIES["symmetric"](np.random.default_rng(seed))
        *_, (seen, place) = oracle.search(hump, 24, seed)
        assert len(seen.x) == 24
        errors.append(hump.distance(place))
    assert np.median(errors) < 0.06


def test_trials_to_hits_count_from_where_they_stay():
    hits = [0.95, 0.5, 0.9, 0.92, 0.91, 1.0, 0.9]
    rows = pd.DataFrame(
        {
            "trials": np.repeat(CHECKPOINTS, 100),
            "error": np.concatenate([np.where(np.arange(100) < 100 * share, 0.0, 1.0) for share in hits]),
        }
    )
    assert trials_to_hits(hits_by_trials(rows)) == CHECKPOINTS[2]
    assert trials_to_hits(hits_by_trials(rows.assign(error=np.nan))) is None


def test_a_trial_that_loses_its_accuracy_diverges():
    hump = Hump(-2.0, 1.0, lambda u: np.where(u > 0, -8.0, 1.0))
    gain, status = hump.observe(-1.0, 64, np.random.default_rng(0))
    assert np.isnan(gain)
    assert status == "diverged"
