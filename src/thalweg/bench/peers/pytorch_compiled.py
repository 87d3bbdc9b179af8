"""PyTorch with torch.compile."""

from __future__ import annotations

import time
from typing import Any

from thalweg.bench.peers.base import Peer, Trained
from thalweg.bench.peers.pytorch import EagerSession
from thalweg.bench.problem import BETA1, BETA2, EPSILON, LEARNING_RATE, Problem


class CompiledPyTorch(Peer):
    """torch.compile around PyTorch's own step, or around a step of pure functions."""

    name = "pytorch-compiled"
    title = "PyTorch compiled"
    packages = ("torch",)
    variants = ("module", "functional")
    image_variants = ("module, channels last",)
    note = (
        "torch.compile; the faster of (module) a compiled network with fused Adam and "
        "(functional) gradient and Adam written as functions, compiled as one graph; for images "
        "the module, channels last"
    )

    def load(self, threads: int) -> None:
        """Import PyTorch, set its threads."""
        import torch  # pyright: ignore[reportMissingImports]

        torch.set_num_threads(threads)

    def open(self, problem: Problem, variant: str, threads: int) -> Any:
        """Build the network."""
        if variant == "functional":
            return FunctionSession(problem)
        return ModuleSession(problem, variant.replace("module", "fused"))


class ModuleSession(EagerSession):
    """The eager loop with a compiled network and loss.

    Args:
        problem: rows and starting weights.
        variant: form of Adam, memory format.
    """

    def __init__(self, problem: Problem, variant: str = "fused") -> None:
        super().__init__(problem, variant)
        import torch  # pyright: ignore[reportMissingImports]

        network, loss = self.network, self.loss

        def forward(x: Any, y: Any) -> Any:
            return loss(network(x), y)

        self._forward = torch.compile(forward, fullgraph=True, dynamic=False)

    def step(self, x: Any, y: Any) -> Any:
        """One update."""
        loss = self._forward(x, y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


class FunctionSession:
    """One compiled function from weights and moments to weights and moments.

    Args:
        problem: rows and starting weights.
    """

    def __init__(self, problem: Problem) -> None:
        import torch  # pyright: ignore[reportMissingImports]

        self.problem = problem
        self.x, self.y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
        self._step = torch.compile(functional_step, fullgraph=True, dynamic=False)

    def train(self, epochs: int, batches: int | None = None) -> Trained:
        """Loop over epochs and batches."""
        import torch  # pyright: ignore[reportMissingImports]

        rows, size = self.problem.rows(batches), self.problem.case.batch_size
        x, y = self.x[rows], self.y[rows]
        pairs = self.problem.weights
        values = [torch.from_numpy(part.copy()) for pair in pairs for part in pair]
        state = (
            values,
            [torch.zeros_like(value) for value in values],
            [torch.zeros_like(value) for value in values],
            torch.zeros((), dtype=torch.float64),
        )
        losses: list[float] = []
        began = time.perf_counter()
        for _ in range(epochs):
            total = 0.0
            for start in range(0, len(x), size):
                loss = self._step(state, x[start : start + size], y[start : start + size])
                total += loss
            losses.append(float(total) * size / len(x))
        return Trained(losses, time.perf_counter() - began)


def functional_step(state: Any, x: Any, y: Any) -> Any:
    """Gradient and Adam; the state is written in place."""
    import torch  # pyright: ignore[reportMissingImports]

    values, means, squares, time = state

    def objective(values: list[Any]) -> Any:
        z = x
        for layer in range(0, len(values), 2):
            z = torch.addmm(values[layer + 1], z, values[layer])
            z = torch.relu(z) if layer < len(values) - 2 else z
        return torch.nn.functional.cross_entropy(z, y)

    gradients, loss = torch.func.grad_and_value(objective)(values)
    time += 1
    rate = (LEARNING_RATE / (1 - BETA1**time)).float()
    root = torch.sqrt(1 - BETA2**time).float()
    for value, mean, square, gradient in zip(values, means, squares, gradients, strict=True):
        mean.lerp_(gradient, 1 - BETA1)
        square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        value.sub_(rate * mean / (torch.sqrt(square) / root + EPSILON))
    return loss
