"""One network trained by several processes, each on its rows of the same batches, with the results of one process."""

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from sweeper.data import Task, derive_seed
from sweeper.training.trainers import Course, Separate


class Parallel(Separate):
    """Trains as `Separate` does, over all processes of the default process group, which must call it alike.

    Rank r of k takes rows r B/k to (r + 1) B/k of each batch. Every rank sees the loss of the whole batch, so that all
    stop alike when it diverges; batch norm uses the whole batch's statistics. Up to the order of sums, results
    are those of one process; only what a network draws as it trains (dropout) differs.
    """

    def __init__(self, network: nn.Module, task: Task) -> None:
        # The given one stays as it is, for measuring: its batch norm knows of no other process.
        with warnings.catch_warnings():
            # The option's new name is not in every torch that will do.
            warnings.simplefilter("ignore", FutureWarning)
            shared = DistributedDataParallel(_synchronised(copy.deepcopy(network)), broadcast_buffers=False)
        shared.register_comm_hook(None, _sum)
        super().__init__(shared.module, task)
        self.provenance = {"processes": dist.get_world_size()}
        self.stepped = _WholeBatch(shared)

    def batches(self, course: Course, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield this rank's rows of each batch, and the targets of all rows."""
        rows = course.config.batch_size // dist.get_world_size()
        first = dist.get_rank() * rows
        for inputs, targets in super().batches(course, start, stop):
            yield inputs[first : first + rows], targets

    def draws(self, course: Course) -> int:
        """Return a seed of this rank's own: rows of different ranks must not draw the same."""
        return derive_seed("rank", course.seed, dist.get_rank()) if dist.get_rank() else course.seed


class _WholeBatch(nn.Module):
    """Gives the outputs of the whole batch; gradients flow to this rank's rows alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.network(inputs)
        parts = [torch.empty_like(outputs) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, outputs.detach().contiguous())
        parts[dist.get_rank()] = outputs
        return torch.cat(parts)


def _sum(state: object, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:  # type: ignore[name-defined]
    """Add up the ranks' gradients: each is that of the whole batch's loss by the rank's own rows."""
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    future: torch.futures.Future[Tensor] = work.get_future().then(lambda done: done.value()[0])
    return future


class _AllReduce(torch.autograd.Function):
    """The sum of a tensor over all ranks; its gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


class _GlobalBatchNorm(_BatchNorm):
    """Batch norm by the mean and variance of all ranks' rows. torch's SyncBatchNorm does the same on GPUs only."""

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        """Take inputs of any number of dimensions (B, C, …)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        if not self.training:
            return super().forward(input)
        axes = [axis for axis in range(input.ndim) if axis != 1]
        shape = [1, -1] + [1] * (input.ndim - 2)
        count = input.numel() // input.shape[1] * dist.get_world_size()
        mean = _AllReduce.apply(input.sum(axes)) / count
        centred = input - mean.view(shape)
        variance = _AllReduce.apply(centred.square().sum(axes)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        normal: Tensor = centred * torch.rsqrt(variance + self.eps).view(shape)
        return normal * self.weight.view(shape) + self.bias.view(shape) if self.affine else normal

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def _synchronised(network: nn.Module) -> nn.Module:
    """Turn every batch norm of `network` into one over all ranks, its parameters and buffers the same objects."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.__class__ = _GlobalBatchNorm
    return network
