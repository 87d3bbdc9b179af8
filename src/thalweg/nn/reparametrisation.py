"""Layers whose weights are computed from other parameters: weight and spectral normalisation.

Both hold a layer and change what it gets when it asks for its weight. The weight may have any
number of axes. The last is the units' axis, the others are a unit's inputs; an inner layer whose
units lie along another axis (a convolution's kernels along the first) has the class attribute
``unit_axis``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thalweg.descriptions import part, register, size
from thalweg.errors import GraphError, SettingError
from thalweg.graph import Array, Shape, Tensor
from thalweg.nn.initialisers import Fans, Initialiser, Normal
from thalweg.nn.layer import Layer, Scope, layer_kind
from thalweg.ops.functions import maximum, reshape, sqrt, square, stop_gradient, transpose

_SMALLEST = 1e-12


class _Replacing(Scope):
    """A scope in which one parameter is computed from the parameter of that name.

    Args:
        scope: what it stands for.
        name: the parameter.
        weight: computes it, from the parameter, its start and its fans.
    """

    def __init__(
        self,
        scope: Scope,
        name: str,
        weight: Callable[[Tensor, Initialiser, tuple[int, int]], Tensor],
    ) -> None:
        super().__init__(scope._store, scope.path, scope.following, scope.successor)
        self._replaced, self._weight = name, weight
        self.has_met = False

    def parameter(
        self, name: str, shape: Shape, initialiser: Initialiser, fans: tuple[int, int] | None = None
    ) -> Tensor:
        """The parameter, or what is computed from it."""
        found = super().parameter(name, shape, initialiser, fans)
        if name != self._replaced:
            return found
        self.has_met = True
        return self._weight(found, initialiser, fans or (shape[0], shape[-1]))


@dataclass(frozen=True)
class _Reparametrised(Layer):
    """A layer with another one inside, one of whose parameters it computes."""

    inner: Layer = part(family="layer", help="the layer whose weight is computed")
    name: str = "weight"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not str(self.name).isidentifier():
            raise SettingError(f"{type(self).__name__}.name must be a name, got {self.name!r}")

    @property
    def removes_bias(self) -> bool:
        """What the inner layer says."""
        return self.inner.removes_bias

    @property
    def preferred_initialiser(self) -> Initialiser | None:
        """What the inner layer prefers."""
        return self.inner.preferred_initialiser

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The inner layer's output with the computed weight."""

        def weight(found: Tensor, start: Initialiser, fans: tuple[int, int]) -> Tensor:
            return self._weight(found, start, fans, scope)

        replacing = _Replacing(scope, self.name, weight)
        result = self.inner.forward(x, replacing)
        if not replacing.has_met:
            raise GraphError(
                f"{type(self).__name__}: {layer_kind(self.inner)} has no parameter {self.name!r} "
                "of its own; wrap the layer that has it"
            )
        return result

    def _weight(
        self, found: Tensor, start: Initialiser, fans: tuple[int, int], scope: Scope
    ) -> Tensor:
        raise NotImplementedError

    def _unit_axis(self, x: Tensor) -> int:
        return getattr(self.inner, "unit_axis", -1) % x.ndim


@register("layer", "weight_norm")
@dataclass(frozen=True)
class WeightNorm(_Reparametrised):
    """Weight normalisation: a unit's weights are w = g · v / ‖v‖, length g and direction v apart.

    v is the inner layer's parameter under its own name, g one number for each unit under that name
    with ``_g``. g starts with the distribution of ‖w‖, so that the layer starts as one without
    this; gradients reach g and v alone.

    Args:
        inner: a layer with a parameter of that name, such as Linear.
        name: the parameter.

    Shape:
        the inner layer's.

    Raises:
        GraphError: the inner layer has no such parameter.

    Source: Salimans and Kingma, "Weight normalization: a simple reparameterization to accelerate
    training of deep neural networks", 2016.

    >>> import thalweg as tw
    >>> start = tw.initialise(tw.WeightNorm(tw.Linear(3)), 2)
    >>> {path: value.shape for path, value in sorted(start.items())}
    {'bias': (3,), 'weight': (2, 3), 'weight_g': (3,)}
    """

    def _weight(
        self, found: Tensor, start: Initialiser, fans: tuple[int, int], scope: Scope
    ) -> Tensor:
        axis = self._unit_axis(found)
        others = tuple(item for item in range(found.ndim) if item != axis)
        norms = _Norms(start, found.shape, others)
        length = scope.parameter(f"{self.name}_g", (found.shape[axis],), norms, fans)
        factor = length / sqrt(square(found).sum(others))
        layout = tuple(size if item == axis else 1 for item, size in enumerate(found.shape))
        return found * reshape(factor, layout)


@dataclass(frozen=True)
class _Norms(Initialiser):
    """The lengths of weight vectors that an initialiser draws."""

    of: Initialiser
    weight: Shape
    axes: Shape

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """‖w‖ of each unit of weights drawn anew."""
        return np.sqrt((self.of.sample(rng, self.weight, fans) ** 2).sum(self.axes))


@register("layer", "spectral_norm")
@dataclass(frozen=True)
class SpectralNorm(_Reparametrised):
    """Spectral normalisation: the weights are W / σ(W), σ(W) the largest singular value.

    σ is estimated by power iteration, one round or more in each training step: v ← Wu / ‖Wu‖,
    u ← Wᵀv / ‖Wᵀv‖, σ = vᵀWu; u (units,) is kept as a state. In use u stays and σ = ‖Wu‖. (PyTorch
    keeps v too, so that its σ in use is that of the last step's v, and its newer
    ``parametrizations`` begin a round with u: the same once u has settled.) Gradients pass through
    σ with u and v held fixed.

    Args:
        inner: a layer with a parameter of that name, such as Linear.
        name: the parameter; of more than two axes all but the units' are taken together.
        iterations: rounds in each training step.

    Shape:
        the inner layer's.

    Raises:
        GraphError: the inner layer has no such parameter.

    Source: Miyato, Kataoka, Koyama and Yoshida, "Spectral normalization for generative adversarial
    networks", 2018.

    >>> import thalweg as tw
    >>> tw.SpectralNorm(tw.Linear(3)).summary(2).parameters
    9
    """

    iterations: int = size(1, high=1000, help="rounds of power iteration in a step")

    def _weight(
        self, found: Tensor, start: Initialiser, fans: tuple[int, int], scope: Scope
    ) -> Tensor:
        matrix = _units_last(found, self._unit_axis(found))
        fixed = stop_gradient(matrix)
        name = f"{self.name}_u"
        u = _unit_length(scope.state(name, matrix.shape[1:], Normal(1.0)))
        v = _unit_length(fixed @ u)
        if scope.training:
            for turn in range(self.iterations):
                v = _unit_length(fixed @ u) if turn else v
                u = _unit_length(v @ fixed)
            scope.update(name, u)
        return found * (1.0 / (v * (matrix @ u)).sum())


def _units_last(x: Tensor, axis: int) -> Tensor:
    """The weight as a matrix (inputs, units)."""
    order = (*(item for item in range(x.ndim) if item != axis), axis)
    moved = x if order == tuple(range(x.ndim)) else transpose(x, order)
    return reshape(moved, (math.prod(moved.shape[:-1]), moved.shape[-1]))


def _unit_length(x: Tensor) -> Tensor:
    return x * (1.0 / maximum(sqrt(square(x).sum()), _SMALLEST))
