"""The same rows and the same starting weights for every library, made from a case alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import thalweg as tw
from thalweg.bench.architectures import Architecture, Convolution, Norm
from thalweg.bench.cases import Case

Floats = npt.NDArray[np.floating[Any]]
LEARNING_RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8
"""Adam's numbers, the same for all."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What each library trains on.

    Attributes:
        case: sizes.
        x: inputs, (N, inputs) or (N, C, H, W), float32, normal.
        y: labels, (N,) int64, each class as often as any other, independent of x.
        weights: float32, for each layer with parameters: W (inputs, outputs) or (taps, taps, C, K),
            and b (outputs,) where it has one; γ and β of a normalisation.
    """

    case: Case
    x: Floats
    y: npt.NDArray[np.int64]
    weights: list[tuple[Floats, ...]]

    def rows(self, batches: int | None) -> slice:
        """The rows of the first batches; all of them for None."""
        return slice(None if batches is None else batches * self.case.batch_size)


def network(case: Case) -> tw.Sequential:
    """The case as thalweg's network."""
    if case.form:
        return {"lenet": tw.models.lenet5, "resnet": tw.models.resnet}[case.form]()
    layers: list[tw.Layer] = []
    for width in case.widths[1:-1]:
        layers += [tw.Linear(width), tw.ReLU()]
    return tw.Sequential(*layers, tw.Linear(case.widths[-1]))


def starting_weights(problem: Problem) -> dict[str, Floats]:
    """The weights by thalweg's paths."""
    paths = tw.initialise(network(problem.case), problem.case.row_shape)
    values = [part for parts in problem.weights for part in parts]
    return dict(zip(paths, values, strict=True))


def image_weights(
    architecture: Architecture, generator: np.random.Generator
) -> list[tuple[Floats, ...]]:
    """Kernels and matrices normal, terms 0, γ = 1.

    The variance is 1 / 3M for sums of M inputs, as PyTorch's layers have, and 2 / M in front of a
    normalisation: with losses that start near ln K and weights that change little in a step, a
    maximum that rounding moves to another place changes later losses little.
    """
    found: list[tuple[Floats, ...]] = []
    for part in architecture.weighted:
        shapes = part.shapes
        if isinstance(part, Norm):
            first = np.ones(shapes[0], np.float32)
        else:
            normalised = isinstance(part, Convolution) and not part.bias
            variance = (2 if normalised else 1 / 3) / np.prod(shapes[0][:-1])
            first = generator.standard_normal(shapes[0], dtype=np.float32)
            first *= np.float32(variance**0.5)
        found.append((first, *(np.zeros(shape, np.float32) for shape in shapes[1:])))
    return found


def make_problem(case: Case) -> Problem:
    """Rows and starting weights of a case; the same in every process.

    Labels are independent of the inputs, so that gradients stay of ordinary size however long the
    network trains.
    """
    generator = np.random.default_rng(case.seed)
    x = generator.standard_normal((case.rows, *case.row_shape), dtype=np.float32)
    y = np.arange(case.rows, dtype=np.int64) % case.widths[-1]
    if case.architecture is not None:
        return Problem(case, x, y, image_weights(case.architecture, generator))
    found = tw.initialise(network(case), (case.widths[0],), case.seed, "float32")
    places = [2 * layer for layer in range(len(case.widths) - 1)]
    weights = [(found[f"{place}.weight"], found[f"{place}.bias"]) for place in places]
    return Problem(case, x, y, weights)
