"""Content keys: the SHA-256 of the canonical JSON of what determined a checkpoint, and of nothing else."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any


def content_key(identity: Mapping[str, Any]) -> str:
    """Return SHA-256(canonical JSON of `identity`) as 64 hexadecimal digits.

    Canonical JSON is ASCII with sorted keys and no white space; floats are written by `repr`, the shortest
    text that reads back as the same float. A tuple is a list. The integer 1 and the float 1.0 are distinct:
    code of the user's may treat them differently, and a key too many costs one training, never a wrong result.

    >>> content_key({"lr": 0.1, "widths": (64, 64)})[:16]
    'cdaca22d73b69af7'

    Raises:
        ValueError: if a value isn't JSON, a number isn't finite, or a name isn't a string.
    """
    text = json.dumps(_plain(identity, "identity"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any, where: str) -> Any:
    """Return `value` as dicts, lists and scalars; `where` names it in errors.

    Raises:
        ValueError: if it isn't JSON.
    """
    match value:
        case Mapping():
            for name in value:
                # json.dumps would write {1: …} and {"1": …} alike.
                if not isinstance(name, str):
                    raise ValueError(f"{where}: name {name!r} is no string")
            return {name: _plain(item, f"{where}/{name}") for name, item in value.items()}
        case list() | tuple():
            return [_plain(item, f"{where}/{index}") for index, item in enumerate(value)]
        case float() if not math.isfinite(value):
            raise ValueError(f"{where}: {value!r} is no identity; keys take finite numbers")
        case str() | bool() | int() | float() | None:
            return value
        case _:
            kind = type(value).__name__
            raise ValueError(f"{where}: {value!r} is a {kind}; keys take JSON values only")
