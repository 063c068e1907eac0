"""What becomes of trials that hang, run out of memory, or fail by the dozen."""

import signal
import time

import pytest
import torch
from ray.exceptions import ActorUnavailableError, NodeDiedError, OutOfMemoryError

import sweeper.tuning
from analysis.reading import read_trials
from analysis.records import Outcome, Suggestion
from search_spaces.resources import Limits
from sweeper.tuning.failures import FIRST, RECENT, Failures, back_off, cause_of, record_losses
from sweeper.tuning.job import Job, Suggested, grid_order
from sweeper.tuning.workers.watch import Overdue, Watch
from tests.tuning.recipes import small_recipe
from tests.tuning.test_sweep import imported


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError(), "memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "memory"),
        (OutOfMemoryError("Task was killed due to the node running low on memory."), "memory"),
        (NodeDiedError("The node has failed"), "node"),
        (ActorUnavailableError("RPC error: Socket closed", b"0" * 16), "node"),
        (ZeroDivisionError("division by zero"), "trial"),
    ],
)
def test_the_cause_of_a_death_is_told_from_its_text(error, cause):
    assert cause_of(f"Traceback\n{type(error).__name__}: {error}") == cause


def test_who_ran_out_of_memory_gets_one_turn_alone():
    failures = Failures()
    failures.died(Suggested(3, {}), "MemoryError")
    assert failures.take() == ([Suggested(3, {})], False)
    assert not failures.to_do
    failures.died(Suggested(3, {}), "MemoryError: again")
    assert not failures.to_do
    assert failures.lost == [(Suggested(3, {}), "MemoryError: again")]


def test_the_death_of_a_node_is_no_failure():
    failures = Failures()
    for _ in range(100):
        failures.died(Suggested(1, {}), "The actor died because its node has died.")
        assert failures.take() == ([Suggested(1, {})], True)
    assert failures.lost == []
    assert failures.storm == ""


def test_a_sweep_in_which_nothing_works_is_ended_soon():
    failures = Failures()
    for _ in range(FIRST):
        assert failures.storm == ""
        failures.retried("Traceback\nValueError: wrong")
    assert failures.storm == f"the first {FIRST} attempts all failed, most often with: ValueError: wrong"


def test_a_storm_after_a_calm_ends_the_sweep_and_single_failures_do_not():
    failures = Failures()
    failures.reported()
    for _ in range(200):
        failures.ended()
        failures.retried("TypeError: rare")
    assert failures.storm == ""
    for _ in range(RECENT):
        failures.retried("OSError: commonest")
    assert "attempts failed, most often with: " in failures.storm


def test_back_off_grows_and_differs():
    waits = [[back_off(failures) for _ in range(20)] for failures in (1, 3, 20)]
    assert max(waits[0]) < min(waits[1]) < max(waits[1]) < min(waits[2])
    assert len(set(waits[2])) > 1
    assert max(waits[2]) <= 60


def test_a_trial_that_dies_after_its_end_is_not_lost(tmp_path):
    job = Job(small_recipe(), str(tmp_path), "run")
    done, lost = (Suggested(number, point) for number, point in enumerate(grid_order(job.recipe)[:2]))
    trial, config = job.trial(done)
    common = {"trial": trial, "attempt": 0, "number": 0, "time": 0.0}
    job.ledger().suggest(
        Suggestion(overrides=dict(done.point), config=config.model_dump(mode="json"), **common)
    )
    cost = {"epochs_trained": 1.0, "wall_seconds": 1.0, "cpu_seconds": 1.0, "host": ""}
    job.ledger().outcome(Outcome(status="ok", objective=0.0, **cost, **common))
    assert record_losses(job, [(done, "died"), (lost, "died")]) == 1
    statuses = {outcome.number: outcome.status for outcome in job.ledger().outcomes().values()}
    assert statuses == {0: "ok", 1: "failed"}


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"silence_hours": 1e-5}, "reported nothing for 1e-05 h"),
        ({"deadline_hours": 1e-5}, "past its deadline"),
    ],
)
def test_what_hangs_is_interrupted(limits, reason):
    watch, before = Watch(Limits(**limits)), signal.getsignal(signal.SIGALRM)
    with pytest.raises(Overdue, match=reason), watch():
        time.sleep(60)
    with watch():
        pass
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@pytest.mark.slow
def test_a_trial_that_hangs_is_ended_and_retried(ray_cluster, tmp_path):
    recipe = imported("hanging_model", [0.01], marker=str(tmp_path / "hung"))
    recipe = recipe.model_copy(update={"limits": Limits(silence_hours=30 / 3600)})
    run = sweeper.tuning.run(recipe, str(tmp_path / "sweeps"))
    assert (tmp_path / "hung").exists()
    assert (run.status, run.trials, run.failed) == ("done", 1, 0)


@pytest.mark.parametrize("killed", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_trials_that_need_the_memory_of_two_run_alone(ray_cluster, tmp_path, killed):
    (tmp_path / "inside").mkdir()
    recipe = imported("hungry_model", [0.01, 0.02], folder=str(tmp_path / "inside"), killed=killed)
    recipe = recipe.model_copy(update={"trunk": recipe.trunk.model_copy(update={"epochs": 2})})
    run = sweeper.tuning.run(recipe, str(tmp_path / "sweeps"))
    assert (run.status, run.trials, run.failed, run.storm) == ("done", 2, 0, "")
    deaths = len((tmp_path / "inside deaths").read_text())
    assert 1 <= deaths <= 2, "neither died beside the other twice"


def test_a_storm_of_failures_ends_the_sweep_and_names_the_commonest(ray_cluster, tmp_path):
    (tmp_path / "broken").touch()
    recipe = imported("broken_model", [0.01 * n for n in range(1, 9)], only_if=str(tmp_path / "broken"))
    run = sweeper.tuning.run(recipe, str(tmp_path / "sweeps"))
    assert run.status == "failed"
    assert "attempts all failed, most often with: RuntimeError: the network is broken" in run.storm
    assert run.failed < 8
    assert len(read_trials(run.path)) < 8
