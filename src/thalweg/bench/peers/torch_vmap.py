"""PyTorch's torch.func: the gradient of all members at once, Adam over their stacked parameters."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from thalweg.bench.cases import Case
from thalweg.bench.peers.base import Peer, Trained
from thalweg.bench.peers.pytorch import torch_network
from thalweg.bench.peers.torch_images import torch_layout
from thalweg.bench.populations import PopulationProblem, by_epoch, population_of
from thalweg.bench.problem import BETA1, BETA2, EPSILON, Problem


class TorchVmap(Peer):
    """``vmap(grad_and_value(…))`` over parameters stacked by member."""

    name = "torch-vmap"
    title = "torch.func vmap"
    packages = ("torch",)
    variants = ()
    image_variants = ()
    member_variants = ("vmap", "vmap, compiled", "products")
    late_variants = ("vmap, compiled",)
    note = (
        "parameters and moments stacked by member, the fastest of vmap of the gradient with Adam "
        "in `_foreach` operations, the same step through torch.compile, and batched matrix "
        "products written by hand with autograd"
    )

    def ways(self, case: Case) -> tuple[str, ...]:
        """Convolutions have no form of products."""
        return super().ways(case)[:2] if case.form else super().ways(case)

    def load(self, threads: int) -> None:
        """Import PyTorch, set its threads."""
        import torch  # pyright: ignore[reportMissingImports]

        torch.set_num_threads(threads)

    def open(self, problem: Problem, variant: str, threads: int) -> VmapSession:
        """Move the rows; compile where that is the variant."""
        return VmapSession(population_of(problem), variant)


class VmapSession:
    """All members' training, step by step.

    Args:
        problem: rows, starting weights, rates and orders.
        variant: how a step is computed.
    """

    def __init__(self, problem: PopulationProblem, variant: str) -> None:
        import torch  # pyright: ignore[reportMissingImports]

        self.problem = problem
        self.x, self.y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
        self.rates: Any = torch.from_numpy(problem.rates)
        if variant == "products":
            self.gradient: Callable[..., Any] = product_gradients
        else:
            objective = image_objective(problem) if problem.case.form else dense_objective
            self.gradient = torch.func.vmap(torch.func.grad_and_value(objective))
        self.tracked = variant == "products"
        self.step: Callable[..., Any] = self.eager
        if variant == "vmap, compiled":
            self.step = torch.compile(self.functional, fullgraph=True, dynamic=False)

    def start(self) -> tuple[Any, ...]:
        """Starting weights, moments, and the number of steps."""
        import torch  # pyright: ignore[reportMissingImports]

        parts = [part for parts in self.problem.weights for part in parts]
        if self.problem.case.form:
            parts = [stacked_layout(part) for part in parts]
        values = [torch.from_numpy(part.copy()).requires_grad_(self.tracked) for part in parts]
        means = [torch.zeros_like(value, requires_grad=False) for value in values]
        squares = [torch.zeros_like(value, requires_grad=False) for value in values]
        return values, means, squares, torch.zeros((), dtype=torch.float64)

    def eager(self, state: tuple[Any, ...], order: Any) -> Any:
        """A step with one call for each operation over all parameters."""
        import torch  # pyright: ignore[reportMissingImports]

        values, means, squares, count = state
        gradients, loss = self.gradient(values, self.x[order], self.y[order])
        count += 1
        time = float(count)
        rates = self.rates / (1 - BETA1**time)
        with torch.no_grad():
            torch._foreach_lerp_(means, list(gradients), 1 - BETA1)
            torch._foreach_mul_(squares, BETA2)
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - BETA2)
            roots = torch._foreach_sqrt(squares)
            torch._foreach_div_(roots, (1 - BETA2**time) ** 0.5)
            torch._foreach_add_(roots, EPSILON)
            changes = torch._foreach_div(means, roots)
            torch._foreach_mul_(changes, [along(rates, value) for value in values])
            torch._foreach_sub_(values, changes)
        return loss.detach()

    def functional(self, state: tuple[Any, ...], order: Any) -> Any:
        """The same step for the compiler."""
        import torch  # pyright: ignore[reportMissingImports]

        values, means, squares, time = state
        gradients, loss = self.gradient(values, self.x[order], self.y[order])
        time += 1
        rates = (self.rates / (1 - BETA1**time)).float()
        root = torch.sqrt(1 - BETA2**time).float()
        for value, mean, square, gradient in zip(values, means, squares, gradients, strict=True):
            mean.lerp_(gradient, 1 - BETA1)
            square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            value.sub_(along(rates, value) * mean / (torch.sqrt(square) / root + EPSILON))
        return loss

    def train(self, epochs: int, batches: int | None = None) -> Trained:
        """Loop over epochs and batches."""
        import torch  # pyright: ignore[reportMissingImports]

        size = self.problem.case.batch_size
        orders = [
            torch.from_numpy(order).split(size, dim=1)
            for order in self.problem.orders(epochs, batches)
        ]
        losses: list[Any] = []
        began = time.perf_counter()
        state = self.start()
        for order in orders:
            total = 0.0
            for batch in order:
                total += self.step(state, batch)
            losses.append(total / len(order))
        found = torch.stack(losses, dim=1).numpy()
        return Trained(by_epoch(self.problem, found), time.perf_counter() - began)


def along(rates: Any, value: Any) -> Any:
    """A number for each member, in the shape that multiplies a stacked parameter."""
    return rates.view(-1, *[1] * (value.dim() - 1))


def dense_objective(values: list[Any], x: Any, y: Any) -> Any:
    """One member's loss."""
    import torch  # pyright: ignore[reportMissingImports]

    for layer in range(0, len(values), 2):
        x = torch.addmm(values[layer + 1], x, values[layer])
        x = torch.relu(x) if layer < len(values) - 2 else x
    return torch.nn.functional.cross_entropy(x, y)


def product_gradients(values: list[Any], x: Any, y: Any) -> tuple[Any, Any]:
    """The gradients and losses of all members, by products of stacked matrices."""
    import torch  # pyright: ignore[reportMissingImports]

    for layer in range(0, len(values), 2):
        x = torch.baddbmm(values[layer + 1].unsqueeze(1), x, values[layer])
        x = torch.relu(x) if layer < len(values) - 2 else x
    of_rows = torch.nn.functional.cross_entropy(x.flatten(0, 1), y.flatten(), reduction="none")
    losses = of_rows.view(y.shape).mean(dim=1)
    return torch.autograd.grad(losses.sum(), values), losses


def image_objective(problem: PopulationProblem) -> Callable[..., Any]:
    """One member's loss, by PyTorch's own layers."""
    import torch  # pyright: ignore[reportMissingImports]

    network = torch_network(problem)
    names = [name for name, _ in network.named_parameters()]

    def objective(values: list[Any], x: Any, y: Any) -> Any:
        outputs = torch.func.functional_call(network, dict(zip(names, values, strict=True)), x)
        return torch.nn.functional.cross_entropy(outputs, y)

    return objective


def stacked_layout(value: Any) -> Any:
    """Every member's kernel or matrix in PyTorch's order of axes; biases as they are."""
    import numpy as np

    return np.stack([torch_layout(part) for part in value]) if value.ndim > 2 else value
