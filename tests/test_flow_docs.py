"""docs/flow.md names every term of the design, and nothing in it has moved away."""

import pkgutil
import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[1] / "docs" / "flow.md").read_text(encoding="utf-8")
REFERENCES = sorted(set(re.findall(r"`((?:search_spaces|analysis|sweeper)(?:\.\w+)+)`", TEXT)))
TERMS = (
    "recipe",
    "trial",
    "trunk",
    "branch point",
    "branch",
    "endpoint",
    "pair",
    "merge",
    "record",
    "gain",
    "noise scale",
    "critical point",
)


@pytest.mark.parametrize("reference", REFERENCES)
def test_what_the_page_names_exists(reference: str) -> None:
    assert pkgutil.resolve_name(reference)


def test_every_term_points_at_its_code() -> None:
    rows = re.findall(r"^\| ([a-z ]+) \|.*\| `[\w.]+` \|$", TEXT, flags=re.MULTILINE)
    assert tuple(rows) == TERMS


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert (Path(__file__).parents[1] / "docs" / target).exists(), target
