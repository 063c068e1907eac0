"""The API keeps what its OpenAPI says, whatever schemathesis sends to it."""

import contextlib

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
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


@pytest.fixture(scope="module")
def api(planted):
    with serving(planted, rate=1_000_000) as root:
        yield root


@pytest.fixture(scope="module")
def schema(api):
    return schemathesis.openapi.from_url(f"{api}/api/v1/openapi.json")


def test_no_request_is_an_error_of_ours(schema):
    tested = []
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            with contextlib.suppress(Unsatisfiable):  # an operation without parameters takes nothing wrong
                _send(operation.as_strategy(generation_mode=mode))
        tested.append(operation.label)
    assert len(tested) == 13


def _send(strategy):
    @given(strategy)
    @settings(
        max_examples=10, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def send(case):
        response = case.call()
        if response.status_code == 503:
            # The cluster is away: what could be run can't.
            assert "127.0.0.1:1" in response.text
        else:
            case.validate_response(response, checks=CHECKS)

    send()


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
