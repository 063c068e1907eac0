"""Errors in one line: pydantic's details in the words of someone who writes YAML."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from search_spaces.merges import MERGE_KINDS
from search_spaces.models import MODEL_FAMILIES
from search_spaces.tasks import TASK_FAMILIES


def explain(error: Exception) -> str:
    """Return one line for a validation error: path, what is wrong, the value, and the way out."""
    if not isinstance(error, ValidationError):
        return str(error)
    details = error.errors(include_url=False)
    # A list with a bad entry is also reported as too short.
    details = [detail for detail in details if detail["type"] != "too_short"] or details
    first = details[0]
    path = "/".join(str(part) for part in first["loc"] if part not in _TAGS).replace("space/0/", "space/")
    text = _wording(first)
    value = first["input"]
    if first["type"].startswith("unknown_") and isinstance(value, Mapping):
        value = value.get("name")
    got = f" (got {value!r})" if isinstance(value, str | int | float) else ""
    more = f"; and {len(details) - 1} more" if len(details) > 1 else ""
    return f"{path}: {text}{got}{more}" if path else f"{text}{got}{more}"


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
