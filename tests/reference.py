"""Slow float64 references, written from the definitions and without the code they check."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Floats = NDArray[np.float64]


class SGD:
    """v ← μ v + (g + λ θ), with v = g + λ θ at first; θ ← θ − lr v."""

    def __init__(self, momentum: float, weight_decay: float) -> None:
        self.momentum, self.weight_decay = momentum, weight_decay
        self.velocity: Floats | None = None

    def step(self, parameter: Floats, gradient: Floats, lr: float) -> Floats:
        force = gradient + self.weight_decay * parameter
        self.velocity = force if self.velocity is None else self.momentum * self.velocity + force
        return parameter - lr * self.velocity


class AdamW:
    """θ ← θ − lr λ θ − lr m̂ / (√v̂ + 10⁻⁸), both moments corrected for their start at zero."""

    def __init__(self, betas: tuple[float, float], weight_decay: float) -> None:
        self.betas, self.weight_decay = betas, weight_decay
        self.steps = 0
        self.first = self.second = np.float64(0.0)

    def step(self, parameter: Floats, gradient: Floats, lr: float) -> Floats:
        self.steps += 1
        self.first = self.betas[0] * self.first + (1 - self.betas[0]) * gradient
        self.second = self.betas[1] * self.second + (1 - self.betas[1]) * gradient**2
        first = self.first / (1 - self.betas[0] ** self.steps)
        second = self.second / (1 - self.betas[1] ** self.steps)
        return parameter - lr * self.weight_decay * parameter - lr * first / (np.sqrt(second) + 1e-8)


def trajectory(
    network: nn.Module,
    batches: Sequence[tuple[Tensor, Tensor]],
    rates: Sequence[float],
    optimizer: Callable[[], SGD | AdamW],
) -> dict[str, Floats]:
    """Return the parameters after one step per batch, each parameter with an optimizer of its own."""
    values = {name: parameter.detach().numpy().copy() for name, parameter in network.named_parameters()}
    optimizers = {name: optimizer() for name in values}
    for (inputs, targets), lr in zip(batches, rates, strict=True):
        leaves = {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}
        outputs = torch.func.functional_call(network, leaves, inputs)
        picked = outputs[torch.arange(len(targets)), targets]
        loss = (outputs.logsumexp(1) - picked).mean()
        for (name, leaf), gradient in zip(
            leaves.items(), torch.autograd.grad(loss, list(leaves.values())), strict=True
        ):
            values[name] = optimizers[name].step(values[name], gradient.numpy(), lr)
            assert leaf.shape == gradient.shape
    return values


def decay(kind: str, length: int) -> list[float]:
    """The factors of a decay over `length` steps."""
    formula = {
        "sqrt": lambda t: 1 - (t / length) ** 0.5,
        "linear": lambda t: (length - t) / length,
        "cosine": lambda t: math.cos(math.pi * t / (2 * length)) ** 2,
        "constant": lambda t: 1.0,
    }[kind]
    return [formula(t) for t in range(length)]


def wsd(budget: int, length: int) -> list[float]:
    """The factors of a constant course whose last `length` of `budget` steps are a √ decay."""
    return [1.0] * (budget - length) + decay("sqrt", length)


def warmed_up(factors: Sequence[float], warmup: int) -> list[float]:
    """The factors, the first `warmup` of them times 1/warmup, 2/warmup, …"""
    ramp = [number / warmup for number in range(1, warmup + 1)]
    return [factor * (ramp[t] if t < warmup else 1.0) for t, factor in enumerate(factors)]


def weighted_mean(tensors: Sequence[Tensor], weights: Sequence[float]) -> Floats:
    """Σ w_i θ_i / Σ w_i, entry by entry, without rounding errors in the sums."""
    columns = [tensor.double().numpy().ravel() for tensor in tensors]
    sums = [
        math.fsum(weight * float(value) for weight, value in zip(weights, values, strict=True))
        for values in zip(*columns, strict=True)
    ]
    return (np.array(sums) / math.fsum(weights)).reshape(tensors[0].shape)


def task_arithmetic(base: Tensor, ends: Sequence[Tensor], coefficients: Sequence[float]) -> Floats:
    """θ₀ + Σ c_i (θ_i − θ₀), entry by entry, without rounding errors in the sums."""
    rows = zip(*(tensor.double().ravel().tolist() for tensor in (base, *ends)), strict=True)
    sums = [
        math.fsum([start, *(c * (end - start) for c, end in zip(coefficients, row, strict=True))])
        for start, *row in rows
    ]
    return np.array(sums).reshape(base.shape)


def ties(
    base: Sequence[Tensor],
    ends: Sequence[Sequence[Tensor]],
    density: float,
    weights: Sequence[float],
    scale: float,
    *,
    together: bool,
    mean: bool,
) -> list[Floats]:
    """θ₀ + λ τ of networks that are lists of tensors: trimmed, elected, merged, one entry after the other."""
    starts = [tensor.double().ravel().tolist() for tensor in base]
    trimmed = []
    for end in ends:
        tau = [
            [value - at for value, at in zip(tensor.double().ravel().tolist(), start, strict=True)]
            for tensor, start in zip(end, starts, strict=True)
        ]
        pools = [list(itertools.chain(*tau))] * len(tau) if together else tau
        trimmed.append([_trimmed(entries, pool, density) for entries, pool in zip(tau, pools, strict=True)])
    merged = []
    for number, start in enumerate(starts):
        values = []
        for at, *entries in zip(start, *(tau[number] for tau in trimmed), strict=True):
            votes = [weight * entry for weight, entry in zip(weights, entries, strict=True)]
            sign = -1 if math.fsum(votes) < 0 else 1
            agreeing = [index for index, vote in enumerate(votes) if vote * sign > 0]
            total = math.fsum(votes[index] for index in agreeing)
            mass = math.fsum(weights[index] for index in agreeing) if mean else 1.0
            values.append(at + scale * (total / mass if mass else 0.0))
        merged.append(np.array(values).reshape(base[number].shape))
    return merged


def _trimmed(entries: Sequence[float], pool: Sequence[float], density: float) -> list[float]:
    kept = sorted(map(abs, pool), reverse=True)[: max(1, math.floor(density * len(pool)))]
    return [entry if abs(entry) >= kept[-1] else 0.0 for entry in entries]


def slerp(one: Tensor, other: Tensor, alpha: float) -> Floats:
    """The point at share α of the arc between two tensors; of the line, if they are parallel or one is 0."""
    left, right = one.double().numpy(), other.double().numpy()
    norms = np.linalg.norm(left), np.linalg.norm(right)
    if min(norms) <= 1e-8:
        return (1 - alpha) * left + alpha * right
    # The angle from chord and its complement: exact for small angles too, where the cosine isn't.
    units = left / norms[0], right / norms[1]
    angle = 2 * math.atan2(
        float(np.linalg.norm(units[0] - units[1])), float(np.linalg.norm(units[0] + units[1]))
    )
    if abs(math.cos(angle)) > 0.9995:
        return (1 - alpha) * left + alpha * right
    return (math.sin((1 - alpha) * angle) * left + math.sin(alpha * angle) * right) / math.sin(angle)


def entrywise_mean(tensors: Sequence[Tensor], masses: Sequence[Floats]) -> Floats:
    """Σ F_i θ_i / Σ F_i, entry by entry, without rounding errors in the sums."""
    columns = zip(*(tensor.double().ravel().tolist() for tensor in tensors), strict=True)
    rows = zip(*(np.ravel(mass).tolist() for mass in masses), strict=True)
    means = [
        math.fsum(f * value for f, value in zip(row, column, strict=True)) / math.fsum(row)
        for row, column in zip(rows, columns, strict=True)
    ]
    return np.array(means).reshape(tensors[0].shape)


def accuracy_and_loss(outputs: Floats, targets: NDArray[np.int64]) -> tuple[float, float]:
    """Percent of rows whose largest entry is the target's, and mean −ln softmax of the target's, in nats."""
    right, total = 0, 0.0
    for row, target in zip(outputs, targets, strict=True):
        right += int(max(range(len(row)), key=row.__getitem__) == target)
        top = max(row)
        total += top + math.log(math.fsum(math.exp(value - top) for value in row)) - row[target]
    return 100 * right / len(targets), total / len(targets)


def batch_statistics(network: nn.Sequential, batches: Sequence[Tensor]) -> dict[str, tuple[Floats, Floats]]:
    """Mean over equal batches of each batch norm's batch mean and unbiased variance, in a chain of layers."""
    seen: dict[str, list[tuple[Floats, Floats]]] = {}
    for batch in batches:
        values = batch.numpy().astype(np.float64)
        for name, layer in network.named_children():
            if isinstance(layer, nn.Flatten):
                values = values.reshape(len(values), -1)
            elif isinstance(layer, nn.ReLU):
                values = np.maximum(values, 0)
            else:
                weight, bias = (p.detach().numpy().astype(np.float64) for p in (layer.weight, layer.bias))
                if isinstance(layer, nn.Linear):
                    values = values @ weight.T + bias
                else:
                    mean = values.mean(0)
                    seen.setdefault(name, []).append((mean, values.var(0, ddof=1)))
                    values = weight * (values - mean) / np.sqrt(values.var(0) + layer.eps) + bias
    return {
        name: (np.mean([mean for mean, _ in pairs], 0), np.mean([variance for _, variance in pairs], 0))
        for name, pairs in seen.items()
    }


def gain(metric: str, merged: float, ends: Sequence[float]) -> float:
    """How much better than its mean endpoint the merge is: more accuracy, or less loss."""
    sign = {"accuracy": 1, "loss": -1}[metric]
    return sign * (merged - sum(ends) / len(ends))


def chance_level(targets: Sequence[int]) -> float:
    """The share of the most frequent class in percent, plus two standard errors of a share."""
    share = max(targets.count(number) for number in targets) / len(targets)
    return 100 * share + 2 * 100 * (share * (1 - share) / len(targets)) ** 0.5


def cka(X: Floats, Y: Floats) -> float:
    """HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)) with linear kernels and HSIC(K, L) = tr(K H L H) / (n − 1)²."""
    n = len(X)
    centring = np.eye(n) - np.ones((n, n)) / n

    def hsic(K: Floats, L: Floats) -> float:
        return float(np.trace(K @ centring @ L @ centring)) / (n - 1) ** 2

    K, L = X @ X.T, Y @ Y.T
    return hsic(K, L) / math.sqrt(hsic(K, K) * hsic(L, L))


def debiased_cka(X: Floats, Y: Floats) -> float:
    """The same with HSIC's U-statistic: K_ij L_ij + K_ij L_qr − 2 K_ij L_iq over all i, j, q, r that differ."""

    def hsic(K: Floats, L: Floats) -> float:
        terms = [
            K[i, j] * (L[i, j] + L[q, r] - 2 * L[i, q])
            for i, j, q, r in itertools.permutations(range(len(K)), 4)
        ]
        return math.fsum(terms) / len(terms)

    K, L = X @ X.T, Y @ Y.T
    return hsic(K, L) / math.sqrt(hsic(K, K) * hsic(L, L))


def loss_of(network: nn.Module, parameters: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
    """Mean −ln softmax of the target's output, as a function of the parameters."""
    outputs = torch.func.functional_call(network, parameters, inputs)
    return (outputs.logsumexp(1) - outputs[torch.arange(len(targets)), targets]).mean()


def hessian(network: nn.Module, inputs: Tensor, targets: Tensor) -> Floats:
    """All second derivatives of the mean loss, (P, P)."""
    values = {name: parameter.detach() for name, parameter in network.named_parameters()}
    slope = torch.func.jacrev(lambda p: loss_of(network, p, inputs, targets))
    blocks = torch.func.jacrev(slope)(values)
    rows = [
        torch.cat([blocks[a][b].reshape(values[a].numel(), -1) for b in values], dim=1).numpy()
        for a in values
    ]
    return np.concatenate(rows)


def gradient(network: nn.Module, inputs: Tensor, targets: Tensor) -> Floats:
    """The gradient of the mean loss, (P,)."""
    values = {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}
    pieces = torch.autograd.grad(loss_of(network, values, inputs, targets), list(values.values()))
    return np.concatenate([piece.numpy().ravel() for piece in pieces])


def gradient_covariance(network: nn.Module, inputs: Tensor, targets: Tensor) -> Floats:
    """The covariance (P, P) of the examples' gradients, one example at a time, with divisor n − 1."""
    rows = [gradient(network, x[None], y[None]) for x, y in zip(inputs, targets, strict=True)]
    return np.cov(np.stack(rows), rowvar=False)


def permuted(
    tensor: Tensor, axes: Sequence[Sequence[str]], orders: dict[str, list[int]]
) -> NDArray[np.float64]:
    """Entry by entry, what an axis of several permutations holds one after the other."""
    maps = []
    for dim, length in enumerate(tensor.shape):
        places: list[int] = []
        for name in axes[dim] if dim < len(axes) else ():
            places += [len(places) + place for place in orders[name]]
        maps.append(places or list(range(length)))
    values = np.empty(tensor.shape)
    for place in np.ndindex(*tensor.shape):
        values[place] = float(tensor[tuple(maps[dim][i] for dim, i in enumerate(place))])
    return values


def head_orders(size: int, heads: int) -> list[list[int]]:
    """All orders of `size` units that move heads as wholes and mix units within a head."""
    width = size // heads
    return [
        [block * width + unit for block, units in zip(blocks, inside, strict=True) for unit in units]
        for blocks in itertools.permutations(range(heads))
        for inside in itertools.product(itertools.permutations(range(width)), repeat=heads)
    ]


def next_tokens(state: dict[str, Tensor], tokens: Sequence[int], layers: int, heads: int) -> Floats:
    """A GPT's logits (T, V) for one sequence, position by position."""
    weights = {name: tensor.numpy().astype(np.float64) for name, tensor in state.items()}

    def linear(name: str, x: Floats) -> Floats:
        return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]

    def norm(name: str, x: Floats) -> Floats:
        scaled = (x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).mean() + 1e-5)
        return weights[f"{name}.weight"] * scaled + weights[f"{name}.bias"]

    def gelu(x: float) -> float:
        return x * 0.5 * (1 + math.erf(x / math.sqrt(2)))

    stream = [
        weights["token.weight"][token] + weights["position.weight"][place]
        for place, token in enumerate(tokens)
    ]
    for number in range(layers):
        at = f"layers.{number}."
        normed = [norm(f"{at}norm1", x) for x in stream]
        query, key, value = (
            [np.split(linear(at + part, x), heads) for x in normed] for part in ("query", "key", "value")
        )
        for t in range(len(stream)):
            mixed = []
            for h in range(heads):
                scores = [query[t][h] @ key[s][h] / math.sqrt(len(key[s][h])) for s in range(t + 1)]
                shares = np.exp(np.array(scores) - max(scores))
                mixed.append(sum(share * value[s][h] for s, share in enumerate(shares / shares.sum())))
            stream[t] = stream[t] + linear(f"{at}output", np.concatenate(mixed))
        for t, x in enumerate(stream):
            hidden = np.array([gelu(each) for each in linear(f"{at}expand", norm(f"{at}norm2", x))])
            stream[t] = x + linear(f"{at}contract", hidden)
    return np.array([weights["token.weight"] @ norm("norm", x) for x in stream])
