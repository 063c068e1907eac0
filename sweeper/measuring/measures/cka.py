"""Centred kernel alignment of two networks' penultimate activations.

Notation: X (n, p) and Y (n, q) activations of two networks on the same n examples, K = X Xᵀ and L = Y Yᵀ their linear
kernels. All is computed from (p, q) matrices, so that no (n, n) kernel is ever made.
"""

import itertools
import math
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sweeper.measuring.measures.base import Number, Site, subset

CHUNK = 512
"""Examples per forward pass."""


class CKA(NamedTuple):
    """Similarity of two representations; NaN where one of them is constant."""

    plain: float
    """In [0, 1]; biased upwards where there are not many more examples than features."""
    debiased: float
    """At most about 1, about 0 for unrelated representations however many features they have."""


def linear_cka(X: Tensor, Y: Tensor) -> CKA:
    """Return the linear CKA of X (n, p) and Y (n, q), plain and debiased, computed in float64.

    Plain is ‖YᵀX‖²_F / (‖XᵀX‖_F ‖YᵀY‖_F) of the centred activations. Debiased is H(K, L) / √(H(K, K) H(L, L)) with the
    unbiased estimate H of the Hilbert-Schmidt independence criterion.

    Raises:
        ValueError: if there are fewer than 4 examples, which that estimate takes.

    Source: Kornblith et al. (2019), Eq. 4; Song et al. (2012), Eq. 5; Nguyen et al. (2021), Eq. 3.
    """
    if len(X) < 4:
        raise ValueError(f"cka: {len(X)} examples are too few; raise cka_examples to 4 or more")
    X, Y = _centred(X), _centred(Y)
    return CKA(
        _ratio(_alignment(X, Y), _alignment(X, X), _alignment(Y, Y)),
        _ratio(_unbiased(X, Y), _unbiased(X, X), _unbiased(Y, Y)),
    )


@torch.no_grad()
def penultimate(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return what the last linear layer of `network` is given for `inputs` (n, …), shape (n, p).

    The last is the one that runs last, wherever it was declared.

    Raises:
        ValueError: if the network runs no `torch.nn.Linear`.
    """
    network.eval()
    given: list[Tensor] = []

    def keep(_: nn.Module, arguments: tuple[Any, ...]) -> None:
        given[:] = arguments[:1]

    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    pieces: list[Tensor] = []
    with ExitStack() as hooks:
        for layer in layers:
            hooks.enter_context(layer.register_forward_pre_hook(keep))
        for chunk in inputs.split(CHUNK):
            network(chunk)
            pieces += given
    if not pieces:
        raise ValueError(
            f"cka: {type(network).__name__} runs no torch.nn.Linear, whose input is compared; end it in one"
        )
    return torch.cat(pieces).flatten(1)


def cka(site: Site) -> Iterator[Number]:
    """Yield the CKA of every pair of endpoints on examples of the test split."""
    meter, measures = site.meter, site.config.measures
    raw, _ = subset(meter.task, "test", measures.cka_examples, site.config.seed)
    activations = {}
    for key, state in site.ends.items():
        meter.load(state, site.batchnorm)
        dtype = next(meter.network.parameters()).dtype
        activations[key] = penultimate(meter.network, meter.task.batch(raw, dtype))
    settings = {"batchnorm": site.batchnorm, "examples": len(raw), "split": "test"}
    for (key_a, X), (key_b, Y) in itertools.combinations(activations.items(), 2):
        found = linear_cka(X, Y)
        yield Number((key_a, key_b), "cka", found.plain, settings)
        yield Number((key_a, key_b), "cka_debiased", found.debiased, settings)


def _centred(X: Tensor) -> Tensor:
    """Return X less its mean over examples, exactly 0 where only rounding is left."""
    X = X.double()
    centred = X - X.mean(0)
    rounding = torch.finfo(X.dtype).eps * X.norm() * math.sqrt(len(X))
    return centred if centred.norm() > rounding else torch.zeros_like(centred)


def _alignment(X: Tensor, Y: Tensor) -> float:
    """Return ‖YᵀX‖²_F = tr(K L)."""
    return float((Y.T @ X).square().sum())


def _unbiased(X: Tensor, Y: Tensor) -> float:
    """Return H(K, L) of centred X and Y, whose kernels' rows sum to 0.

    With K̃ and L̃ the kernels without their diagonals k and l, it is [tr(K̃L̃) + 1ᵀK̃1 1ᵀL̃1/((n−1)(n−2)) − 2/(n−2) 1ᵀK̃L̃1]
    / (n(n−3)), and here K̃1 = −k, L̃1 = −l.
    """
    n = len(X)
    k, lengths = X.square().sum(1), Y.square().sum(1)
    diagonal = float(k @ lengths)
    products = float(k.sum() * lengths.sum())
    return (_alignment(X, Y) - diagonal + products / ((n - 1) * (n - 2)) - 2 / (n - 2) * diagonal) / (
        n * (n - 3)
    )


def _ratio(both: float, first: float, second: float) -> float:
    return both / math.sqrt(first * second) if first > 0 and second > 0 else math.nan
