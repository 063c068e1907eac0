"""Errors in one line: pydantic's details in the words of someone who writes YAML."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from search_spaces.merges import MERGE_KINDS
from search_spaces.models import MODEL_FAMILIES
from search_spaces.tasks import TASK_FAMILIES


class Problem(NamedTuple):
    """What is wrong with one field; `path` is empty where it is the whole."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


def explain(error: Exception) -> str:
    """Return one line for a validation error: path, what is wrong, the value, and the way out."""
    if not isinstance(error, ValidationError):
        return str(error)
    first, *others = problems_in(error)
    return f"{first}; and {len(others)} more" if others else str(first)


def problems_in(error: Exception) -> list[Problem]:
    """Return everything a validation error found wrong, at least one thing."""
    if not isinstance(error, ValidationError):
        return [_told(str(error))]
    details = error.errors(include_url=False)
    # A list with a bad entry is also reported as too short.
    details = [detail for detail in details if detail["type"] != "too_short"] or details
    return [_problem(detail) for detail in details]


def _problem(detail: ErrorDetails) -> Problem:
    path = "/".join(str(part) for part in detail["loc"] if part not in _TAGS).replace("space/0/", "space/")
    value = detail["input"]
    if detail["type"].startswith("unknown_") and isinstance(value, Mapping):
        value = value.get("name")
    got = f" (got {value!r})" if isinstance(value, str | int | float) else ""
    text = f"{_wording(detail)}{got}"
    return Problem(path, text) if path else _told(text)


def _told(text: str) -> Problem:
    """Return a problem whose text may begin with its path, as those of whole recipes do."""
    match = re.fullmatch(r"(?P<path>[a-z_]+(/[\w.]+)*): (?P<text>.*)", text, re.DOTALL)
    return Problem(match["path"], match["text"]) if match else Problem("", text)


def _wording(detail: ErrorDetails) -> str:
    """Return pydantic's message in the words of someone who writes YAML."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return "is missing"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a mapping of fields"
        case "float_type" | "float_parsing":
            return "must be a number"
        case "int_type" | "int_parsing" | "int_from_float":
            return "must be a whole number"
        case "tuple_type":
            return "must be a list"
        case "too_short":
            return "must not be empty"
        case "union_tag_invalid":
            return f"no such kind {context['tag']!r}; known: {context['expected_tags'].replace(chr(39), '')}"
        case "union_tag_not_found":
            return f"{context['discriminator'].strip(chr(39))} is missing"
        case "string_pattern_mismatch":
            return "must be letters, digits, dots, dashes and underscores"
    return detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")


_TAGS = {
    *TASK_FAMILIES.values(),
    *MODEL_FAMILIES.values(),
    *MERGE_KINDS,
    *("imported", "float", "int", "choice", "domains", "sam", "mergopt"),
}
"""Names of union members and inner fields: pydantic puts them into an error's path, users never typed them."""


def describe_point(point: Mapping[str, Any]) -> str:
    """Return `point` as one line: path=value, numbers in %g."""
    return ", ".join(
        f"{path}={value:g}" if isinstance(value, float) else f"{path}={value}"
        for path, value in point.items()
    )
