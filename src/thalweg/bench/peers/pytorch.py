"""PyTorch as written by hand: a loop over slices of tensors in memory."""

from __future__ import annotations

import itertools
import time
from typing import Any

from thalweg.bench.peers.base import Peer, Trained
from thalweg.bench.peers.torch_images import image_modules, torch_layout
from thalweg.bench.problem import LEARNING_RATE, Problem


class PyTorch(Peer):
    """Eager PyTorch with the fastest of its three forms of Adam."""

    name = "pytorch"
    title = "PyTorch"
    packages = ("torch",)
    variants = ("fused", "foreach", "plain")
    image_variants = ("fused", "fused, channels last")
    note = (
        "eager, slices of tensors in memory, the fastest of Adam fused, foreach and plain; for "
        "images fused, and the faster of both memory formats"
    )

    def load(self, threads: int) -> None:
        """Import PyTorch, set its threads."""
        import torch  # pyright: ignore[reportMissingImports]

        torch.set_num_threads(threads)

    def open(self, problem: Problem, variant: str, threads: int) -> EagerSession:
        """Build the network."""
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
    """

    def __init__(self, problem: Problem, variant: str) -> None:
        import torch  # pyright: ignore[reportMissingImports]

        self.problem = problem
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
        self.optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, **self._form)

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
        losses: list[float] = []
        began = time.perf_counter()
        for _ in range(epochs):
            total = 0.0
            for start in range(0, len(x), size):
                total += self.step(x[start : start + size], y[start : start + size])
            losses.append(float(total) * size / len(x))
        return Trained(losses, time.perf_counter() - began)
