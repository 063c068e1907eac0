"""DARE: most of what training changed is dropped at random, and the rest scaled up to make good for it."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Literal

import torch
from torch import Tensor

from sweeper.data.randomness import generator
from sweeper.merging.state_dict import Blocks, MergeError, StateDict, blocks
from sweeper.merging.task_vectors import added, coefficients_of, required, task_vector
from sweeper.merging.ties import Aggregate, Trim, consensus


def dare(
    endpoints: Sequence[StateDict],
    base: StateDict | None = None,
    *,
    drop: float = 0.5,
    then: Literal["task_arithmetic", "ties"] = "task_arithmetic",
    density: float = 1.0,
    trim: Trim = "tensor",
    aggregate: Aggregate = "mean",
    alpha: float | None = None,
    weights: Sequence[float] | None = None,
    seed: int = 0,
    keys: Sequence[str] | None = None,
) -> StateDict:
    """Return the merge by `then` of task vectors whose entries are 0 with probability p = `drop`, else τ / (1 − p).

    `density`, `trim` and `aggregate` are those of `ties`; `alpha` and `weights`, with their defaults, those of `then`.
    Which entries are dropped depends on `seed`, on the tensor's name and on the endpoint's key, not on any order;
    `keys` has one per endpoint, such as its key in the store, by default a digest of its values.

    Raises:
        MergeError: for a drop outside [0, 1), an unknown `then`, keys of the wrong number, or as `then` does.

    Source: Yu et al. (2024), "Language models are super Mario".
    """
    start = required("dare", base)
    if not 0 <= drop < 1:
        raise MergeError(f"dare: drop {drop} is outside [0, 1)")
    names = [_digest(end) for end in endpoints] if keys is None else list(keys)
    if len(names) != len(endpoints):
        raise MergeError(f"dare: {len(names)} keys for {len(endpoints)} endpoints")
    vectors = [
        thinned(task_vector(end, start), drop, seed, key) for end, key in zip(endpoints, names, strict=True)
    ]
    if then == "ties":
        scale = 1.0 if alpha is None else alpha
        return consensus(endpoints[0], start, vectors, "dare", density, trim, aggregate, weights, scale)
    if then != "task_arithmetic":
        raise MergeError(f'dare: no then "{then}"; choose task_arithmetic or ties')
    return added(endpoints[0], start, vectors, coefficients_of("dare", len(endpoints), alpha, weights))


def thinned(vector: Blocks, drop: float, seed: int, key: str) -> Blocks:
    """Return the blocks of a task vector with entries dropped, the same ones whenever they are asked for."""

    def values(name: str) -> Iterator[Tensor]:
        random = generator("dare", seed, key, name)
        for block in vector(name):
            kept = torch.from_numpy(random.random(len(block)) >= drop)
            yield block.mul_(kept.to(block.device)).div_(1.0 - drop)

    return values


def _digest(endpoint: StateDict) -> str:
    digest = sha256()
    for name in sorted(endpoint):
        for block in blocks(endpoint[name]):
            # As bytes, since NumPy has no bfloat16.
            digest.update(block.cpu().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
