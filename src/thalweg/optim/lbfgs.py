"""L-BFGS: curvature from the last few moves, for small problems and whole batches.

Symbols: θ_k the parameters, g_k the gradient of the risk of all rows, s_k = θ_{k+1} - θ_k,
y_k = g_{k+1} - g_k, m how many pairs are remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.descriptions import register, setting, size
from thalweg.errors import SettingError
from thalweg.graph import Array
from thalweg.optim.optimizer import Moment, Optimizer, State, Values
from thalweg.optim.schedules import Rate


@register("optimizer", "lbfgs")
@dataclass(frozen=True)
class LBFGS(Optimizer):
    """θ ← θ - α H g, H an estimate of the inverse Hessian from the last m pairs (s, y).

    Each epoch is one iteration on all rows: the batch is the whole training set, and the step α is
    found by a line search for the strong Wolfe conditions with constants c₁ and c₂. The first
    direction is the gradient, scaled to a step of at most ``learning_rate``. Training ends as
    ``converged`` where no element of the gradient exceeds ``tolerance``, or no lower risk is found.

    For small networks and few rows; with float64 it finds critical points to many digits. Networks
    that draw random numbers are refused, as are clipping, accumulation, augmentation and averages.

    Args:
        learning_rate: largest length of the first step, > 0.
        memory: m ≥ 1.
        tolerance: of the gradient's largest element, ≥ 0.
        c1: least share of the promised fall, in (0, 1).
        c2: largest share of the slope that may be left, in (c₁, 1).
        evaluations: of the risk in one line search at most.

    Source: Nocedal, "Updating quasi-Newton matrices with limited storage", 1980; Liu and Nocedal,
    "On the limited memory BFGS method for large scale optimization", 1989.

    >>> LBFGS(memory=5).memory
    5
    """

    whole_batch: ClassVar[bool] = True

    learning_rate: Rate = setting(
        1.0, low=0, low_open=True, help="largest length of the first step"
    )
    memory: int = size(10, help="m, pairs that are remembered")
    tolerance: float = setting(1e-7, low=0, help="largest gradient element at the end")
    c1: float = setting(1e-4, low=0, high=1, low_open=True, high_open=True, help="c₁")
    c2: float = setting(0.9, low=0, high=1, high_open=True, above="c1", help="c₂")
    evaluations: int = size(25, help="of the risk in one line search")

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """Not one step of a batch.

        Raises:
            SettingError: always; :func:`thalweg.fit` runs the iterations.
        """
        raise SettingError("L-BFGS works on all rows with a line search; use it through fit")

    def arrays(self, count: int) -> dict[str, Array]:
        """What is remembered of ``count`` parameters: the pairs (m, count), and how many there are.

        >>> {name: array.shape for name, array in LBFGS(memory=3).arrays(7).items()}
        {'lbfgs.moves/': (3, 7), 'lbfgs.changes/': (3, 7), 'lbfgs.count/': ()}
        """
        return {
            "lbfgs.moves/": np.zeros((self.memory, count)),
            "lbfgs.changes/": np.zeros((self.memory, count)),
            "lbfgs.count/": np.zeros(()),
        }


def direction(gradient: Array, moves: Array, changes: Array) -> Array:
    """-H g by the two-loop recursion.

    Args:
        gradient: g (D,).
        moves: s, oldest first, (k, D).
        changes: y, oldest first, (k, D), with sᵀy > 0.

    >>> direction(np.array([2.0, 8.0]), np.eye(2), np.diag([2.0, 4.0]))
    array([-1., -2.])
    """
    result = -gradient
    shares = [1.0 / float(s @ y) for s, y in zip(moves, changes, strict=True)]
    weights: list[float] = []
    for place in reversed(range(len(moves))):
        weights.append(shares[place] * float(moves[place] @ result))
        result = result - weights[-1] * changes[place]
    if len(moves):
        result = result * (1.0 / (shares[-1] * float(changes[-1] @ changes[-1])))
    for place, weight in zip(range(len(moves)), reversed(weights), strict=True):
        slope = shares[place] * float(changes[place] @ result)
        result = result + (weight - slope) * moves[place]
    return result
