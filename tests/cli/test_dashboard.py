"""The live view: a real server over real runs, asked as the page asks it."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from functools import partial
from pathlib import Path

import pytest

from analysis.reading import read_records, read_run_info
from analysis.records import Outcome
from analysis.verdict import verdict
from sweeper.commands.dashboard import Dashboard
from sweeper.store import Ledger


def ask(dashboard: Dashboard, path: str, method: str = "GET") -> bytes:
    url = f"http://127.0.0.1:{dashboard.server.server_port}{path}"
    request = urllib.request.Request(url, method=method, headers={"Accept-Encoding": "identity"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def study_of(dashboard: Dashboard) -> dict:
    return json.loads(ask(dashboard, "/api/studies/0"))


def attributes(trial: dict) -> dict[str, str]:
    return {attribute["key"]: attribute["value"] for attribute in trial["user_attrs"]}


def test_the_study_holds_the_trials_of_the_ledger(finished_run, serve):
    study, ledger = study_of(serve(finished_run.path)), Ledger.at(finished_run.path)
    suggestions, outcomes = ledger.suggestions(), ledger.outcomes()
    assert study["name"] == ledger.run
    assert study["directions"] == ["maximize"]
    assert [attributes(trial)["trial"] for trial in study["trials"]] == [s.trial for s in suggestions]
    for trial, suggestion in zip(study["trials"], suggestions, strict=True):
        outcome = outcomes[suggestion.trial]
        assert (trial["state"], trial["values"]) == ("Complete", [outcome.objective])
        assert attributes(trial)["status"] == outcome.status
        assert float(attributes(trial)["epochs"]) == outcome.epochs_trained
        shown = {each["name"]: each["param_internal_value"] for each in trial["params"]}
        assert shown == suggestion.overrides


def test_branch_points_are_intermediate_values(finished_run, serve):
    found, table = verdict(finished_run.path), read_records(finished_run.path)
    chosen = found.selection.rows(table).set_index(["trial", "branch_step"])["gain"]
    for trial in study_of(serve(finished_run.path))["trials"]:
        name = attributes(trial)["trial"]
        shown = {each["step"]: each["value"] for each in trial["intermediate_values"]}
        assert shown == pytest.approx(chosen.loc[name].dropna().to_dict())
        (index,) = (found.curve.trial == name).nonzero()[0]
        assert float(attributes(trial)["gain"]) == pytest.approx(found.curve.gain[index])
        assert float(attributes(trial)["sem"]) == pytest.approx(found.curve.sem[index])


def test_figures_and_verdict_are_in_the_study(finished_run, serve):
    study, found = study_of(serve(finished_run.path)), verdict(finished_run.path)
    figures = {each["id"]: json.loads(each["graph_object"]) for each in study["plotly_graph_objects"]}
    assert set(figures) == {"collapse", "posterior"}
    assert all(figure["data"] and figure["layout"]["shapes"] for figure in figures.values())
    note = study["note"]["body"]
    assert f"# S* = {found.point.noise_scale:.3g}, 95% interval {found.point.low:.3g}" in note
    assert "6 trials: " in note
    assert all(warning in note for warning in found.warnings)
    for each in found.recommendations:
        assert f"| {each.batch_size} | {each.momentum:g} | {each.lr:.3g} |" in note


def test_the_page_is_there(finished_run, serve):
    dashboard = serve(finished_run.path)
    assert b"<title>Optuna Dashboard</title>" in ask(dashboard, "/dashboard/studies/0")
    assert len(ask(dashboard, "/static/bundle.js")) > 1e6


def test_only_this_machine_reaches_it(finished_run, serve):
    assert serve(finished_run.path).server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("path", "method"),
    [("/api/studies/0", "DELETE"), ("/api/studies/0/note", "PUT"), ("/api/trials/0/tell", "POST")],
)
def test_the_page_changes_nothing(finished_run, serve, path, method):
    dashboard = serve(finished_run.path)
    before = study_of(dashboard)
    with pytest.raises(urllib.error.HTTPError, match="405"):
        ask(dashboard, path, method)
    assert study_of(dashboard) == before


def test_the_run_is_only_read(own_run, serve):
    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in own_run.parents[1].rglob("*")}

    before = files()
    study_of(serve(str(own_run)))
    assert files() == before


@pytest.fixture(params=["local", "memory"])
def storage(request, tmp_path):
    """A storage on disk, and one on an object store."""
    return str(tmp_path / "storage") if request.param == "local" else f"memory://{uuid.uuid4().hex}"


def test_a_run_that_goes_on_shows_it(finished_run, storage, serve, monkeypatch):
    monkeypatch.setattr("sweeper.commands.watch.LEAST_SECONDS", 0.1)
    monkeypatch.setattr("sweeper.commands.watch.SHARE", 1.0)
    source, run = Ledger.at(finished_run.path), Ledger(storage, "growing")
    run.create(read_run_info(finished_run.path).model_copy(update={"run": "growing"}))
    dashboard = serve(run.path)

    def soon(expected: list[str]) -> dict:
        """Wait until the page shows trials in these states, and return the study."""
        for _ in range(100):
            study = study_of(dashboard)
            if [trial["state"] for trial in study["trials"]] == expected:
                return study
            time.sleep(0.1)
        raise AssertionError(f"{study['trials']} are not {expected}")

    empty = soon([])
    assert empty["plotly_graph_objects"] == []
    assert empty["note"]["body"].startswith("# No critical noise scale yet\n\nThere are no records yet.")
    first, second, *others = source.suggestions()
    for suggestion in (first, second):
        run.suggest(suggestion)
    soon(["Running", "Running"])
    stages = source.stages(first.trial)
    for stage in stages.values():
        run.stage(stage)
    run.outcome(source.outcomes()[first.trial])
    lost = {
        "epochs_trained": 0.0,
        "wall_seconds": 1.0,
        "cpu_seconds": 1.0,
        "host": "here",
        "time": time.time(),
    }
    run.outcome(
        Outcome(
            trial=second.trial,
            attempt=0,
            number=1,
            status="failed",
            objective=None,
            error="worker died",
            **lost,
        )
    )
    study = soon(["Complete", "Fail"])
    assert [value["step"] for value in study["trials"][0]["intermediate_values"]] == list(stages)
    assert attributes(study["trials"][1])["error"] == "worker died"
    for suggestion in (second, *others):
        run.suggest(suggestion)
        for stage in source.stages(suggestion.trial).values():
            run.stage(stage.model_copy(update={"attempt": 1}))
        run.outcome(source.outcomes()[suggestion.trial].model_copy(update={"attempt": 1}))
    study = soon(["Complete"] * 6)
    assert "error" not in attributes(study["trials"][1])
    assert study["note"]["body"].startswith("# S* = ")
    assert len(study["plotly_graph_objects"]) == 2


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_ctrl_c_ends_it(finished_run, tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "sweeper", "dashboard", finished_run.path, "--port", f"{port}"]
    # Where the tests run in the background of a shell, SIGINT is ignored, and so it would be here.
    listening = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listening
    ) as running:
        line = running.stdout.readline()
        assert line.startswith(f"http://127.0.0.1:{port}/dashboard/studies/0 ")
        with urllib.request.urlopen(line.split()[0], timeout=10) as answer:
            assert answer.status == 200
        running.send_signal(signal.SIGINT)
        assert running.communicate(timeout=30) == ("", "")
    assert running.returncode == 0


def test_a_taken_port_is_named(finished_run, sweeper):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answer = sweeper("dashboard", finished_run.path, "--port", f"{port}")
    assert answer.status == 2
    assert answer.err == f"error: --port {port}: Address already in use; name another --port\n"


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_wrong_port_is_named(port, finished_run, sweeper):
    answer = sweeper("dashboard", finished_run.path, "--port", port)
    assert answer.status == 2
    assert "--port" in answer.err
    assert len(answer.err.splitlines()) == 1


def test_without_optuna_dashboard_it_says_what_to_install(finished_run, sweeper, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    answer = sweeper("dashboard", finished_run.path)
    assert answer.status == 2
    assert answer.err.endswith("pip install 'sweeper[dashboard]'\n")


def test_a_damaged_run_is_named(own_run, sweeper):
    next((own_run / "compact").glob("records-*.parquet")).write_bytes(b"PAR1 cut off")
    answer = sweeper("dashboard", str(own_run), "--port", f"{free_port()}")
    assert answer.status == 2
    assert "is missing or damaged" in answer.err
