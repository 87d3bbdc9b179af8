"""Rules that practitioners try today: Lion and Muon."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from thalweg.descriptions import flag, option, part, register, setting, size
from thalweg.graph import Shape, Tensor
from thalweg.ops.functions import maximum, sign, sqrt, square, transpose
from thalweg.optim.adam import AdamW
from thalweg.optim.optimizer import (
    Moment,
    Optimizer,
    Slot,
    State,
    Values,
    inner_slot,
    inner_slots,
    inner_state,
    memory,
    outer_state,
    refuse_whole_batch,
)
from thalweg.optim.schedules import Rate

_OTHERS = "others"


@register("optimizer", "lion")
@dataclass(frozen=True)
class Lion(Optimizer):
    """θ ← θ - η (sign(β₁m + (1-β₁)g) + λθ), then m ← β₂m + (1-β₂)g.

    Every element moves by η, so that η is three to ten times smaller than Adam's, and λ larger.

    Args:
        learning_rate: η.
        beta1: β₁ in [0, 1), of the step.
        beta2: β₂ in [0, 1), of what is kept.
        weight_decay: λ ≥ 0, decoupled.

    Source: Chen and others, "Symbolic discovery of optimization algorithms", 2023.

    >>> Lion().beta2
    0.99
    """

    learning_rate: Rate = setting(1e-4, low=0, schedule=True, help="η, a number or a schedule")
    beta1: float = setting(0.9, low=0, high=1, high_open=True, help="β₁, of the step")
    beta2: float = setting(0.99, low=0, high=1, high_open=True, help="β₂, of what is kept")
    weight_decay: float = setting(0.0, low=0, help="λ, decoupled")

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The moving mean of g."""
        return (Slot("mean"),)

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step."""
        rate = self.rate(moment)
        keep = 1.0 - rate * self.weight_decay
        of_step, of_state = memory(self.beta1), memory(self.beta2)
        moved: Values = {}
        means: Values = {}
        for path, value in parameters.items():
            mean, gradient = state["mean"][path], gradients[path]
            means[path] = of_state(mean, gradient)
            moved[path] = value * keep - sign(of_step(mean, gradient)) * rate
        return moved, {"mean": means}


class Polynomial(NamedTuple):
    """X ← aX + (bA + cA²)X with A = XXᵀ, an odd polynomial of the singular values."""

    a: float = 3.4445
    b: float = -4.7750
    c: float = 2.0315


def orthogonalised(matrix: Tensor, steps: int, epsilon: float = 1e-7) -> Tensor:
    """A matrix with its singular values brought near 1 by Newton–Schulz steps.

    Args:
        matrix: (rows, columns).
        steps: how many; five bring most singular values between 0.7 and 1.2.
        epsilon: least norm.

    >>> import numpy as np
    >>> near = orthogonalised(Tensor(np.diag([3.0, 1.0])), 5).numpy()
    >>> bool(np.all(np.abs(np.linalg.svd(near)[1] - 1) < 0.35))
    True
    """
    by = Polynomial()
    tall = matrix.shape[0] > matrix.shape[1]
    x = transpose(matrix) if tall else matrix
    x = x * (1.0 / maximum(sqrt(square(x).sum()), epsilon))
    for _ in range(steps):
        gram = x @ transpose(x)
        x = x * by.a + (gram * by.b + (gram @ gram) * by.c) @ x
    return transpose(x) if tall else x


@register("optimizer", "muon")
@dataclass(frozen=True)
class Muon(Optimizer):
    """Matrices move along their orthogonalised momentum, other parameters by another rule.

    m ← ρm + (1-ρ)g, u = ρm + (1-ρ)g (or m without ``nesterov``),
    θ ← (1 - ηλ)θ - ηs O(u), O by ``steps`` Newton–Schulz steps (:func:`orthogonalised`).

    s is √max(1, outputs / inputs), or with ``scale="adam"`` 0.2 √max(outputs, inputs), which gives
    steps of Adam's size, so that its rates can be taken over. The output layer is usually left to
    the other rule as well: see :class:`Groups`. As in PyTorch, whose O is computed in bfloat16.

    Args:
        learning_rate: η, of matrices.
        momentum: ρ in [0, 1).
        weight_decay: λ ≥ 0, decoupled.
        nesterov: look ahead.
        steps: of Newton–Schulz.
        scale: ``shape`` or ``adam``.
        others: rule of parameters that are no matrices, with its own rate.

    Source: Jordan and others, "Muon: an optimizer for hidden layers in neural networks", 2024.

    >>> Muon().steps
    5
    """

    learning_rate: Rate = setting(1e-3, low=0, schedule=True, help="η, of matrices")
    momentum: float = setting(0.95, low=0, high=1, high_open=True, help="ρ")
    weight_decay: float = setting(0.1, low=0, help="λ, decoupled")
    nesterov: bool = flag(True, help="look ahead")
    steps: int = size(5, help="of Newton–Schulz")
    scale: str = option("shape", options=("shape", "adam"), help="size of a step")
    others: Optimizer = part(AdamW(), family="optimizer", help="rule of the other parameters")

    def __post_init__(self) -> None:
        """Check the fields, and that the other rule is one of mini-batches."""
        super().__post_init__()
        refuse_whole_batch("the rule of others", self.others)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The momentum of matrices, and the other rule's slots."""
        return (Slot("momentum"), *inner_slots(_OTHERS, self.others))

    def keeps(self, slot: Slot, path: str, shape: Shape) -> bool:
        """Matrices keep their momentum, others what their rule keeps."""
        matrix = len(shape) == 2
        if slot.name == "momentum":
            return matrix
        inner = inner_slot(_OTHERS, slot)
        return not matrix and inner is not None and self.others.keeps(inner, path, shape)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        """Refuse another rule that does not fit the parameters that are no matrices."""
        self.others.check({path: shape for path, shape in shapes.items() if len(shape) != 2})

    def with_rates(self, change: Callable[[Rate], Rate]) -> Muon:
        """With other rates, of matrices and of the other rule."""
        return dataclasses.replace(
            self.with_rate(change(self.learning_rate)), others=self.others.with_rates(change)
        )

    def point(self, parameters: Values, state: State, moment: Moment) -> Values:
        """The parameters, but where the other rule looks ahead."""
        theirs = inner_state(_OTHERS, self.others, state)
        ahead = self.others.point(_rest(parameters), theirs, moment)
        return {path: ahead.get(path, value) for path, value in parameters.items()}

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step of both rules."""
        rate = self.rate(moment)
        moved: Values = {}
        momenta: Values = {}
        for path, value in parameters.items():
            if value.ndim == 2:
                moved[path], momenta[path] = self._matrix(
                    value, gradients[path], state["momentum"][path], rate
                )
        rest, theirs = _rest(parameters), inner_state(_OTHERS, self.others, state)
        others, after = self.others.update(gradients, theirs, rest, moment)
        moved |= others
        kept = {"momentum": momenta, **outer_state(_OTHERS, after)}
        return {path: moved[path] for path in parameters}, kept

    def _matrix(
        self, value: Tensor, gradient: Tensor, momentum: Tensor, rate: Tensor
    ) -> tuple[Tensor, Tensor]:
        mixed = memory(self.momentum)
        after = mixed(momentum, gradient)
        way = mixed(after, gradient) if self.nesterov else after
        inputs, outputs = value.shape
        shaped = max(1.0, outputs / inputs) ** 0.5
        scale = shaped if self.scale == "shape" else 0.2 * max(outputs, inputs) ** 0.5
        step = orthogonalised(way, self.steps) * (rate * scale)
        return value * (1.0 - rate * self.weight_decay) - step, after


def _rest(parameters: Values) -> Values:
    return {path: value for path, value in parameters.items() if value.ndim != 2}
