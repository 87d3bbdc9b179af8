"""Gradient clipping: bounds on what one update may do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

from thalweg.descriptions import Description, family, register, setting
from thalweg.graph import Tensor
from thalweg.ops.functions import (
    absolute,
    clip,
    isfinite,
    max_,
    maximum,
    sqrt,
    square,
    where,
)

Gradients = dict[str, Tensor]


@family("clipping")
@dataclass(frozen=True)
class Clipping(Description):
    """A change of the gradients before the update."""

    def __call__(self, gradients: Gradients) -> Gradients:
        """The gradients, clipped."""
        raise NotImplementedError(f"{type(self).__name__} cannot be called")


def global_norm(gradients: Gradients) -> Tensor:
    """√(Σ g²) over all elements of all gradients, without overflow: m √(Σ (g/m)²), m = max |g|."""
    largest = reduce(maximum, (max_(absolute(gradient)) for gradient in gradients.values()))
    unit = where(largest > 0.0, where(isfinite(largest), largest, 1.0), 1.0)
    squares = [square(gradient / unit).sum() for gradient in gradients.values()]
    return sqrt(sum(squares[1:], start=squares[0])) * unit


@register("clipping", "norm")
@dataclass(frozen=True)
class ClipNorm(Clipping):
    """g ← g · b / max(‖g‖, b), with ‖g‖ over all parameters together.

    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
    2013.

    >>> from thalweg.graph import Tensor
    >>> ClipNorm(1.0)({"w": Tensor([3.0, 4.0])})["w"]
    Tensor([0.6 0.8], float32)
    """

    bound: float = setting(1.0, low=0, low_open=True, help="b, the largest norm")

    def __call__(self, gradients: Gradients) -> Gradients:
        """The gradients scaled to a norm of at most b."""
        if not gradients:
            return gradients
        scale = self.bound / maximum(global_norm(gradients), self.bound)
        return {path: gradient * scale for path, gradient in gradients.items()}


@register("clipping", "value")
@dataclass(frozen=True)
class ClipValue(Clipping):
    """g ← min(max(g, a), b), elementwise.

    >>> from thalweg.graph import Tensor
    >>> ClipValue(-1.0, 1.0)({"w": Tensor([3.0, -0.5])})["w"]
    Tensor([ 1.  -0.5], float32)
    """

    low: float = setting(-1.0, high=0, help="a")
    high: float = setting(1.0, low=0, help="b")

    def __call__(self, gradients: Gradients) -> Gradients:
        """The gradients limited to [a, b]."""
        return {path: clip(gradient, self.low, self.high) for path, gradient in gradients.items()}


def as_clipping(value: Any) -> Clipping | None:
    """A clipping as it is, a number as the bound of the global norm, ``None`` as none."""
    return value if value is None or isinstance(value, Clipping) else ClipNorm(value)
