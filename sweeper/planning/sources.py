"""Where the texts state a recipe's values."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from search_spaces.recipe import Recipe
from search_spaces.space import Space


class Source(NamedTuple):
    """A path, its value or values, and the section or figure that states them."""

    path: str
    value: str
    source: str


def sources(recipe: Recipe) -> Iterator[Source]:
    """Yield the source of every value of `recipe` that has one; values that vary are listed."""
    content = recipe.base.model_dump(mode="json", exclude_none=True)
    for path, source in recipe.sources.items():
        varied = [text for space in recipe.space if (text := _varied(space, path))]
        yield Source(path, "; ".join(dict.fromkeys(varied)) or short(_at(content, path)), source)


def short(value: Any) -> str:
    """Return a value in a few words: numbers in %g, a section by its name or as field=value."""
    if isinstance(value, dict):
        fields = {name: item for name, item in value.items() if item not in ([], {})}
        name = fields.pop("name", "")
        text = ", ".join(f"{field}={short(item)}" for field, item in fields.items())
        return name or text
    if isinstance(value, list):
        return " ".join(short(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _varied(space: Space, path: str) -> str:
    """Return the values that a space gives to `path`, "" if it doesn't vary it."""
    declared = space.model_dump(mode="json")
    if path in declared:
        domain = declared[path]
        return ", ".join(map(short, domain.get("values") or [domain["low"], "…", domain["high"]]))
    return ", ".join(
        dict.fromkeys(short(point[path]) for point in declared.get("points", []) if path in point)
    )


def _at(content: dict[str, Any], path: str) -> Any:
    value: Any = content
    for name in path.split("/"):
        value = value[name]
    return value
