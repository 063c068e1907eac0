"""The pages without a browser: what they may load, who may see what, and the form."""

import json
import re

import httpx
import pytest

from search_spaces import RECIPES, load_recipe, parse_recipe
from sweeper.service.auth import Tickets, new_token
from sweeper.service.forms import form_fields
from sweeper.service.problems import Refusal
from tests.service.serving import serving

SECRET, TOKEN = new_token("read")


@pytest.fixture(scope="module")
def root(planted):
    with serving(planted, tokens=(TOKEN,)) as found:
        yield found


@pytest.mark.parametrize(
    "path", ["/", "/submit", "/submit?recipe=fig1&scale=paper", "/sweeps/demo", "/sweeps/none"]
)
def test_a_shell_is_for_everyone_and_says_nothing(root, path):
    answer = httpx.get(f"{root}{path}")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'self'; object-src 'none'")
    assert "0.0" not in re.sub(r"(?s)<form id=.submit.*", "", answer.text), "a number of the run"
    for wrong in ("<style", "style=", "onclick", "<script>", "http://", "https://"):
        assert wrong not in answer.text


@pytest.mark.parametrize(
    "path", ["/fragments/sweeps", "/fragments/sweeps/demo", "/fragments/sweeps/demo/report"]
)
def test_what_the_storage_holds_wants_a_token(root, path):
    assert httpx.get(f"{root}{path}").status_code == 401
    answer = httpx.get(f"{root}{path}", headers={"Authorization": f"Bearer {SECRET}"}, timeout=60)
    assert answer.status_code == 200
    assert "demo" in answer.text


def test_texts_of_users_are_texts(root, planted):
    answer = httpx.get(f"{root}/submit", params={"recipe": "<script>"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("ticket", ["", "x", "1.x", f"99999999999.{'0' * 64}", Tickets().issue("demo")])
def test_a_report_wants_a_ticket_of_this_service(root, ticket):
    assert httpx.get(f"{root}/report/demo", params={"ticket": ticket}).status_code == 403


def test_a_ticket_is_for_one_sweep_and_a_minute(monkeypatch):
    tickets = Tickets()
    ticket = tickets.issue("demo")
    tickets.check("demo", ticket)
    with pytest.raises(Refusal):
        tickets.check("other", ticket)
    monkeypatch.setattr("time.time", lambda: float(ticket.partition(".")[0]) + 1)
    with pytest.raises(Refusal):
        tickets.check("demo", ticket)


def read(text: str) -> object:
    """As the page's script does."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


@pytest.mark.parametrize("name", RECIPES)
def test_the_form_shows_the_recipe(name):
    """To set a field to what it is changes nothing."""
    recipe = load_recipe(name, "cpu")
    fields = [field for section in form_fields(recipe).values() for field in section]
    assert {"train/weight_decay", "search/sampler", "seed"} <= {field.path for field in fields} | {
        path for space in recipe.space for path in space.paths
    }
    for field in fields:
        if field.value:
            assert parse_recipe(recipe.model_dump(mode="json"), {field.path: read(field.value)}) == recipe, (
                field
            )
