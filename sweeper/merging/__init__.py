"""Merging: pure functions on state dicts. `METHODS` lists them by the name recipes use."""

from collections.abc import Callable, Sequence
from typing import Any

from sweeper.imports import call
from sweeper.merging.linear import linear
from sweeper.merging.state_dict import MergeError, StateDict, check_endpoints

__all__ = ["METHODS", "MergeError", "StateDict", "linear", "merge"]

METHODS: dict[str, Callable[..., StateDict]] = {"linear": linear}
"""Name → method(endpoints, base, **settings)."""


def merge(
    kind: str, endpoints: Sequence[StateDict], base: StateDict | None = None, **settings: Any
) -> StateDict:
    """Return the parameters that method `kind` makes of `endpoints`; no input is changed.

    `base` is the branch point or pretrained network, for methods that merge differences from it.

    Raises:
        MergeError: if there is no such method, or the endpoints don't fit together.
        ValueError: if the method takes no such setting.
    """
    if kind not in METHODS:
        raise MergeError(f'no merge "{kind}"; known: {", ".join(METHODS)}')
    check_endpoints(endpoints)
    merged: StateDict = call(kind, METHODS[kind], endpoints, base, **settings)
    return merged
