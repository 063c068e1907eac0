"""What every merge method asks of its inputs."""

from collections.abc import Sequence

import torch
from torch import Tensor

StateDict = dict[str, Tensor]


class MergeError(ValueError):
    """Endpoints that can't be merged; the text names the tensor or setting."""


def check_endpoints(endpoints: Sequence[StateDict]) -> None:
    """Check that all endpoints have the same names, shapes and dtypes, and are finite.

    Raises:
        MergeError: naming the first tensor that differs.
    """
    if not endpoints:
        raise MergeError("nothing to merge: no endpoints")
    first = endpoints[0]
    for number, other in enumerate(endpoints[1:], 2):
        if missing := sorted(first.keys() ^ other.keys()):
            raise MergeError(f"{missing[0]}: missing in endpoint {number if missing[0] in first else 1}")
    for name, tensor in first.items():
        for number, endpoint in enumerate(endpoints, 1):
            other_tensor = endpoint[name]
            if other_tensor.shape != tensor.shape:
                raise MergeError(
                    f"{name}: shape {tuple(other_tensor.shape)} of endpoint {number} is not {tuple(tensor.shape)}"
                )
            if other_tensor.dtype != tensor.dtype:
                raise MergeError(
                    f"{name}: dtype {other_tensor.dtype} of endpoint {number} is not {tensor.dtype}"
                )
            if not torch.isfinite(other_tensor).all():
                raise MergeError(f"{name}: endpoint {number} has values that are not finite")
