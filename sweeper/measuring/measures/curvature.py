"""The largest eigenvalues of the loss Hessian, by Lanczos.

Notation: P parameters, H (P, P) the Hessian of the mean cross-entropy, in nats, over some examples; n of them.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.linalg import eigvalsh
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sweeper.data.randomness import generator
from sweeper.measuring.measures.base import Number, Site, subset

Floats = NDArray[np.float64]

CHUNK = 128
"""Examples whose graph of second derivatives is held at once."""
TOLERANCE = 1e-7
"""Largest error of an eigenvalue, relative to it."""


def hessian_product(
    network: nn.Module, inputs: Tensor, targets: Tensor
) -> tuple[int, Callable[[Floats], Floats]]:
    """Return P and the map v → H v of vectors (P,), for the examples `inputs` (n, …) and `targets` (n,).

    The network is in eval mode, so that batch norm's statistics are constants. All is computed in float64, since
    Lanczos loses to rounding what distinguishes close eigenvalues; the network itself keeps its type.
    """
    network.eval()
    trained = {name: p.detach().double() for name, p in network.named_parameters() if p.requires_grad}
    fixed = {name: p.detach().double() for name, p in network.named_parameters() if not p.requires_grad}
    fixed |= {name: b.double() if b.is_floating_point() else b for name, b in network.named_buffers()}
    leaves = [parameter.requires_grad_() for parameter in trained.values()]
    sizes = [leaf.numel() for leaf in leaves]
    examples = list(zip(inputs.double().split(CHUNK), targets.split(CHUNK), strict=True))

    def product(vector: Floats) -> Floats:
        directions = torch.as_tensor(vector, device=inputs.device).reshape(-1).split(sizes)
        total = torch.zeros(sum(sizes), dtype=torch.float64, device=inputs.device)
        for x, y in examples:
            # The fast kernels of attention have no second derivative.
            with sdpa_kernel(SDPBackend.MATH):
                outputs = torch.func.functional_call(network, (trained, fixed), x)
            loss = F.cross_entropy(outputs, y, reduction="sum") / len(targets)
            gradient = torch.autograd.grad(loss, leaves, create_graph=True, materialize_grads=True)
            slope = sum(
                (g.reshape(-1) @ v for g, v in zip(gradient, directions, strict=True)), loss.new_zeros(())
            )
            second = torch.autograd.grad(slope, leaves, materialize_grads=True)
            total += torch.cat([piece.reshape(-1) for piece in second])
        return total.cpu().numpy()

    return sum(sizes), product


def top_eigenvalues(network: nn.Module, inputs: Tensor, targets: Tensor, count: int, seed: int = 0) -> Floats:
    """Return the `count` algebraically largest eigenvalues of H, in descending order; all P if there are fewer.

    `inputs` (n, …) are what the network is fed, `targets` (n,) their classes; `seed` draws the first Lanczos vector.

    Source: Lehoucq, Sorensen & Yang (1998), the implicitly restarted Lanczos method, by `scipy.sparse.linalg.eigsh`.
    """
    size, product = hessian_product(network, inputs, targets)
    if size <= max(2 * count + 1, 20):
        # As few products as a Lanczos basis takes give the whole matrix.
        columns = np.stack([product(column) for column in np.eye(size)])
        spectrum: Floats = eigvalsh((columns + columns.T) / 2)
        return spectrum[::-1][:count]
    hessian = LinearOperator((size, size), matvec=product, dtype=np.float64)
    first = generator("lanczos", seed).standard_normal(size)
    if not product(first).any():
        # H is 0, which ARPACK doesn't take: a random vector is in the null space of nothing else.
        return np.zeros(count)
    found: Floats = eigsh(hessian, count, which="LA", v0=first, tol=TOLERANCE, return_eigenvectors=False)
    return np.sort(found)[::-1]


def curvature(site: Site) -> Iterator[Number]:
    """Yield the largest Hessian eigenvalues of every endpoint, over examples of the training split as they are."""
    meter, measures, seed = site.meter, site.config.measures, site.config.seed
    raw, targets = subset(meter.task, "train", measures.curvature_examples, seed)
    inputs = meter.task.batch(raw, torch.float64)
    settings = {"batchnorm": site.batchnorm, "examples": len(targets), "split": "train"}
    for key, state in site.ends.items():
        meter.load(state, site.batchnorm)
        values = top_eigenvalues(meter.network, inputs, targets, measures.eigenvalues, seed)
        for index, value in enumerate(values):
            yield Number((key,), "hessian_eigenvalue", float(value), settings, index)
