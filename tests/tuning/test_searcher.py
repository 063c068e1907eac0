"""The searcher survives what sweeps meet: NaN, lost, late and repeated results, and the driver's death."""

import math
import time

import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from analysis.records import Outcome, RunInfo
from search_spaces import parse_recipe
from sweeper.measuring import floor_of
from sweeper.tuning.job import Job, grid_order
from sweeper.tuning.search.searcher import History, NoiseSearch
from tests.tuning.recipes import adaptive_recipe, small_recipe


def job_for(recipe, tmp_path):
    return Job(recipe, str(tmp_path), "run")


def search_for(job, concurrency=100, draining=lambda: False):
    return NoiseSearch(History(job), draining, concurrency)


def finish(job, config, objective, status="ok", sem=None):
    suggested = config["suggested"]
    job.ledger().outcome(
        Outcome(
            trial=job.trial(suggested)[0],
            attempt=0,
            number=suggested.number,
            status=status,
            objective=objective,
            epochs_trained=1.0,
            wall_seconds=1.0,
            cpu_seconds=1.0,
            host="here",
            time=time.time(),
            sem=sem,
        )
    )


def run_info(job):
    recipe = job.recipe.model_dump(mode="json")
    return RunInfo(run="run", recipe=recipe, versions={}, hardware={}, command="", time=0.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_a_result_that_is_not_finite_is_told_as_the_floor(tmp_path, value):
    job = job_for(adaptive_recipe(3), tmp_path)
    search = search_for(job)
    search.suggest("a")
    search.on_trial_complete("a", {"objective": value})
    (told,) = search._study.trials
    assert told.state == TrialState.COMPLETE
    assert told.value == floor_of(job.recipe.search)


def test_lost_late_and_repeated_results_do_no_harm(tmp_path):
    search = search_for(job_for(adaptive_recipe(5), tmp_path), concurrency=2)
    assert search.suggest("a")
    assert search.suggest("b")
    assert search.suggest("c") is None, "two at once"
    search.on_trial_complete("a", error=True)
    search.on_trial_complete("a", {"objective": 1.0})
    search.on_trial_complete("never suggested", {"objective": 1.0})
    search.on_trial_result("never suggested", {"objective": 1.0})
    assert [trial.state for trial in search._study.trials] == [TrialState.FAIL, TrialState.RUNNING]
    assert search.suggest("c")


def test_the_number_of_trials_is_kept_and_draining_ends_the_search(tmp_path):
    draining = []
    search = search_for(job_for(adaptive_recipe(2), tmp_path), draining=lambda: bool(draining))
    assert search.suggest("a")
    draining.append(True)
    assert search.suggest("b") == Searcher.FINISHED
    draining.clear()
    assert search.suggest("b")
    assert search.suggest("c") == Searcher.FINISHED


def test_every_point_is_in_the_ledger_before_it_is_handed_out(tmp_path):
    job = job_for(adaptive_recipe(4), tmp_path)
    search = search_for(job)
    for number in range(4):
        config = search.suggest(f"trial {number}")
        recorded = job.ledger().suggestions()[number]
        assert recorded.overrides == config["suggested"].point
        assert recorded.config == job.recipe.trial(config["suggested"].point).model_dump(mode="json")


def test_a_new_driver_replays_the_old_one(tmp_path):
    job = job_for(adaptive_recipe(6), tmp_path)
    first = search_for(job)
    points = [first.suggest(f"trial {number}") for number in range(4)]
    finish(job, points[0], 0.5)
    finish(job, points[2], None, status="failed")

    second = search_for(job)
    assert [trial.value for trial in second._study.trials] == [0.5]
    unfinished = [second.suggest(f"again {number}") for number in range(3)]
    assert unfinished == [points[1], points[2], points[3]], "no suggested point is lost"
    new = [second.suggest(f"new {number}")["suggested"] for number in range(2)]
    assert [suggested.number for suggested in new] == [4, 5]
    old = [config["suggested"].point for config in points]
    assert all(suggested.point not in old for suggested in new), "a fresh sampler must not repeat its draws"
    assert second.suggest("one too many") == Searcher.FINISHED


def test_a_damaged_suggestion_neither_runs_a_finished_point_again_nor_stays_damaged(tmp_path):
    job = job_for(small_recipe(), tmp_path)
    history = History(job)
    done, waiting = history.unfinished[:2]
    for suggested in (done, waiting):
        history.record(suggested)
        path = tmp_path / "runs" / "run" / "parts" / job.trial(suggested)[0] / "0" / "suggested.json"
        path.write_bytes(path.read_bytes()[:40])
    finish(job, {"suggested": done}, 0.5)

    again = History(job)
    assert [suggested.number for suggested, _ in again.finished] == [done.number]
    assert again.remaining == 3
    again.record(waiting)
    assert [s.number for s in job.ledger().suggestions()] == [waiting.number]


def test_the_most_trials_ever_asked_for_are_remembered(tmp_path):
    ledger = job_for(adaptive_recipe(3), tmp_path).ledger()
    assert ledger.requested_trials() == 0
    for trials in (3, 80, 5):
        ledger.request_trials(trials)
    assert ledger.requested_trials() == 80


def test_grid_numbers_do_not_depend_on_how_many_trials_are_asked_for():
    whole = grid_order(small_recipe())
    assert sorted(map(str, whole)) == sorted(map(str, small_recipe().grid()))
    part = grid_order(small_recipe(search={"sampler": "grid", "trials": 3}))
    assert part == whole[:3]


def noise_recipe(trials, stop=None, **search):
    return small_recipe(
        space={
            "train/noise_scale": {"low": 1e-3, "high": 1.0, "log": True},
            "train/batch_size": {"values": [10, 20]},
        },
        search={"trials": trials, "stop": stop, **search},
    )


def planted(config):
    """A cliff at S = .1, beyond which trials diverge."""
    noise_scale = config["suggested"].point["train/noise_scale"]
    gain = math.exp(-0.5 * (math.log10(noise_scale / 0.1) / 0.6) ** 2)
    return ("ok", gain, 0.02) if noise_scale < 0.1 else ("diverged", -3.0, None)


def drive(job, concurrency=1):
    """Run a search whose trials end at once, in batches; return how many it handed out."""
    search, count = search_for(job, concurrency), 0
    while True:
        batch = []
        while (config := search.suggest(f"trial {count}")) not in (None, Searcher.FINISHED):
            batch.append((f"trial {count}", config))
            count += 1
        for name, config in batch:
            status, objective, sem = planted(config)
            finish(job, config, objective, status, sem)
            search.on_trial_complete(name, {"objective": objective, "status": status, "sem": sem})
        if config == Searcher.FINISHED:
            return count


@pytest.mark.parametrize("path", ["train/noise_scale", "train/lr"])
def test_the_default_sampler_searches_the_noise_scale(tmp_path, path):
    recipe = small_recipe(
        train={"lr": 0.1, "batch_size": 16},
        space={path: {"low": 1e-3, "high": 1.0, "log": True}, "train/batch_size": {"values": [10, 20]}},
        search={"trials": 6},
    )
    search = search_for(job_for(recipe, tmp_path))
    points = [search.suggest(f"trial {number}")["suggested"].point for number in range(6)]
    assert {point["train/batch_size"] for point in points} == {10, 20}
    parts = {math.floor(2 * math.log10(point[path])) for point in points}
    assert len(parts) == 6 if path == "train/noise_scale" else len(parts) >= 4


def test_what_a_trial_tells_is_replayed(tmp_path):
    job = job_for(noise_recipe(5), tmp_path)
    search = search_for(job)
    told = [(0.5, "ok", 0.1), (-3.0, "diverged", None), (-3.0, "ok", None)]
    for number, (objective, status, sem) in enumerate(told):
        config = search.suggest(f"trial {number}")
        finish(job, config, objective, status, sem)
        result = {"objective": objective, "status": status, "sem": sem}
        search.on_trial_complete(f"trial {number}", result)
    replayed = search_for(job)
    expected = [{"status": "ok", "sem": 0.1}, {"status": "diverged"}, {"status": "low"}]
    for study in (search._study, replayed._study):
        assert [trial.user_attrs for trial in study.trials] == expected
        assert [trial.value for trial in study.trials] == [0.5, -3.0, -3.0]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    storage = tmp_path_factory.mktemp("stopped")
    job = Job(noise_recipe(60, {"within": 1.5}), str(storage), "run")
    return job, drive(job, concurrency=2)


def test_a_located_peak_ends_the_search_and_a_new_driver_knows(stopped):
    job, count = stopped
    assert 8 <= count < 30
    history = History(job)
    assert history.remaining == 0
    assert "located within ×1.5 with probability 0.95, after" in history.stopped_early
    assert int(history.stopped_early.split()[-2]) in (count - 1, count)
    assert search_for(job).suggest("one more") == Searcher.FINISHED


def test_who_asks_for_more_overrules_the_rule(stopped):
    job, count = stopped
    more = Job(parse_recipe(job.recipe.model_dump(mode="json"), {"search/trials": 70}), job.storage, "run")
    job.ledger().create(run_info(job))
    history = History(more)
    assert (history.rule, history.stopped_early, history.remaining) == (None, "", 70 - count)


def test_without_the_rule_the_same_run_goes_on(stopped):
    job, count = stopped
    without = Job(noise_recipe(60), job.storage, "run")
    assert without.recipe.identity() == job.recipe.identity()
    assert History(without).remaining == 60 - count
