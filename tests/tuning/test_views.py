"""What branch points of running trials say reaches the sampler, from a sweep and from the ledger of one."""

import math

import numpy as np
import pytest
from optuna.trial import TrialState

import sweeper.tuning
from analysis.reading import read_records
from search_spaces.recipe import noise_path
from sweeper.store import Ledger
from sweeper.tuning.job import Job
from sweeper.tuning.search.critical_noise import CriticalNoiseSampler
from sweeper.tuning.search.samplers import SAMPLERS
from sweeper.tuning.search.searcher import History, NoiseSearch
from tests.tuning.recipes import small_recipe

POINTS = 2


def recipe(trials, **changes):
    return small_recipe(
        space={
            "train/noise_scale": {"low": 0.01, "high": 0.3, "log": True},
            "train/batch_size": {"values": [10, 20]},
        },
        search={"trials": trials},
        **changes,
    )


FORETOLD = []
"""Of each suggestion, how many running trials were foretold."""


class Watched(CriticalNoiseSampler):
    def known(self, trials, direction):
        pending, known = super().known(trials, direction)
        FORETOLD.append(np.count_nonzero(known.error))
        return pending, known


@pytest.fixture(scope="module")
def searched(ray_cluster, tmp_path_factory):
    """A search with two trials at a time, and where it is stored."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            SAMPLERS, "critical_noise", lambda recipe, seed: Watched(noise_path(recipe.space[0]), seed=0)
        )
        storage = tmp_path_factory.mktemp("searched")
        run = sweeper.tuning.run(recipe(14, resources={"concurrency": 2}), str(storage), name="run")
    return run, str(storage)


def test_a_sweep_shows_its_sampler_what_running_trials_have_given(searched):
    run, _ = searched
    assert (run.status, run.trials, len(FORETOLD)) == ("done", 14, 14)
    assert not any(FORETOLD[:8]), "it takes eight complete trials"
    assert sum(FORETOLD) > 0


def views_by_hand(run):
    """Trial → mean gain over the first branch points, of trials in which no pair has collapsed."""
    table = read_records(run.path)
    chosen = (table.metric == "loss") & (table.split == "validation") & (table.batchnorm == "recalibrated")
    table = table[chosen & (table.alpha == 0.5)]
    alive = table.groupby("trial").filter(lambda rows: (rows.status == "ok").all())
    points = alive.groupby(["trial", "branch_step"]).gain.mean()
    return {trial: gains.expanding().mean().tolist() for trial, gains in points.groupby("trial")}


def test_a_new_driver_knows_all_views_of_finished_and_of_unfinished_trials(searched):
    run, storage = searched
    old, by_hand = Ledger(storage, "run"), views_by_hand(run)
    assert len(by_hand) > 8
    # A driver that died when its last trial that is well had one of its branch points.
    job = Job(recipe(15), storage, "died")
    unfinished = max(by_hand)
    for suggestion in old.suggestions():
        job.ledger().suggest(suggestion)
        stages = old.stages(suggestion.trial)
        kept = sorted(stages)[:1] if suggestion.trial == unfinished else sorted(stages)
        for step in kept:
            job.ledger().stage(stages[step])
        if suggestion.trial != unfinished:
            job.ledger().outcome(old.outcomes()[suggestion.trial])

    history = History(job)
    search = NoiseSearch(history, lambda: False, 2)
    for trial, frozen in zip(history.told, search._study.trials, strict=True):
        found = [frozen.intermediate_values[count] for count in range(1, POINTS + 1)]
        assert found == pytest.approx(by_hand[trial]) if trial in by_hand else math.isnan(found[-1])
    search.suggest("again")
    again = search._study.trials[-1]
    assert again.state == TrialState.RUNNING
    assert again.intermediate_values == pytest.approx(dict(enumerate(by_hand[unfinished][:1], start=1)))
    search.on_trial_result("again", {"view": None, "branch_points": 2})
    assert math.isnan(search._study.trials[-1].intermediate_values[2])


def test_branch_points_at_varying_places_are_not_compared():
    assert recipe(9).compares_branch_points
    once = recipe(9).model_copy(update={"trunk": small_recipe(trunk={"epochs": 4, "branch_every": 4}).trunk})
    assert not once.compares_branch_points
    varied = small_recipe(
        space={
            "train/noise_scale": {"low": 1e-3, "high": 3.0, "log": True},
            "trunk/epochs": {"values": [4, 8]},
        },
        search={"trials": 9},
    )
    assert not varied.compares_branch_points
