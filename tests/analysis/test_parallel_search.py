"""Searches that see what running trials foretell, against searches that don't."""

import pandas as pd
import pytest
from parallel_search import SHAPES, Search, compare, summary


def test_what_is_foretold_is_no_complete_trial():
    search = Search("symmetric", seed=1, views=True)
    for _ in search.run():
        if len(search.x) == 10:
            break
    plain, live = search.known(views=False), search.known(views=True)
    assert len(plain.x) == 10 < len(live.x)
    assert (plain.error == 0).all()
    assert (live.error[10:] > 0).all()


@pytest.mark.slow
def test_a_search_with_views_finds_the_peak_as_well_as_one_without():
    rows = pd.DataFrame([row for shape in SHAPES for seed in range(8) for row in compare(shape, seed)])
    found = summary(rows).loc["all"]
    for at in ("12 trials", "16 trials", "20 trials", "24 trials"):
        assert found.loc[(at, "views"), "gained"] > -0.03
        assert found.loc[(at, "views"), "covered"] > 0.9
    assert found.loc[("48 branch points", "live"), "mean"] < found.loc[("48 branch points", "plain"), "mean"]
