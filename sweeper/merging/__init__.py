"""Merging: pure functions on state dicts. `METHODS` lists them by the name recipes use."""

from collections.abc import Callable, Sequence
from typing import Any

from sweeper.imports import call
from sweeper.merging.dare import dare
from sweeper.merging.diagonals import fisher, preconditioned
from sweeper.merging.linear import linear
from sweeper.merging.slerp import slerp
from sweeper.merging.state_dict import MergeError, StateDict, check_endpoints, tied_names
from sweeper.merging.task_vectors import task_arithmetic
from sweeper.merging.ties import ties

__all__ = [
    "METHODS",
    "MergeError",
    "StateDict",
    "dare",
    "fisher",
    "linear",
    "merge",
    "preconditioned",
    "slerp",
    "task_arithmetic",
    "ties",
]

METHODS: dict[str, Callable[..., StateDict]] = {
    "linear": linear,
    "task_arithmetic": task_arithmetic,
    "ties": ties,
    "dare": dare,
    "slerp": slerp,
    "fisher": fisher,
    "preconditioned": preconditioned,
}
"""Name → method(endpoints, base, **settings)."""


def merge(
    kind: str, endpoints: Sequence[StateDict], base: StateDict | None = None, **settings: Any
) -> StateDict:
    """Return the parameters that method `kind` makes of `endpoints`; no input is changed.

    `base` is the branch point or pretrained network, for methods that merge differences from it. Names that share
    memory in all inputs, tied weights, are merged once, under the first of them, and share memory in the result.

    Raises:
        MergeError: if there is no such method, or the endpoints don't fit together.
        ValueError: if the method takes no such setting.
    """
    if kind not in METHODS:
        raise MergeError(f'no merge "{kind}"; known: {", ".join(METHODS)}')
    check_endpoints(endpoints, base)
    tied = tied_names([*endpoints, *([] if base is None else [base])])
    once = [{name: tensor for name, tensor in each.items() if name not in tied} for each in endpoints]
    merged: StateDict = call(kind, METHODS[kind], once, base, **settings)
    return {name: merged[tied.get(name, name)] for name in endpoints[0]}
