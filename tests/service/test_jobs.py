"""Sweeps as jobs of a real Ray."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from analysis.reading import read_trials
from search_spaces import to_yaml
from sweeper.cli import execute
from sweeper.jobs import JobInfo, Jobs, check_reachable_storage
from sweeper.store import Ledger
from sweeper.tuning.cluster import ClusterError
from tests.tuning.recipes import small_recipe

pytestmark = pytest.mark.filterwarnings("ignore:ssl=None is deprecated")  # by what Ray gives aiohttp
LONG = {"trunk": {"epochs": 4000, "branch_every": 40}}


def wait(jobs: Jobs, run: str, seconds: float = 120.0) -> JobInfo:
    end = time.monotonic() + seconds
    while (job := jobs.find(run)).active:
        assert time.monotonic() < end, job
        time.sleep(0.3)
    return job


@pytest.mark.slow
def test_a_job_is_begun_once_followed_stopped_and_gone_on_with(jobs, tmp_path):
    storage, recipe = str(tmp_path), small_recipe(**LONG)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: jobs.submit(recipe, storage, "long"), range(4)))
    assert sorted(begun for _, begun in answers) == [False, False, False, True]
    assert {job.id for job, _ in answers} == {"long"}
    ledger = Ledger(storage, "long")
    while not ledger.suggestions():
        time.sleep(0.3)
    assert jobs.submit(recipe, storage, "long")[1] is False
    ledger.request_stop()
    log = "".join(jobs.follow(answers[0][0]))
    assert log.count("draining") == 1
    assert "Traceback" not in log
    stopped = wait(jobs, "long")
    assert stopped.status == "FAILED"
    assert stopped.reason.startswith("stopped after ")
    again, begun = jobs.submit(recipe, storage, "long")
    assert (again.id, begun) == ("long~2", True)
    while not ledger.driven():
        time.sleep(0.3)
    jobs._client.stop_job(again.id)  # as `ray job stop` does
    assert wait(jobs, "long").status == "STOPPED"
    assert not ledger.driven(), "drained, not killed: the lease was given back"


@pytest.mark.slow
def test_modules_that_a_recipe_names_travel_with_it(jobs, tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(
        "from sweeper.data import build_task\n"
        "def task(): return build_task('digits', {'train_size': 100, 'validation_size': 200})\n"
    )
    monkeypatch.chdir(tmp_path)
    recipe = small_recipe(task={"name": "own:task"}, train={"noise_scale": 0.01, "batch_size": 16})
    jobs.submit(recipe, str(tmp_path), "own")
    job = wait(jobs, "own")
    assert job.status == "SUCCEEDED", job.message
    assert set(read_trials(Ledger(str(tmp_path), "own").path).status) == {"ok"}


@pytest.mark.slow
def test_a_recipe_that_cannot_run_says_why(jobs, tmp_path):
    recipe = small_recipe(train={"noise_scale": 0.01, "batch_size": 16}, merges=[{"kind": "ties"}])
    jobs.submit(recipe, str(tmp_path), "cannot")
    job = wait(jobs, "cannot")
    assert job.status == "FAILED"
    assert "Traceback" not in job.message


@pytest.mark.slow
def test_the_command_submits_and_follows(head, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(to_yaml(small_recipe()))
    submit = ["submit", "small.yaml", "--address", head, "--python", sys.executable, "--name", "small"]
    assert execute([*submit, "--follow"]) == 0
    out = capfd.readouterr().out
    assert f"{tmp_path}/sweeps/runs/small is submitted as job small, pending" in out
    assert "4 of 4 trials" in out


def test_storage_must_be_where_the_cluster_sees_it():
    assert check_reachable_storage("s3://bucket/sweeps", "http://head:8265") == "s3://bucket/sweeps"
    assert check_reachable_storage("/mnt/sweeps", "http://head:8265") == "/mnt/sweeps"
    assert check_reachable_storage("sweeps", "http://localhost:8265") == str(Path("sweeps").resolve())
    with pytest.raises(ValueError, match="can't see a folder of this machine; give a URL such as"):
        check_reachable_storage("sweeps", "http://head:8265")


@pytest.mark.parametrize(
    ("address", "reason"), [("head:8265", "give the dashboard's"), ("http://127.0.0.1:1", "connect")]
)
def test_a_dashboard_that_is_not_there(address, reason):
    with pytest.raises(ClusterError, match=f"--address {address}: .*{reason}"):
        Jobs(address)
