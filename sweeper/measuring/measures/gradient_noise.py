"""How much gradients vary from example to example: tr Σ, the simple noise scale, and with S the full noise S tr Σ.

Notation: g_i (P,) the gradient of the cross-entropy of one training example under the augmentation in use, G its
mean, Σ (P, P) its covariance, over all examples and their augmentations; n examples are drawn, ḡ is their mean.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweeper.data import derive_seed, train_batches
from sweeper.measuring.measures.base import Number, Site
from sweeper.training.loop import dropout_generator

CHUNK = 32
"""Examples whose gradients are held at once."""

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class GradientNoise:
    """Unbiased estimates; each may be averaged over draws, their ratio may not."""

    trace: float
    """tr Σ."""
    squared: float
    """|G|²; near a minimum it may come out negative."""

    @property
    def simple_scale(self) -> float:
        """B_simple = tr Σ / |G|², NaN where |G|² can't be told from 0."""
        return self.trace / self.squared if self.squared > 0 else math.nan


def per_example(network: nn.Module, inputs: Tensor, targets: Tensor) -> GradientNoise:
    """Return tr Σ̂ = Σ_i |g_i − ḡ|² / (n − 1) and |ḡ|² − tr Σ̂ / n, from the gradient of each of n examples.

    The network is in eval mode: batch norm with the statistics of a batch would couple its examples.

    Args:
        network: any whose operations `torch.func.vmap` knows.
        inputs: what the network is fed, augmented, shape (n, …).
        targets: classes, shape (n,).

    Raises:
        ValueError: if there are fewer than two examples.

    Source: McCandlish et al. (2018), appendix A.1.
    """
    if len(targets) < 2:
        raise ValueError(
            f"gradient_noise: a variance takes two examples, got {len(targets)}; raise noise_examples"
        )
    network.eval()
    trained, fixed = _parts(network)

    def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        outputs = torch.func.functional_call(network, (parameters, fixed), (x[None],))
        return F.cross_entropy(outputs, y[None])

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    mean = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in trained.items()}
    count, spread = 0, 0.0
    for x, y in zip(inputs.split(CHUNK), targets.split(CHUNK), strict=True):
        new = len(y)
        for name, each in gradients(trained, x, y).items():
            # Chan's update of mean and spread, which cancels nothing.
            chunk_mean = each.double().mean(0)
            shift = chunk_mean - mean[name]
            spread += float((each.double() - chunk_mean).square().sum())
            spread += float(shift.square().sum()) * count * new / (count + new)
            mean[name] += shift * (new / (count + new))
        count += new
    trace = spread / (count - 1)
    return GradientNoise(trace, math.fsum(float(m.square().sum()) for m in mean.values()) - trace / count)


def two_batch(small: float, big: float, small_size: int, big_size: int) -> GradientNoise:
    """Return the estimates from the mean squared norms of gradients of batches of two sizes.

    |G|² = (B_b |g_b|² − B_s |g_s|²) / (B_b − B_s) and tr Σ = (|g_s|² − |g_b|²) / (1/B_s − 1/B_b).

    Args:
        small: |g_s|², averaged over small batches.
        big: |g_b|².
        small_size: B_s.
        big_size: B_b, larger.

    Source: McCandlish et al. (2018), appendix A.1.
    """
    squared = (big_size * big - small_size * small) / (big_size - small_size)
    return GradientNoise((small - big) / (1 / small_size - 1 / big_size), squared)


def batch_noise(network: nn.Module, batches: Iterable[Batch], seed: int) -> GradientNoise:
    """Return the two-batch estimates from batches of one size B, the big batch being all of them together.

    The network is in training mode, with batch norm and dropout as the optimizer meets them, so tr Σ is B times the
    variance of its gradients at this batch size. Running statistics stay as they are; `seed` is that of dropout.

    Raises:
        ValueError: if there are fewer than two batches.
    """
    network.train()
    trained, fixed = _parts(network)
    leaves = [parameter.requires_grad_() for parameter in trained.values()]
    squares: list[float] = []
    total = [torch.zeros_like(leaf, dtype=torch.float64) for leaf in leaves]
    size = 0
    device = leaves[0].device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        dropout_generator(device).manual_seed(seed)
        for inputs, targets in batches:
            size = len(targets)
            loss = F.cross_entropy(torch.func.functional_call(network, (trained, fixed), inputs), targets)
            gradient = [g.double() for g in torch.autograd.grad(loss, leaves, materialize_grads=True)]
            squares.append(_squared(gradient))
            for sum_, piece in zip(total, gradient, strict=True):
                sum_ += piece
    count = len(squares)
    if count < 2:
        raise ValueError(f"gradient_noise: two_batch takes two batches, got {count}; raise noise_examples")
    return two_batch(math.fsum(squares) / count, _squared(total) / count**2, size, count * size)


def gradient_noise(site: Site) -> Iterator[Number]:
    """Yield tr Σ, |G|² and B_simple at the branch point, and of SGD S_eff = S tr Σ."""
    state, config, meter = site.start.state, site.config, site.meter
    if state is None:
        return
    estimator, wanted = config.measures.noise_estimator, config.measures.noise_examples
    meter.load(state, site.batchnorm)
    size = min(wanted, len(meter.task.train.targets))
    if estimator == "two_batch":
        size = config.train.batch_size
    count = 1 if estimator == "per_example" else max(2, -(-wanted // size))
    seed = derive_seed("gradient noise", config.seed)
    dtype = next(meter.network.parameters()).dtype
    batches = train_batches(meter.task, size, config.train.augment, seed, 0, count, dtype=dtype)
    if estimator == "per_example":
        found = per_example(meter.network, *next(batches))
    else:
        found = batch_noise(meter.network, batches, seed)
    settings = {
        "augment": config.train.augment,
        "batchnorm": site.batchnorm if estimator == "per_example" else "batch",
        "estimator": estimator,
        "examples": size * count,
    }
    numbers = {
        "trace_sigma": found.trace,
        "gradient_norm_squared": found.squared,
        "simple_noise_scale": found.simple_scale,
    }
    if config.train.optimizer == "sgd":
        # Eq. 3, the noise per example of a step, is one of SGD.
        numbers["effective_noise_scale"] = config.train.resolved_noise_scale * found.trace
    for name, value in numbers.items():
        yield Number((site.start.key,), name, value, settings)


def _parts(network: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return what is differentiated, and the rest: frozen parameters, and copies of the buffers."""
    trained = {name: p.detach() for name, p in network.named_parameters() if p.requires_grad}
    fixed = {name: p.detach() for name, p in network.named_parameters() if not p.requires_grad}
    return trained, fixed | {name: buffer.clone() for name, buffer in network.named_buffers()}


def _squared(pieces: Sequence[Tensor]) -> float:
    return math.fsum(float(piece.square().sum()) for piece in pieces)
