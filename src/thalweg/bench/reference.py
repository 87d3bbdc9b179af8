"""Backpropagation and Adam in float64 NumPy, written by hand: the judge of every library's losses.

It shares no code with thalweg's graph, derivatives or optimisers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg.bench.problem import BETA1, BETA2, EPSILON, LEARNING_RATE, Problem
from thalweg.bench.reference_images import evaluate

Array = npt.NDArray[np.float64]


class Reference:
    """One network in float64.

    Args:
        problem: rows and starting weights.
        rate: Adam's.
    """

    def __init__(self, problem: Problem, rate: float = LEARNING_RATE) -> None:
        self.problem = problem
        self.rate = rate
        pairs = problem.weights
        self.values: list[Array] = [np.asarray(part, "float64") for pair in pairs for part in pair]
        self._means = [np.zeros_like(value) for value in self.values]
        self._squares = [np.zeros_like(value) for value in self.values]
        self._time = 0

    def step(self, x: Array, y: npt.NDArray[np.int64]) -> float:
        """One update; gives the batch's loss before it."""
        loss, gradients = self.gradients(x, y)
        self._time += 1
        rate = self.rate / (1 - BETA1**self._time)
        root = np.sqrt(1 - BETA2**self._time)
        for place, gradient in enumerate(gradients):
            mean, squares = self._means[place], self._squares[place]
            mean += (1 - BETA1) * (gradient - mean)
            squares += (1 - BETA2) * (gradient**2 - squares)
            self.values[place] = self.values[place] - rate * mean / (
                np.sqrt(squares) / root + EPSILON
            )
        return loss

    def gradients(self, x: Array, y: npt.NDArray[np.int64]) -> tuple[float, list[Array]]:
        """The mean cross entropy and its gradient, by the δ of each layer."""
        architecture = self.problem.case.architecture
        if architecture is not None:
            z, back = evaluate(architecture.parts, x, iter(self.values))
            loss, delta = cross_entropy(z, y)
            return loss, back(delta)[1]
        inputs = [x]
        layers = len(self.values) // 2
        for layer in range(layers):
            z = inputs[-1] @ self.values[2 * layer] + self.values[2 * layer + 1]
            inputs.append(np.maximum(z, 0) if layer < layers - 1 else z)
        loss, delta = cross_entropy(inputs.pop(), y)
        gradients: list[Array] = []
        for layer in reversed(range(layers)):
            gradients = [inputs[layer].T @ delta, delta.sum(axis=0), *gradients]
            delta = (delta @ self.values[2 * layer].T) * (inputs[layer] > 0)
        return loss, gradients


def cross_entropy(z: Array, y: npt.NDArray[np.int64]) -> tuple[float, Array]:
    """The mean over the rows, and its gradient by z."""
    z = z - z.max(axis=1, keepdims=True)
    logs = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    rows = np.arange(len(y))
    delta = np.exp(logs)
    delta[rows, y] -= 1
    return -float(logs[rows, y].mean()), delta / len(y)


def reference_losses(problem: Problem, epochs: int, batches: int | None = None) -> list[float]:
    """The mean of the batch losses of each epoch, over the first batches or all of them."""
    reference = Reference(problem)
    used = problem.rows(batches)
    x: Any = problem.x[used].astype("float64")
    y, size = problem.y[used], problem.case.batch_size
    losses: list[float] = []
    for _ in range(epochs):
        starts = range(0, len(x), size)
        steps = [
            reference.step(x[start : start + size], y[start : start + size]) for start in starts
        ]
        losses.append(sum(steps) / len(steps))
    return losses
