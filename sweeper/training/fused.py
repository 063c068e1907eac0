"""Small networks trained at once: one step of all of them costs little more than a step of one."""

import copy
import warnings
from collections.abc import Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap

from sweeper.training.loop import CHECK_EVERY, Diverged
from sweeper.training.optimizers import build_optimizer, match_gradient_strides
from sweeper.training.state import load_state, state_of
from sweeper.training.trainers import Course, Separate, State


class CannotFuse(ValueError):
    """A network that vmap can't train; its text is one line that says why."""


class Fused(Separate):
    """Trains the courses of R networks at once, each with its own seed, schedule and settings of the optimizer.

    Parameters and buffers of R copies of the network lie stacked in tensors (R, …), over which `vmap` takes forward and
    backward passes; each copy has its optimizer, whose parameters are slices of them. In exact arithmetic the results
    are those of `Separate`. What one network does, NaN included, does not touch the others' bits. A single
    course is trained as by `Separate`.
    """

    together = True

    def train(self, courses: Sequence[Course], start: int, stop: int) -> list[State | Diverged]:
        """Train all courses from step `start` to step `stop` and return their states, or how they diverged.

        Raises:
            CannotFuse: if the network draws random numbers as it trains, or does what vmap can't.
        """
        if len(courses) == 1:
            return super().train(courses, start, stop)
        replicas = _Replicas(self.network, courses)
        batches = zip(*(self.batches(course, start, stop) for course in courses), strict=True)
        self.network.train()
        with warnings.catch_warnings():
            # An operation that vmap does in a loop costs time, which whoever chose this has measured.
            warnings.filterwarnings("ignore", "There is a performance drop")
            for step, batch in enumerate(batches, start):
                inputs, targets = (torch.stack(part) for part in zip(*batch, strict=True))
                losses = replicas.step(step, inputs, targets)
                if step % CHECK_EVERY == 0 and not replicas.alive(losses, step):
                    break
        return replicas.results(stop)


class _Replicas:
    """Copies of a network that are trained at once, one a course."""

    def __init__(self, network: nn.Module, courses: Sequence[Course]) -> None:
        self._network = network
        self._courses = courses
        self._copies = [copy.deepcopy(network) for _ in courses]
        self._parameters, self._buffers = _stacked(self._copies)
        self._slices = [list(copied.parameters()) for copied in self._copies]
        self._optimizers = [
            build_optimizer(slices, course.config)
            for slices, course in zip(self._slices, courses, strict=True)
        ]
        for copied, optimizer, course in zip(self._copies, self._optimizers, courses, strict=True):
            load_state(course.state, copied, optimizer)
        self._diverged: dict[int, Diverged] = {}

    def step(self, step: int, inputs: Tensor, targets: Tensor) -> Tensor:
        """Take one step on inputs (R, B, …) and targets (R, B), and return the losses, shape (R,)."""
        losses = self._losses(inputs, targets)
        stacks = self._parameters.values()
        for stacked in stacks:
            stacked.grad = None
        losses.sum().backward()
        for replica, slices in enumerate(self._slices):
            for own, stacked in zip(slices, stacks, strict=True):
                own.grad = None if stacked.grad is None else stacked.grad[replica]
            match_gradient_strides(slices)
            for group in self._optimizers[replica].param_groups:
                group["lr"] = self._courses[replica].schedule(step)
            self._optimizers[replica].step()
        return losses

    def alive(self, losses: Tensor, step: int) -> bool:
        """Note whose loss at `step` isn't finite, and return whether any replica never was like that."""
        lost = torch.nonzero(~torch.isfinite(losses)).flatten().tolist()
        self._diverged = {replica: Diverged(step + 1) for replica in lost} | self._diverged
        return len(self._diverged) < len(self._copies)

    def results(self, stop: int) -> list[State | Diverged]:
        """Return each replica's state after step `stop`, or how it diverged."""
        return [
            self._diverged.get(replica) or self._result(replica, stop) for replica in range(len(self._copies))
        ]

    def _result(self, replica: int, stop: int) -> State | Diverged:
        if not all(torch.isfinite(tensor).all() for tensor in self._copies[replica].state_dict().values()):
            return Diverged(stop)
        return state_of(self._copies[replica], self._optimizers[replica])

    def _losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        def loss(parameters: State, buffers: State, inputs: Tensor, targets: Tensor) -> Tensor:
            return F.cross_entropy(functional_call(self._network, (parameters, buffers), (inputs,)), targets)

        bf16 = self._courses[0].config.precision == "bf16"
        precision = torch.autocast(inputs.device.type, dtype=torch.bfloat16) if bf16 else nullcontext()
        try:
            with precision:
                losses: Tensor = vmap(loss)(self._parameters, self._buffers, inputs, targets)
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise CannotFuse(f"resources/replicas fused: vmap can't train this network: {reason}") from error
        return losses


def _stacked(networks: Sequence[nn.Module]) -> tuple[State, State]:
    """Return the networks' parameters and buffers by name, stacked, and make the networks' own slices of these."""

    def stack(tensors: Sequence[Tensor]) -> Tensor:
        stacked = torch.stack([tensor.detach() for tensor in tensors])
        for tensor, own in zip(tensors, stacked, strict=True):
            tensor.data = own
        return stacked.requires_grad_(tensors[0].requires_grad)

    parameters = {
        name: stack([network.get_parameter(name) for network in networks])
        for name, _ in networks[0].named_parameters()
    }
    buffers = {
        name: stack([network.get_buffer(name) for network in networks])
        for name, _ in networks[0].named_buffers()
    }
    return parameters, buffers
