"""From the body of a request to the content of a recipe, within bounds: no bomb is unpacked to be looked at."""

import math
from typing import Any

import yaml
from pydantic_core import from_json

from search_spaces.recipe import RecipeError
from search_spaces.yaml_text import parse_yaml
from sweeper.service.problems import Refusal

DEPTH, NODES = 20, 5000
"""A recipe of a thousand lines is far below both. An alias could make a few lines into billions of nodes."""

YAML_TYPES = {"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"}
_OPENING = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


def parse_document(body: bytes, content_type: str) -> dict[str, Any]:
    """Return the mapping that a body holds, as JSON or YAML.

    Raises:
        Refusal: 415 for another type, 422 for what is no mapping, or is too large or too deep for a recipe.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in {"application/json", *YAML_TYPES}:
        raise Refusal(415, "send application/json or application/yaml")
    try:
        content = _read_json(body) if kind == "application/json" else _read_yaml(body.decode())
    except UnicodeDecodeError as error:
        raise Refusal(422, "the body is no UTF-8 text") from error
    except RecipeError as error:
        raise Refusal(422, str(error)) from error
    _check_values(content)
    return content


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        # The parser has a bound on depth of its own; json.loads would end the recursion of this process.
        content = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(422, f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise Refusal(422, "the body holds no object")
    return content


def _read_yaml(text: str) -> dict[str, Any]:
    """Return the mapping in a YAML text, looking at its events first: nothing is built of what is refused.

    Raises:
        Refusal: if it has aliases, or is too large or too deep.
    """
    depth = count = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            depth += isinstance(event, _OPENING) - isinstance(event, _CLOSING)
            count += 1
            if isinstance(event, yaml.AliasEvent):
                raise Refusal(422, "the body has YAML aliases (*name); write their values out")
            if depth > DEPTH or count > 2 * NODES:
                raise Refusal(422, "the body is deeper or larger than any recipe")
    except yaml.YAMLError:
        pass  # said in the parser's own words below
    return parse_yaml(text, "the body")


def _check_values(content: Any) -> None:
    """Check that a document is small, of JSON's types, and finite.

    Raises:
        Refusal: if it isn't.
    """
    level, nodes = [content], 0
    for _ in range(DEPTH):
        nodes += len(level)
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                if not all(isinstance(name, str) for name in value):
                    raise Refusal(422, "the body has names that are no texts")
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, float) and not math.isfinite(value):
                raise Refusal(422, "the body has numbers that are not finite")
            elif not isinstance(value, str | int | float | None):
                raise Refusal(422, f"the body has a {type(value).__name__}; write texts and numbers")
        if not inner:
            return
        level = inner
        if nodes + len(level) > NODES:
            break
    raise Refusal(422, "the body is deeper or larger than any recipe")
