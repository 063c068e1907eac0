"""Searches for the critical noise scale that really run, on a local Ray."""

import pandas as pd
import pytest

import sweeper.tuning
from analysis.reading import read_records, read_trials
from sweeper.commands.status import status_info
from tests.tuning.recipes import small_recipe

pytestmark = pytest.mark.usefixtures("ray_cluster")

SPACE = {
    "train/noise_scale": {"low": 1e-3, "high": 30.0, "log": True},
    "train/batch_size": {"values": [10, 20]},
}


def noise_recipe(**search):
    """A search whose course does not depend on which of two trials ends first."""
    return small_recipe(space=SPACE, search=search, resources={"concurrency": 1})


@pytest.fixture(scope="module")
def stopped(ray_cluster, tmp_path_factory):
    """A search that is content with little."""
    recipe = noise_recipe(trials=18, stop={"within": 30, "mass": 0.5, "regret": 0.5})
    return sweeper.tuning.run(recipe, str(tmp_path_factory.mktemp("stopped")))


def test_a_search_ends_by_itself_and_says_why(stopped):
    assert stopped.status == "done"
    assert stopped.trials < 18
    assert stopped.stopped_early.endswith(f"with probability 0.5, after {stopped.trials} trials")
    trials = read_trials(stopped.path)
    assert trials.overrides.str.contains('"train/batch_size": 10').sum() in (
        stopped.trials // 2,
        (stopped.trials + 1) // 2,
    )
    assert trials["sem"].notna().any()
    assert stopped.critical_point is not None
    assert status_info(stopped.path).state == "done"


def test_to_resume_it_trains_nothing_unless_more_is_asked_for(stopped):
    before = read_trials(stopped.path)
    again = sweeper.tuning.resume(stopped.path)
    assert (again.status, again.trials, again.stopped_early) == ("done", len(before), stopped.stopped_early)
    pd.testing.assert_frame_equal(read_trials(stopped.path), before)
    more = sweeper.tuning.resume(stopped.path, trials=19)
    assert (more.status, more.trials, more.stopped_early) == ("done", 19, "")
    pd.testing.assert_frame_equal(read_trials(stopped.path).head(len(before)), before)


@pytest.mark.slow
def test_the_accuracy_of_the_merged_network_can_be_searched_above_a_floor(tmp_path):
    recipe = noise_recipe(trials=7, objective="merged", metric="accuracy", min_accuracy=20.0)
    run = sweeper.tuning.run(recipe, str(tmp_path))
    assert (run.status, run.trials, run.stopped_early) == ("done", 7, "")
    table = read_records(run.path)
    table = table[(table.metric == "accuracy") & (table.split == "validation")]
    single = table[table.batchnorm == "recalibrated"].groupby("trial").f_mean.mean()
    objective = read_trials(run.path).set_index("trial").objective
    assert objective.min() == 0.0
    assert (objective[single < 20.0] == 0.0).all()
    assert (objective[single > 50.0] > 20.0).all()
