"""The searcher survives what sweeps meet: NaN, lost, late and repeated results, and the driver's death."""

import math
import time

import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from analysis.records import Outcome
from sweeper.measuring import floor_of
from sweeper.tuning.job import Job, Suggested, grid_order
from sweeper.tuning.searcher import History, NoiseSearch
from tests.tuning.recipes import adaptive_recipe, small_recipe


def job_for(recipe, tmp_path):
    return Job(recipe, str(tmp_path), "run")


def search_for(job, concurrency=100, draining=lambda: False):
    return NoiseSearch(History(job), draining, concurrency)


def finish(job, config, objective, status="ok"):
    suggested = Suggested.from_config(config["suggested"])
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
        )
    )


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
        assert recorded.overrides == config["suggested"]["point"]
        assert recorded.config == job.recipe.trial(config["suggested"]["point"]).model_dump(mode="json")


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
    assert [suggested["number"] for suggested in new] == [4, 5]
    old = [config["suggested"]["point"] for config in points]
    assert all(suggested["point"] not in old for suggested in new), (
        "a fresh sampler must not repeat its draws"
    )
    assert second.suggest("one too many") == Searcher.FINISHED


def test_a_damaged_suggestion_neither_runs_a_finished_point_again_nor_stays_damaged(tmp_path):
    job = job_for(small_recipe(), tmp_path)
    history = History(job)
    done, waiting = history.unfinished[:2]
    for suggested in (done, waiting):
        history.record(suggested)
        path = tmp_path / "runs" / "run" / "parts" / job.trial(suggested)[0] / "0" / "suggested.json"
        path.write_bytes(path.read_bytes()[:40])
    finish(job, {"suggested": done.to_config()}, 0.5)

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
