"""Keras on JAX: ``compile`` and ``fit``."""

from __future__ import annotations

import time
from typing import Any

from thalweg.bench.peers.base import Peer, Trained, floats
from thalweg.bench.problem import BETA1, BETA2, EPSILON, LEARNING_RATE, Problem


class Keras(Peer):
    """``Model.fit`` on arrays in memory, compiled by XLA."""

    name = "keras"
    title = "Keras"
    packages = ("keras", "jax")
    variants = ("1 step a call", "16 steps a call")
    image_variants = ()
    note = (
        "`fit` on arrays in memory, JAX backend, jit; the faster of 1 and 16 steps a call; its "
        "Adam adds ε before the correction of the second moment, so losses agree less closely; "
        "not for images, where its convolutions would be JAX's"
    )

    def environment(self, threads: int) -> dict[str, str]:
        """Keras reads its backend here, XLA the size of its thread pool."""
        return {"KERAS_BACKEND": "jax", "NPROC": str(threads), "JAX_PLATFORMS": "cpu"}

    def load(self, threads: int) -> None:
        """Import."""
        import keras  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]

    def open(self, problem: Problem, variant: str, threads: int) -> KerasSession:
        """Build and compile the network."""
        return KerasSession(problem, int(variant.split(" ", maxsplit=1)[0]))


class KerasSession:
    """One network, compiled once.

    Args:
        problem: rows and starting weights.
        steps: steps of one call into the compiled program.
    """

    def __init__(self, problem: Problem, steps: int) -> None:
        import keras  # pyright: ignore[reportMissingImports]

        case = problem.case
        layers = [keras.layers.Dense(width, activation="relu") for width in case.widths[1:-1]]
        self.problem = problem
        self.network: Any = keras.Sequential(
            [keras.Input((case.widths[0],)), *layers, keras.layers.Dense(case.widths[-1])]
        )
        optimizer = keras.optimizers.Adam(
            LEARNING_RATE, beta_1=BETA1, beta_2=BETA2, epsilon=EPSILON
        )
        self.network.compile(
            optimizer,
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=True,
            steps_per_execution=min(steps, case.batches),
        )
        optimizer.build(self.network.trainable_variables)

    def reset(self) -> None:
        """Back to the starting weights and moments."""
        self.network.set_weights([part for pair in self.problem.weights for part in pair])
        for variable in self.network.optimizer.variables:
            if variable.path.endswith("learning_rate"):
                continue
            variable.assign(0 * variable.value)

    def train(self, epochs: int, batches: int | None = None) -> Trained:
        """One call of ``fit``."""
        self.reset()
        rows, size = self.problem.rows(batches), self.problem.case.batch_size
        x, y = self.problem.x[rows], self.problem.y[rows]
        began = time.perf_counter()
        history = self.network.fit(
            x, y, batch_size=size, epochs=epochs, shuffle=False, verbose=0
        )  # fmt: skip
        return Trained(floats(history.history["loss"]), time.perf_counter() - began)
