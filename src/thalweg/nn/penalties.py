"""Penalties on weights: Ω of the structural risk, mean loss + Ω(θ).

Symbols: W all penalised parameters, w one of their numbers, λ the factor. Weights are parameters
of two axes or more; biases, and the scales and shifts of normalisations, have one and are exempt
unless ``biases`` asks for them. Losses that a run reports are without the penalty.

Frameworks differ in what they call λ: :class:`L2` adds λw to the gradient, as PyTorch's
``weight_decay=λ`` does; Keras' ``l2(a)`` is a Σ w², so λ = 2a; the ``alpha`` of scikit-learn's
networks is divided by the rows n of a batch, so λ = alpha / n.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from thalweg.descriptions import Description, family, flag, option, parts, register, setting
from thalweg.descriptions.spec import parse_spec
from thalweg.errors import SettingError
from thalweg.graph import Tensor, as_tensor
from thalweg.ops.functions import absolute, sqrt, square, where

Parameters = dict[str, Tensor]


@family("penalty")
@dataclass(frozen=True)
class Penalty(Description):
    """What is added to the mean loss for large weights."""

    def __call__(self, parameters: Parameters) -> Tensor:
        """Ω of the parameters by path, one number of their type."""
        raise NotImplementedError(f"{type(self).__name__} cannot be called")

    def __add__(self, other: Any) -> Penalty:
        """Both: ``L1(1e-4) + L2(1e-3)``."""
        if not isinstance(other, Penalty):
            return NotImplemented
        return Penalties((*_terms(self), *_terms(other)))


def _terms(penalty: Penalty) -> tuple[Penalty, ...]:
    return penalty.terms if isinstance(penalty, Penalties) else (penalty,)


def _total(items: list[Tensor]) -> Tensor:
    return reduce(lambda a, b: a + b, items) if items else as_tensor(np.zeros((), np.float32))


@dataclass(frozen=True)
class _WeightPenalty(Penalty):
    """A sum over parameters: of the weights, and of the others where ``biases`` asks."""

    def term(self, weight: Tensor) -> Tensor:
        """What one parameter adds."""
        raise NotImplementedError(f"{type(self).__name__} has no term method")

    def __call__(self, parameters: Parameters) -> Tensor:
        """The sum of the terms of all penalised parameters."""
        biases: bool = getattr(self, "biases", False)
        chosen = (value for value in parameters.values() if value.ndim >= 2 or biases)
        return _total([self.term(value) for value in chosen if value.type.is_float])


@register("penalty", "l2")
@dataclass(frozen=True)
class L2(_WeightPenalty):
    """Ω = λ ½ ‖W‖²_F = λ ½ Σ w², whose gradient is λw.

    With plain gradient descent of rate η it is weight decay: w ← (1 - ηλ) w - η g. It is what
    PyTorch's ``weight_decay=λ`` adds to the gradient; Keras' ``l2(λ)``, λ Σ w², is ``L2(2λ)``.

    Args:
        factor: λ ≥ 0.
        biases: penalise biases and scales too.

    Source: Hoerl and Kennard, "Ridge regression: biased estimation for nonorthogonal problems",
    1970; Krogh and Hertz, "A simple weight decay can improve generalization", 1991.

    >>> from thalweg.graph import Tensor
    >>> float(L2(0.1)({"weight": Tensor([[3.0, 4.0]]), "bias": Tensor([9.0])}))
    1.25
    """

    factor: float = setting(1e-4, low=0, help="λ")
    biases: bool = flag(False, help="penalise biases and scales too")

    def term(self, weight: Tensor) -> Tensor:
        """λ ½ Σ w²."""
        return square(weight).sum() * (0.5 * as_tensor(self.factor, weight.dtype))


@register("penalty", "l1")
@dataclass(frozen=True)
class L1(_WeightPenalty):
    """Ω = λ ‖W‖₁ = λ Σ |w|, whose gradient is λ sign(w), 0 at w = 0.

    It pulls all weights to 0 by the same amount, so that many become small: with gradient steps
    they swing about 0 by ηλ and are seldom exactly 0.

    Args:
        factor: λ ≥ 0, as in Keras' ``l1(λ)``.
        biases: penalise biases and scales too.

    Source: Tibshirani, "Regression shrinkage and selection via the lasso", 1996.

    >>> from thalweg.graph import Tensor
    >>> float(L1(0.5)({"weight": Tensor([[3.0, -4.0]]), "bias": Tensor([9.0])}))
    3.5
    """

    factor: float = setting(1e-4, low=0, help="λ")
    biases: bool = flag(False, help="penalise biases and scales too")

    def term(self, weight: Tensor) -> Tensor:
        """λ Σ |w|."""
        return absolute(weight).sum() * as_tensor(self.factor, weight.dtype)


@register("penalty", "elastic_net")
@dataclass(frozen=True)
class ElasticNet(_WeightPenalty):
    """Ω = λ (ρ ‖W‖₁ + (1 - ρ) ½ ‖W‖²_F), a mix of :class:`L1` and :class:`L2`.

    Two factors of your own are a sum, ``L1(l1) + L2(l2)``: λ = l1 + l2 and ρ = l1 / (l1 + l2).

    Args:
        factor: λ ≥ 0, scikit-learn's ``alpha``.
        share: ρ in [0, 1], the share of L1, scikit-learn's ``l1_ratio``.
        biases: penalise biases and scales too.

    Source: Zou and Hastie, "Regularization and variable selection via the elastic net", 2005.

    >>> from thalweg.graph import Tensor
    >>> float(ElasticNet(1.0, share=0.5)({"weight": Tensor([[3.0, -4.0]])}))
    9.75
    """

    factor: float = setting(1e-4, low=0, help="λ")
    share: float = setting(0.5, low=0, high=1, help="ρ, share of L1")
    biases: bool = flag(False, help="penalise biases and scales too")

    def term(self, weight: Tensor) -> Tensor:
        """λ (ρ Σ |w| + (1 - ρ) ½ Σ w²)."""
        factor, share = (as_tensor(item, weight.dtype) for item in (self.factor, self.share))
        squares = square(weight).sum() * (0.5 * (1.0 - share))
        return (absolute(weight).sum() * share + squares) * factor


@register("penalty", "group_lasso")
@dataclass(frozen=True)
class GroupLasso(_WeightPenalty):
    """Ω = λ Σ_g √M_g ‖w_g‖₂ over groups of M_g weights, which become small together.

    A group is all weights that leave an input (first axis), or that enter an output (last axis):
    a group near 0 shows an input, or a unit, that is not needed. The derivative at w_g = 0 is 0.

    Args:
        factor: λ ≥ 0.
        groups: the weights of each of the ``inputs`` or of the ``outputs``.
        biases: penalise biases and scales too, each number as a group.

    Source: Yuan and Lin, "Model selection and estimation in regression with grouped variables",
    2006.

    >>> from thalweg.graph import Tensor
    >>> round(float(GroupLasso(1.0)({"weight": Tensor([[3.0, 4.0], [0.0, 0.0]])})), 4)
    7.0711
    """

    factor: float = setting(1e-4, low=0, help="λ")
    groups: str = option("inputs", options=("inputs", "outputs"), help="whose weights are a group")
    biases: bool = flag(False, help="penalise biases and scales too")

    def term(self, weight: Tensor) -> Tensor:
        """λ Σ_g √M_g ‖w_g‖."""
        factor = as_tensor(self.factor, weight.dtype)
        if weight.ndim < 2:
            return absolute(weight).sum() * factor
        kept = 0 if self.groups == "inputs" else weight.ndim - 1
        axes = tuple(axis for axis in range(weight.ndim) if axis != kept)
        squares = square(weight).sum(axes)
        moved = squares > 0.0
        norms = where(moved, sqrt(where(moved, squares, 1.0)), 0.0)
        size = weight.size // max(weight.shape[kept], 1)
        return norms.sum() * (factor * float(np.sqrt(size)))


@register("penalty", "sum")
@dataclass(frozen=True)
class Penalties(Penalty):
    """The sum of several penalties, Ω = Ω₁ + Ω₂ and so on.

    Args:
        terms: the penalties; ``L1(a) + L2(b)`` writes them shorter.

    >>> L1(0.001) + L2(0.01)
    Penalties(terms=(L1(factor=0.001, biases=False), L2(factor=0.01, biases=False)))
    """

    terms: tuple[Penalty, ...] = parts((), family="penalty", help="what is added")

    def __call__(self, parameters: Parameters) -> Tensor:
        """The sum of the terms."""
        return _total([term(parameters) for term in self.terms])


def as_penalty(value: Any) -> Penalty | None:
    """A penalty as it is or by name, a number as the factor of :class:`L2`, ``None`` as none.

    Raises:
        SettingError: an unknown name, a negative number, or something else.

    >>> as_penalty(0.01), as_penalty("l1")
    (L2(factor=0.01, biases=False), L1(factor=0.0001, biases=False))
    """
    if value is None or isinstance(value, Penalty):
        return value
    if isinstance(value, str):
        penalty: Penalty = parse_spec("penalty", value)
        return penalty
    if isinstance(value, (bool, type)) or not isinstance(value, (int, float, np.number)):
        given = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
        raise SettingError(
            f"penalty must be a penalty such as L2(0.001), its name, or the factor of L2, got "
            f"{given}"
        )
    return L2(float(value))


__all__ = ["L1", "L2", "ElasticNet", "GroupLasso", "Penalties", "Penalty", "as_penalty"]
