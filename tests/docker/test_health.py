"""The image's health check asks the process that its container runs."""

import runpy
import shlex
from pathlib import Path

import pytest
import yaml

from sweeper.service.api import public
from sweeper.service.settings import Settings

DOCKER = Path(__file__).parents[2] / "docker"
HEALTH = runpy.run_path(str(DOCKER / "health.py"))
SERVICES = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))["services"]


def command_of(name: str) -> str:
    """Return a container's first process as /proc shows it."""
    started = [*SERVICES[name].get("entrypoint", ["sweeper"]), *SERVICES[name].get("command", [])]
    return shlex.join(["/sbin/docker-init", "--", "python", f"/opt/sweeper/bin/{started[0]}", *started[1:]])


@pytest.mark.parametrize("name", ["head", "worker"])
def test_a_node_of_ray_is_asked_where_its_agent_listens(name):
    assert HEALTH["address"](command_of(name)) == "http://127.0.0.1:52365/api/healthz"


def test_the_service_is_asked_by_http_or_https():
    served, (path,) = command_of("service"), [route.path for route in public.routes]
    assert HEALTH["address"](served) == f"http://127.0.0.1:{Settings.port}{path}"
    assert HEALTH["address"](f"{served} --tls-cert a.pem --tls-key b.pem").startswith("https://")


def test_a_sweep_is_well_while_it_runs():
    assert HEALTH["address"]("/opt/sweeper/bin/python /opt/sweeper/bin/sweeper run digits") is None
    assert HEALTH["address"](command_of("dashboard")) is None
