"""Recipes as YAML, and back without loss; settings `path=value` from the command line."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from search_spaces.recipe import Recipe, RecipeError, parse_recipe


def read_yaml(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Return the recipe in a YAML file, with `overrides` by path.

    Raises:
        RecipeError: if the file is missing, empty, not YAML, or no valid recipe.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"recipe file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RecipeError(f"recipe file {path} is not YAML: it is no UTF-8 text") from None
    return parse_recipe(parse_yaml(text, f"recipe file {path}"), overrides)


def parse_yaml(text: str, what: str) -> dict[str, Any]:
    """Return the mapping in a YAML text; `what` names the text in errors.

    Raises:
        RecipeError: if it is empty, not YAML, or holds something else.
    """
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise RecipeError(f"{what} is not YAML: {_problem(error)}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"{what} holds {'nothing' if content is None else 'no mapping'}")
    return content


def to_yaml(recipe: Recipe) -> str:
    """Return `recipe` as YAML; `read_yaml` of it gives an equal recipe."""
    content = recipe.model_dump(mode="json")
    return yaml.safe_dump({"name": content.pop("name"), **content}, sort_keys=False, allow_unicode=True)


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Return path → value for texts `path=value`, the values read as YAML.

    Raises:
        RecipeError: if a text has no "=", its value is not YAML, or a path is set twice.
    """
    overrides: dict[str, Any] = {}
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise RecipeError(f"--set {text}: write path=value, as in train/momentum=0.5")
        if path in overrides:
            raise RecipeError(f"--set {path} is given twice")
        try:
            overrides[path] = yaml.load(value, Loader=_Loader)
        except yaml.YAMLError:
            raise RecipeError(f"--set {path}: {value!r} is not a YAML value") from None
    return overrides


class _Loader(yaml.SafeLoader):
    """YAML with the floats of YAML 1.2, since PyYAML reads 1e-4 as a string, and without repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is no text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"),
    list("-+.0123456789"),
)


def _problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())
