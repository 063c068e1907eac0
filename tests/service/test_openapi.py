"""The API keeps what its OpenAPI says, whatever schemathesis sends to it, with and without a cluster."""

import contextlib
import shutil
import sys
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sweeper.service.app import build_app
from sweeper.service.settings import Settings
from tests.service.serving import AWAY, serving

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def test_no_request_is_an_error_of_ours(planted):
    with serving(planted, rate=1_000_000) as root:
        for case, response in _answers(root, examples=10):
            # The cluster is away: what could be run can't.
            if response.status_code != 503 or "127.0.0.1:1" not in response.text:
                case.validate_response(response, checks=CHECKS)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nor_is_it_with_a_cluster(planted, head, tmp_path):
    """Sweeps are begun, stopped, resumed and deleted by it, the run `demo` and one that has not begun among them."""
    storage = shutil.copytree(planted, tmp_path / "storage")
    recipe = {"recipe": "digits", "scale": "smoke"}
    with serving(str(storage), head, python=sys.executable, rate=1_000_000, sweeps=1000) as root:
        statuses = Counter()
        for name in ("demo", "begun"):
            statuses[httpx.post(f"{root}/api/v1/sweeps?name=begun", json=recipe, timeout=60).status_code] += 1
            for case, response in _answers(root, examples=30, name=name):
                assert response.status_code < 500, response.text
                case.validate_response(response, checks=CHECKS)
                statuses[response.status_code] += 1
        assert {200, 201, 202, 204, 404, 409, 422} <= statuses.keys()


def _answers(root: str, examples: int, name: str | None = None) -> Iterator[tuple[Case, Response]]:
    """Yield what is sent to every operation, and its answer; `name` of a sweep in place of half of those made up."""
    schema = schemathesis.openapi.from_url(f"{root}/api/v1/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == 14
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            with contextlib.suppress(Unsatisfiable):  # an operation without parameters takes nothing wrong
                for number, case in enumerate(_cases(operation.as_strategy(generation_mode=mode), examples)):
                    if name and number % 2 and "name" in case.path_parameters:
                        case.path_parameters["name"] = name
                    yield case, case.call(timeout=120)


def _cases(strategy: SearchStrategy[Case], count: int) -> list[Case]:
    """Return as many examples, the same ones each time."""
    found = []

    @given(strategy)
    @settings(
        max_examples=count, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def keep(case):
        found.append(case)

    keep()
    return found


def test_every_operation_is_described(planted):
    document = build_app(Settings(planted, AWAY)).openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            if path != "/api/v1/health":
                assert {"401", "403", "429"} <= operation["responses"].keys(), (method, path)
                assert operation["security"], (method, path)
    body = document["paths"]["/api/v1/sweeps"]["post"]["requestBody"]["content"]
    assert all(kind["examples"] for kind in body.values())
