"""The same rows and the same starting weights for every library, made from a case alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import thalweg as tw
from thalweg.bench.cases import Case

Floats = npt.NDArray[np.floating[Any]]
LEARNING_RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8
"""Adam's numbers, the same for all."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What each library trains on.

    Attributes:
        case: sizes.
        x: inputs, (N, inputs) float32, normal.
        y: labels, (N,) int64, each class as often as any other, independent of x.
        weights: one pair W (inputs, outputs), b (outputs,) for each layer, float32.
    """

    case: Case
    x: Floats
    y: npt.NDArray[np.int64]
    weights: list[tuple[Floats, Floats]]

    def rows(self, batches: int | None) -> slice:
        """The rows of the first batches; all of them for None."""
        return slice(None if batches is None else batches * self.case.batch_size)


def network(case: Case) -> tw.Sequential:
    """The case as thalweg's network."""
    layers: list[tw.Layer] = []
    for width in case.widths[1:-1]:
        layers += [tw.Linear(width), tw.ReLU()]
    return tw.Sequential(*layers, tw.Linear(case.widths[-1]))


def make_problem(case: Case) -> Problem:
    """Rows and starting weights of a case; the same in every process.

    Labels are independent of the inputs, so that gradients stay of ordinary size however long the
    network trains.
    """
    generator = np.random.default_rng(case.seed)
    x = generator.standard_normal((case.rows, case.widths[0]), dtype=np.float32)
    y = np.arange(case.rows, dtype=np.int64) % case.widths[-1]
    found = tw.initialise(network(case), (case.widths[0],), case.seed, "float32")
    places = [2 * layer for layer in range(len(case.widths) - 1)]
    weights = [(found[f"{place}.weight"], found[f"{place}.bias"]) for place in places]
    return Problem(case, x, y, weights)
