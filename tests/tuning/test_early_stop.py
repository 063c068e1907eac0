"""Hopeless trials are ended, what that saves is counted, and a resumed run leaves them ended."""

import numpy as np
import pandas as pd
import pytest

import sweeper.tuning
from analysis.reading import read_records, read_trials
from analysis.records import Outcome, Stage
from analysis.table import Selection
from search_spaces import parse_recipe
from search_spaces.recipe import Search
from search_spaces.resources import Retention
from sweeper.commands.status import status_info
from sweeper.store import Ledger
from sweeper.trial import run_trial
from sweeper.tuning.search.early import EarlyStop
from tests.tiny import fresh_store, tiny
from tests.tuning.recipes import small_recipe

SELECTION = Selection()
SEARCH = Search(trials=20, early_stop=True)
GAINS = 0.5 * np.array([0.1, 0.4, 0.7, 0.95, 1.0, 0.9, 0.85, 0.3, -2.0, -3.0])
"""Of trials at ten noise scales from 1e-4 upward; the last two lie beyond a cliff."""


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A real record of the loss, to be given other gains."""
    stages = run_trial(tiny(), fresh_store(tmp_path_factory.mktemp("record")))
    return next(r for r in next(stages).records if (r.metric, r.split) == ("loss", "validation"))


@pytest.fixture
def give(record, tmp_path):
    """Writes trials to a ledger, which is an attribute of it."""
    ledger = Ledger(str(tmp_path), "run")

    def stages(place, gains, status="ok"):
        update = {"noise_scale": 10**place, "status": status}
        return {
            step: Stage(
                trial=f"{place}",
                attempt=0,
                branch_step=step,
                records=(record.model_copy(update={**update, "gain": gain, "branch_step": step}),),
                measurements=(),
                trained={},
            )
            for step, gain in enumerate(gains)
        }

    def give(place, gains, status="ok", saved=0.0):
        for stage in stages(place, gains, status).values():
            ledger.stage(stage)
        ledger.outcome(
            Outcome(
                trial=f"{place}", attempt=0, number=0, status=status, objective=float(np.mean(gains)),
                epochs_trained=8.0, wall_seconds=1.0, cpu_seconds=1.0, host="x", time=0.0, epochs_saved=saved,
            )
        )  # fmt: skip

    give.stages, give.ledger = stages, ledger
    return give


def views(gain, seed):
    """Gains at three branch points, growing to `gain`'s own size."""
    return list(gain * np.array([0.8, 0.9, 1.0]) + 0.005 * np.random.default_rng(seed).standard_normal(3))


def test_only_complete_trials_are_learned_from_and_a_hopeless_one_is_told_its_expected_objective(give):
    rule = EarlyStop(give.ledger, SEARCH, SELECTION)
    for index, gain in enumerate(GAINS[:7]):
        give(-4 + index / 4, views(gain, index))
    give(-1.9, views(0.45, 99)[:1], saved=4.0)
    rule.refresh()
    assert rule.judge(give.stages(-1.0, [-2.0])) is None
    for index, gain in enumerate(GAINS[7:], start=7):
        give(-4 + index / 4, views(gain, index))
    rule.refresh()
    foretold = rule.judge(give.stages(-1.0, [-0.8]))
    assert foretold.objective == pytest.approx(-0.9, abs=0.1)
    assert 0 < foretold.sem < 0.2
    assert rule.judge(give.stages(-1.0, [-0.8, -0.85])).objective == pytest.approx(-0.9, abs=0.05)
    assert rule.judge(give.stages(-2.0, [0.3])) is None
    # What the search is told of a trial as low as that is the floor.
    assert rule.judge(give.stages(-1.0, [-40.0])).objective == -3.0


def test_a_collapse_is_believed_only_beyond_two_others(give):
    rule = EarlyStop(give.ledger, SEARCH, SELECTION)
    give(-3.0, views(0.4, 0))
    give(-1.0, [0.0, 0.0, 0.0], status="at_chance")
    rule.refresh()
    lost = give.stages(-0.2, [0.0], status="at_chance")
    assert rule.judge(lost) is None
    give(-0.5, [0.0, 0.0, 0.0], status="at_chance")
    rule.refresh()
    assert rule.judge(lost).objective == -3.0
    assert rule.judge(give.stages(-2.0, [0.0], status="at_chance")) is None


def test_a_trial_that_has_had_enough_trains_and_keeps_nothing_more(tmp_path):
    store, asked = fresh_store(tmp_path), []

    def enough(stages):
        asked.append(sorted(stages))
        return True

    [stage] = run_trial(tiny(), store, retention=Retention(keep="records"), enough=enough)
    assert asked == [[stage.branch_step]]
    assert not any(store.contains(key) for key in stage.trained)
    # A trial that died after this branch point is not trained further either.
    assert not list(run_trial(tiny(), store, done={stage.branch_step: stage}, enough=enough))


def test_branch_points_that_are_under_way_when_a_trial_has_had_enough_still_count(tmp_path):
    def one_behind(trial, steps):
        sent = []
        for step in steps:
            sent.append(trial.stage(step))
            if len(sent) > 1:
                yield sent.pop(0)
        yield from sent

    store, seen = fresh_store(tmp_path), []

    def enough(stages):
        seen.append(sorted(stages))
        return len(stages) == 2

    config, kept = tiny({"trunk/epochs": 5}), Retention(keep="records")
    stages = list(run_trial(config, store, retention=kept, enough=enough, branches=one_behind))
    assert [stage.branch_step for stage in stages] == [6, 12, 18]
    assert seen == [[6], [6, 12]], "it is asked as soon as there is anything to judge by"
    assert not list(store.keys())


def test_whether_trials_may_be_ended_is_no_part_of_what_a_recipe_is():
    content = small_recipe(
        space={"train/noise_scale": {"low": 1e-3, "high": 1.0, "log": True}}, search={"trials": 9}
    ).model_dump(mode="json")
    assert parse_recipe(content, {"search/early_stop": True}).identity() == parse_recipe(content).identity()


@pytest.fixture(scope="module")
def ended(ray_cluster, tmp_path_factory):
    """A random search in noise scales most of which are too large to learn anything at."""
    recipe = small_recipe(
        space={"train/noise_scale": {"low": 1.0, "high": 100.0, "log": True}},
        search={"sampler": "random", "trials": 6, "early_stop": True},
        resources={"concurrency": 1},
    )
    return sweeper.tuning.run(recipe, str(tmp_path_factory.mktemp("ended")))


def test_a_run_ends_hopeless_trials_and_says_what_that_saved(ended):
    assert (ended.status, ended.trials) == ("done", 6)
    trials = read_trials(ended.path).set_index("trial")
    points = read_records(ended.path).groupby("trial").branch_step.nunique()
    early = trials.epochs_saved > 0
    assert early.any()
    assert not early.iloc[:2].any()
    assert (points[early.index] == np.where(early, 1, 2)).all()
    # Two branch points after 2 epochs of trunk each, two branches of an epoch: 8 in all.
    assert (trials.epochs_trained + trials.epochs_saved == 8).all()
    status = status_info(ended.path)
    assert (status.ended_early, status.epochs_saved) == (early.sum(), 4.0 * early.sum())


def test_resumed_it_leaves_them_ended(ended):
    before = read_trials(ended.path)
    again = sweeper.tuning.resume(ended.path)
    assert (again.status, again.trials) == ("done", 6)
    pd.testing.assert_frame_equal(read_trials(ended.path), before)
