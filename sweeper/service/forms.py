"""The fields of the submit form, from the schema of a recipe."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from search_spaces.paths import rivals
from search_spaces.recipe import Recipe
from sweeper.service.models import RECIPE_SCHEMA

SECTIONS = ("train", "trunk", "branch", "search", "resources", "retention", "seed")
"""What is changed from one sweep to the next. Tasks, models, merges and measures have shapes of their own: a YAML
recipe says them."""

KINDS: dict[str, Literal["number", "checkbox", "text"]] = {
    "number": "number",
    "integer": "number",
    "boolean": "checkbox",
    "string": "text",
}


@dataclass(frozen=True)
class Field:
    """One input."""

    path: str
    kind: Literal["number", "checkbox", "text", "select"]
    value: str
    """As the recipe has it; JSON, but for texts."""
    options: tuple[str, ...] = ()
    optional: bool = False
    whole: bool = False

    @property
    def label(self) -> str:
        """What it is called within its section."""
        return self.path.partition("/")[2].replace("_", " ") or self.path


def form_fields(recipe: Recipe) -> dict[str, list[Field]]:
    """Return section → its fields, with the values of `recipe`; what its space varies is a section first."""
    content = recipe.model_dump(mode="json")
    varied = {path for space in recipe.space for path in space.paths}
    varied |= {rival for path in varied for rival in rivals(path)}
    sections = {}
    if len(content["space"]) == 1:
        domains = {path: value for path, value in content["space"][0].items() if path != "points"}
        sections["space"] = [
            Field(f"space/{path}", "text", json.dumps(value)) for path, value in domains.items()
        ]
    for name in SECTIONS:
        found = _walk(RECIPE_SCHEMA["properties"][name], content[name], name)
        sections[name] = [field for field in found if field.path not in varied]
    return sections


def _walk(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[Field]:
    """Yield the fields under one property; unions of shapes have none."""
    schema, optional = _resolved(schema)
    if "properties" in schema:
        # A section that the recipe leaves out is turned on in YAML.
        for name, inner in schema["properties"].items() if isinstance(value, dict) else ():
            yield from _walk(inner, value.get(name), f"{path}/{name}")
    elif "enum" in schema:
        yield Field(path, "select", _text(value), tuple(map(str, schema["enum"])), optional)
    elif schema.get("type") in KINDS:
        whole = schema["type"] == "integer"
        yield Field(path, KINDS[schema["type"]], _text(value), optional=optional, whole=whole)


def _resolved(schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Return the schema that a reference or an optional value stands for, and whether null is allowed."""
    if "$ref" in schema:
        return _resolved(RECIPE_SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    choices = [choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"]
    if len(choices) == 1:
        return _resolved(choices[0])[0], True
    return schema, False


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
