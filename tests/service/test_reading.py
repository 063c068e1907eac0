"""What the service says of a run is what the ledger holds; the cluster may be away."""

import io
import json
import shutil
import socket
import time
from dataclasses import asdict

import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

from analysis.reading import read_records
from sweeper.commands.status import status_info
from sweeper.store import Ledger
from tests.service.serving import client, serving


@pytest.fixture(scope="module")
def own(planted, tmp_path_factory):
    """A copy to write into."""
    return str(shutil.copytree(planted, tmp_path_factory.mktemp("own") / "storage"))


@pytest.fixture(scope="module")
def api(own):
    with serving(own) as root, client(root) as found:
        yield found


def test_status_is_that_of_the_command(api, own):
    answer = api.get("/sweeps/demo")
    assert answer.status_code == 200
    sweep, expected = answer.json(), status_info(f"{own}/runs/demo")
    for name in (
        "state",
        "recipe",
        "scale",
        "total",
        "done",
        "ok",
        "diverged",
        "at_chance",
        "failed",
        "epochs",
    ):
        assert sweep[name] == getattr(expected, name), name
    assert sweep["peak"] == asdict(expected.peak)
    assert [each["name"] for each in api.get("/sweeps").json()["sweeps"]] == ["demo"]
    assert api.get("/sweeps", params={"offset": 1}).json() == {"sweeps": [], "total": 1}


READERS = {
    "csv": lambda content: pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False),
    "json": lambda content: pd.DataFrame(json.loads(content)),
    "arrow": lambda content: pa.ipc.open_stream(content).read_all().to_pandas(),
    "parquet": lambda content: pd.read_parquet(io.BytesIO(content)),
}


@pytest.mark.parametrize("format_", ["arrow", "parquet"])
def test_records_are_read_back_equal(api, own, format_):
    table = READERS[format_](api.get("/sweeps/demo/records", params={"format": format_}).content)
    assert_frame_equal(table, read_records(f"{own}/runs/demo"), check_exact=True)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/json", "application/json"),
        ("text/x-unknown, application/vnd.apache.arrow.stream;q=0.5", "application/vnd.apache.arrow.stream"),
        ("*/*", "application/json"),
    ],
)
def test_the_format_of_records_is_negotiated(api, own, accept, kind):
    answer = api.get("/sweeps/demo/records", headers={"Accept": accept})
    assert answer.headers["content-type"] == kind
    format_ = next(name for name in READERS if name in kind)
    assert len(READERS[format_](answer.content)) == len(read_records(f"{own}/runs/demo"))


def test_what_is_known_is_not_sent_again(api):
    first = api.get("/sweeps/demo/records")
    again = api.get("/sweeps/demo/records", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_report_is_one_page_under_a_policy_of_its_own(api):
    answer = api.get("/sweeps/demo/report")
    assert answer.status_code == 200
    assert "S*" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts")
    assert "default-src 'none'" in policy
    assert "allow-same-origin" not in policy


def test_figures_are_those_of_the_dashboard(api):
    figures = api.get("/sweeps/demo/figures").json()
    assert set(figures) == {"collapse", "posterior"}
    assert all(figure["data"] for figure in figures.values())


def test_an_ended_sweep_is_one_event(api):
    text = api.get("/sweeps/demo/events").text
    assert text.count("event: sweep") == 1
    assert '"state":"done"' in text


def test_what_changes_is_seen(api, own):
    ledger = Ledger(own, "demo")
    before = api.get("/sweeps/demo/records").headers["etag"]
    ledger.request_trials(50)
    ledger.request_stop()
    for _ in range(60):
        if (sweep := api.get("/sweeps/demo").json())["state"] != "done":
            break
        time.sleep(0.5)
    assert (sweep["state"], sweep["total"]) == ("stopped", 50)
    assert api.get("/sweeps/demo/records").headers["etag"] != before


def test_reads_go_on_while_the_cluster_says_nothing(planted):
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections, and leaves them at that
    with serving(planted, f"http://127.0.0.1:{silent.getsockname()[1]}") as root, client(root) as api:
        assert api.get("/sweeps/demo").json()["state"] == "done"
        assert api.get("/health").json()["cluster"] is False
        silent.close()


def test_health_says_that_the_cluster_is_away(api):
    health = api.get("/health").json()
    assert (health["status"], health["storage"], health["cluster"]) == ("degraded", True, False)
    answer = api.post("/sweeps", json={"recipe": "digits", "scale": "smoke"})
    assert answer.status_code == 503
    assert "127.0.0.1:1" in answer.json()["detail"]
