"""PyTorch as written by hand: a loop over slices of tensors in memory."""

from __future__ import annotations

import itertools
import time
from typing import Any

from thalweg.bench.peers.base import Peer, Trained
from thalweg.bench.peers.torch_images import image_modules, torch_layout
from thalweg.bench.populations import PopulationProblem, by_epoch
from thalweg.bench.problem import LEARNING_RATE, Problem


class PyTorch(Peer):
    """Eager PyTorch with the fastest of its three forms of Adam."""

    name = "pytorch"
    title = "PyTorch"
    packages = ("torch",)
    variants = ("fused", "foreach", "plain")
    image_variants = ("fused", "fused, channels last")
    member_variants = ("fused", "foreach", "plain")
    most_members = 256
    note = (
        "eager, slices of tensors in memory, the fastest of Adam fused, foreach and plain; for "
        "images fused, and the faster of both memory formats; populations in a loop over members"
    )

    def load(self, threads: int) -> None:
        """Import PyTorch, set its threads."""
        import torch  # pyright: ignore[reportMissingImports]

        torch.set_num_threads(threads)

    def open(self, problem: Problem, variant: str, threads: int) -> EagerSession | MemberLoop:
        """Build the network."""
        if isinstance(problem, PopulationProblem):
            return MemberLoop(problem, variant)
        return EagerSession(problem, variant)


def torch_network(problem: Problem) -> Any:
    """The network with the problem's starting weights, not yet loaded."""
    from torch import nn  # pyright: ignore[reportMissingImports]

    if problem.case.architecture is not None:
        return image_modules(problem.case.architecture.parts)
    layers: list[Any] = []
    for before, after in itertools.pairwise(problem.case.widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class EagerSession:
    """A network, and a new optimiser for each training.

    Args:
        problem: rows and starting weights.
        variant: form of Adam.
        rate: Adam's.
    """

    def __init__(self, problem: Problem, variant: str, rate: float = LEARNING_RATE) -> None:
        import torch  # pyright: ignore[reportMissingImports]

        self.problem, self.rate = problem, rate
        self.network: Any = torch_network(problem)
        self.x, self.y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
        self.loss: Any = torch.nn.functional.cross_entropy
        form, _, order = variant.partition(", ")
        if order == "channels last":
            self.network = self.network.to(memory_format=torch.channels_last)
            self.x = self.x.to(memory_format=torch.channels_last)
        self._form: dict[str, bool] = {
            "fused": {"fused": True},
            "foreach": {"foreach": True},
            "plain": {"foreach": False, "fused": False},
        }[form]
        self.optimizer: Any = None
        self.reset()

    def reset(self) -> None:
        """Back to the starting weights and moments."""
        import torch  # pyright: ignore[reportMissingImports]

        given = [torch_layout(part) for parts in self.problem.weights for part in parts]
        with torch.no_grad():
            for parameter, value in zip(self.network.parameters(), given, strict=True):
                parameter.copy_(torch.from_numpy(value))
        parameters = self.network.parameters()
        self.optimizer = torch.optim.Adam(parameters, lr=self.rate, **self._form)

    def step(self, x: Any, y: Any) -> Any:
        """One update; gives the loss as a tensor."""
        loss = self.loss(self.network(x), y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def train(self, epochs: int, batches: int | None = None) -> Trained:
        """Loop over epochs and batches."""
        self.reset()
        rows, size = self.problem.rows(batches), self.problem.case.batch_size
        x, y = self.x[rows], self.y[rows]
        began = time.perf_counter()
        losses = [self.epoch(x, y, size) for _ in range(epochs)]
        return Trained(losses, time.perf_counter() - began)

    def epoch(self, x: Any, y: Any, size: int) -> float:
        """One update for each batch; gives the mean loss."""
        total = 0.0
        for start in range(0, len(x), size):
            total += self.step(x[start : start + size], y[start : start + size])
        return float(total) * size / len(x)


class MemberLoop:
    """One network after another, each as :class:`EagerSession` trains it.

    Args:
        problem: rows, starting weights, rates and orders.
        variant: form of Adam.
    """

    def __init__(self, problem: PopulationProblem, variant: str) -> None:
        self.problem = problem
        self.variant = variant

    def train(self, epochs: int, batches: int | None = None) -> Trained:
        """Make each network, loop over its epochs and batches."""
        import torch  # pyright: ignore[reportMissingImports]

        problem, size = self.problem, self.problem.case.batch_size
        orders = [torch.from_numpy(order) for order in problem.orders(epochs, batches)]
        members = list(zip(*orders, strict=True))
        losses: list[list[float]] = []
        began = time.perf_counter()
        for place, member in enumerate(members):
            rate = float(problem.rates[place])
            session = EagerSession(problem.member(place), self.variant, rate)
            losses.append(
                [session.epoch(session.x[rows], session.y[rows], size) for rows in member]
            )
        seconds = time.perf_counter() - began
        return Trained(by_epoch(problem, losses), seconds)
