"""Overrides by path: "train/momentum" names a field of a nested config, "merges/0/alphas" one of a list."""

import copy
from collections.abc import Mapping
from typing import Any

from search_spaces.config import EXCLUSIVE

Nested = dict[str, Any]


def apply_overrides(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> Nested:
    """Return a copy of `config` in which every path of `overrides` has its value.

    Of two fields that exclude each other (`lr` and `noise_scale`, `epochs` and `steps`, …) an override of one
    removes the other.

    Raises:
        ValueError: if two overrides exclude each other, or a path leads through something that has no fields.
    """
    for first, second in EXCLUSIVE:
        if first in overrides and second in overrides:
            raise ValueError(f"{first} and {second} are both set; set one of them")
    result = copy.deepcopy(dict(config))
    for path, value in overrides.items():
        for rival in rivals(path):
            _set(result, rival, None)
        _set(result, path, copy.deepcopy(value))
    return result


def rivals(path: str) -> set[str]:
    """Return the paths that must not be set together with `path`."""
    return {other for pair in EXCLUSIVE if path in pair for other in pair} - {path}


def _set(config: Nested, path: str, value: Any) -> None:
    *parents, last = path.split("/")
    place: Any = config
    for name in parents:
        place = _step(place, name, path)
    if isinstance(place, list):
        place[_index(place, last, path)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise ValueError(f"path {path}: {parents[-1]!r} holds {place!r}, which has no fields")


def _step(place: Any, name: str, path: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, name, path)]
    if isinstance(place, dict) and name in place:
        return place[name]
    known = f"; known: {', '.join(place)}" if isinstance(place, dict) else ""
    raise ValueError(f"path {path}: there is no {name!r}{known}")


def _index(place: list[Any], name: str, path: str) -> int:
    if not name.isdigit() or int(name) >= len(place):
        raise ValueError(f"path {path}: {name!r} is none of the {len(place)} entries, counted from 0")
    return int(name)
