"""JAX with Optax: one compiled program for an epoch, a scan over its batches."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from thalweg.bench.peers.base import Peer, Trained, floats
from thalweg.bench.peers.jax_images import image_function
from thalweg.bench.problem import LEARNING_RATE, Problem


class Jax(Peer):
    """``jax.lax.scan`` over the batches, ``jit`` with donated state."""

    name = "jax"
    title = "JAX scan"
    packages = ("jax", "jaxlib", "optax")
    image_variants = ("NHWC", "NCHW")
    note = (
        "jit of one epoch, `lax.scan` over batches on the device, donated state, Optax Adam; for "
        "images the faster order of axes, no running averages in its batch normalisation"
    )

    def environment(self, threads: int) -> dict[str, str]:
        """XLA reads the size of its thread pool from here."""
        return {"NPROC": str(threads), "JAX_PLATFORMS": "cpu"}

    def load(self, threads: int) -> None:
        """Import."""
        import jax  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]
        import optax  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]

    def open(self, problem: Problem, variant: str, threads: int) -> JaxSession:
        """Move the rows, compile the epoch."""
        session = JaxSession(problem, variant)
        session.program(problem.case.batches)
        return session


class JaxSession:
    """Compiled epochs, by their number of batches.

    Args:
        problem: rows and starting weights.
        variant: order of the axes of images.
    """

    def __init__(self, problem: Problem, variant: str = "") -> None:
        import jax.numpy as jnp  # pyright: ignore[reportMissingImports]
        import optax  # pyright: ignore[reportMissingImports]

        case = problem.case
        self.problem = problem
        rows = problem.x.transpose(0, 2, 3, 1) if variant == "NHWC" else problem.x
        self.x = jnp.asarray(rows.reshape(case.batches, case.batch_size, *rows.shape[1:]))
        self.y = jnp.asarray(problem.y.astype(np.int32).reshape(case.batches, case.batch_size))
        self.optimizer: Any = optax.adam(LEARNING_RATE)
        self._programs: dict[int, Any] = {}
        image = case.architecture
        self._network = image_function(image.parts, variant) if image else dense_network

    def start(self) -> tuple[Any, Any]:
        """Starting weights and moments."""
        import jax  # pyright: ignore[reportMissingImports]

        weights = jax.tree.map(jax.numpy.array, self.problem.weights)
        return weights, self.optimizer.init(weights)

    def program(self, batches: int) -> Any:
        """The compiled epoch over so many batches."""
        import jax  # pyright: ignore[reportMissingImports]

        if batches not in self._programs:
            epoch = jax.jit(self._epoch, donate_argnums=0)
            lowered = epoch.lower(self.start(), self.x[:batches], self.y[:batches])
            self._programs[batches] = lowered.compile()
        return self._programs[batches]

    def _epoch(self, state: Any, x: Any, y: Any) -> tuple[Any, Any]:
        import jax  # pyright: ignore[reportMissingImports]
        import optax  # pyright: ignore[reportMissingImports]

        def objective(weights: Any, x: Any, y: Any) -> Any:
            z = self._network(weights, x)
            return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()

        def step(state: Any, batch: Any) -> tuple[Any, Any]:
            weights, moments = state
            loss, gradients = jax.value_and_grad(objective)(weights, *batch)
            updates, moments = self.optimizer.update(gradients, moments, weights)
            return (optax.apply_updates(weights, updates), moments), loss

        state, losses = jax.lax.scan(step, state, (x, y))
        return state, losses.mean()

    def train(self, epochs: int, batches: int | None = None) -> Trained:
        """One call of the program for each epoch."""
        batches = self.problem.case.batches if batches is None else batches
        program, state = self.program(batches), self.start()
        x, y = self.x[:batches], self.y[:batches]
        losses: list[Any] = []
        began = time.perf_counter()
        for _ in range(epochs):
            state, loss = program(state, x, y)
            losses.append(loss)
        found = floats(losses)
        return Trained(found, time.perf_counter() - began, 0.0)


def dense_network(weights: Any, x: Any) -> Any:
    """The outputs of a network for tables."""
    import jax  # pyright: ignore[reportMissingImports]

    for weight, bias in weights[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    return x @ weights[-1][0] + weights[-1][1]
