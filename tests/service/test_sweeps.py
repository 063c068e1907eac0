"""Sweeps through the API over a real Ray: submitted, stopped, resumed, deleted, told of; never twice."""

import contextlib
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from analysis.reading import read_records, read_trials
from search_spaces import to_yaml
from tests.service.head import free_port
from tests.service.serving import client, serving
from tests.tuning.recipes import small_recipe

ROOT = Path(__file__).parents[2]
YAML = {"Content-Type": "application/yaml"}
LONG = {"trunk": {"epochs": 4000, "branch_every": 40}}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def until(api: httpx.Client, name: str, *states: str, seconds: float = 240.0) -> dict:
    end = time.monotonic() + seconds
    while (sweep := api.get(f"/sweeps/{name}").json())["state"] not in states:
        assert time.monotonic() < end, sweep
        time.sleep(0.5)
    return sweep


class Receiver:
    """A server that takes messages, the first one only when it is sent again."""

    def __init__(self) -> None:
        self.messages: list[tuple[dict[str, str], bytes]] = []
        told = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.append((dict(self.headers), body))
                self.send_response(500 if len(told) == 1 else 204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


def told(receiver: Receiver, name: str) -> str:
    """Wait until the receiver is told of the end of a sweep; return what."""
    end = time.monotonic() + 60
    while True:
        for _, body in receiver.messages:
            if (message := json.loads(body))["sweep"]["name"] == name:
                return message["event"]
        assert time.monotonic() < end
        time.sleep(0.5)


def test_a_sweep_through_the_api(head, tmp_path, receiver):
    recipe, storage = to_yaml(small_recipe(**LONG)), str(tmp_path)
    settings = {"python": sys.executable, "webhook": receiver.url, "webhook_secret": "secret", "sweeps": 1}
    with serving(storage, head, **settings) as root, client(root) as api, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: api.post("/sweeps", content=recipe, headers=YAML), range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
        [name] = {answer.json()["name"] for answer in answers}
        assert answers[0].headers["location"] == f"/api/v1/sweeps/{name}"
        until(api, name, "running")
        assert api.delete(f"/sweeps/{name}").status_code == 409
        other = api.post("/sweeps", json={"recipe": "digits", "scale": "smoke"})
        assert (other.status_code, other.json()["detail"]) == (
            429,
            "as many sweeps as may, 1, run or wait; stop one",
        )
        assert api.post(f"/sweeps/{name}/stop").status_code == 202
        assert until(api, name, "stopped")["done"] < 4
        end = time.monotonic() + 60
        while len(receiver.messages) < 2:
            assert time.monotonic() < end
            time.sleep(0.5)
        (_, first), (headers, again) = receiver.messages
        signed = f"{headers['X-Sweeper-Timestamp']}.".encode() + again
        assert (
            headers["X-Sweeper-Signature"]
            == f"sha256={hmac.new(b'secret', signed, hashlib.sha256).hexdigest()}"
        )
        assert json.loads(first)["id"] == json.loads(again)["id"], "the first was not taken"
        assert json.loads(again)["event"] == "stopped"
        assert api.post(f"/sweeps/{name}/resume").status_code == 202
        until(api, name, "running")
        api.post(f"/sweeps/{name}/stop")
        until(api, name, "stopped")
        while (deleted := api.delete(f"/sweeps/{name}")).status_code == 409:
            time.sleep(0.5)
        assert deleted.status_code == 204
        assert api.get(f"/sweeps/{name}").status_code == 404
        assert not (tmp_path / "runs" / name).exists()
        begun = api.post("/sweeps", content=to_yaml(small_recipe()), headers=YAML)
        assert begun.status_code == 201
        done = until(api, begun.json()["name"], "done")
        assert (done["done"], done["total"]) == (4, 4)
        assert len(read_records(f"{storage}/runs/{done['name']}")) == len(
            api.get(f"/sweeps/{done['name']}/records").json()
        )
        again = api.post("/sweeps", content=to_yaml(small_recipe()), headers=YAML)
        assert (again.status_code, again.json()["job"]) == (200, done["job"]), (
            "what is done is not done again"
        )
        assert told(receiver, done["name"]) == "done"
        check_measured(api, done["name"], f"{storage}/runs/{done['name']}")


def check_measured(api, name, path):
    """A merge that is asked for once the sweep is done is among its records, and asking for nonsense is refused."""
    before = read_records(path)
    assert set(before["merge"]) == {"linear"}
    for nonsense, detail in (
        ({"merge": {"kind": "ties", "density": 2}}, "density"),
        ({"merge": {"kind": "guess"}}, "guess"),
        ({"also": ["guess"]}, "guess"),
        ({}, "nothing to measure"),
    ):
        refused = api.post(f"/sweeps/{name}/measure", json=nonsense)
        assert (refused.status_code, detail in refused.json()["detail"]) == (422, True), refused.text
    what = {"merge": {"kind": "ties", "density": 0.5, "alphas": [0.5, 1.0]}, "also": ["distance"]}
    asked = api.post(f"/sweeps/{name}/measure", json=what)
    assert asked.status_code == 202, asked.text
    assert api.post(f"/sweeps/{name}/measure", json=what).status_code == 409
    end = time.monotonic() + 120
    while len(records := read_records(path)) < 3 * len(before):
        assert time.monotonic() < end, asked.json()
        time.sleep(0.5)
    assert set(records["merge"]) == {"linear", "ties"}
    assert api.get(f"/sweeps/{name}").json()["state"] == "done"


def test_a_sweep_that_cannot_begin_says_why(head, tmp_path, receiver):
    missing = small_recipe(task={"name": "cifar10", "root": str(tmp_path)})
    settings = {"python": sys.executable, "webhook": receiver.url, "webhook_secret": "secret"}
    with serving(str(tmp_path), head, **settings) as root, client(root) as api:
        name = api.post("/sweeps", content=to_yaml(missing), headers=YAML).json()["name"]
        assert "cifar10" in until(api, name, "failed")["reason"].lower()
        assert told(receiver, name) == "failed"


def start(storage: Path, head: str, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sweeper", "serve", "--storage", str(storage), "--address", head]
    return subprocess.Popen(
        [*command, "--port", str(port), "--python", sys.executable], cwd=ROOT, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def submit(port: int, recipe: str, answers: list[httpx.Response]) -> None:
    url = f"http://127.0.0.1:{port}/api/v1/sweeps"
    with contextlib.suppress(httpx.TransportError):  # nobody is there yet, or it is killed meanwhile
        answers.append(httpx.post(url, content=recipe, headers=YAML, timeout=120))


def test_killed_during_a_submit_and_restarted_there_is_one_sweep(head, jobs, tmp_path):
    """Killed at several moments: before Ray was asked, while, and after."""
    port, recipe, answers = free_port(), small_recipe(), []
    text = to_yaml(recipe)
    for delay in (0.3, 1.5, 3.0, 0.1):
        service = start(tmp_path, head, port)
        asking = threading.Thread(target=submit, args=(port, text, []))
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/api/v1/health", timeout=60)
                break
            except httpx.TransportError:
                time.sleep(0.2)
        asking.start()
        time.sleep(delay)
        os.killpg(service.pid, signal.SIGKILL)
        service.wait()
        asking.join()
    service = start(tmp_path, head, port)
    while not answers:
        submit(port, text, answers)
        time.sleep(0.2)
    name = answers[0].json()["name"]
    with client(f"http://127.0.0.1:{port}") as api:
        assert until(api, name, "done")["done"] == 4
        assert [sweep["name"] for sweep in api.get("/sweeps").json()["sweeps"]] == [name]
    os.killpg(service.pid, signal.SIGTERM)
    service.wait(60)
    assert [each.name for each in (tmp_path / "runs").iterdir()] == [name]
    ours = [job for job in jobs._client.list_jobs() if job.metadata.get("sweeper_storage") == str(tmp_path)]
    assert len(ours) == 1, ours
    assert len(read_trials(tmp_path / "runs" / name)) == 4
