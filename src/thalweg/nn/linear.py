"""The fully connected layer, layers with fewer connections, and the first model of a neuron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions import flag, numbers, option, part, register, setting, size
from thalweg.errors import SettingError, ShapeError
from thalweg.graph import Array, Shape, Tensor, as_tensor
from thalweg.nn.functional import step
from thalweg.nn.initialisers import Auto, Constant, Fans, Initialiser
from thalweg.nn.layer import Layer, Scope
from thalweg.ops.functions import random_bits, reshape, stack
from thalweg.ops.random import key_from_seed


@register("layer", "linear")
@dataclass(frozen=True)
class Linear(Layer):
    """Every output is a weighted sum of all inputs: z = xW + b.

    The number of inputs is read from the data. Parameters: ``weight`` (inputs, features) and
    ``bias`` (features,).

    Args:
        features: number of outputs, ≥ 1.
        bias: whether there is a b. In front of batch normalisation there is none, since the
            normalisation takes away what b adds.
        weight: initialiser of W; by default chosen from the activation that follows.
        bias_start: initialiser of b, zeros by default.

    Shape:
        (N, …, inputs) → (N, …, features).

    Raises:
        ShapeError: the input has no feature axis.

    >>> import thalweg as tw
    >>> tw.Sequential(tw.Linear(3)).summary(2).parameters
    9
    """

    features: int = size(help="number of outputs")
    bias: bool = flag(True, help="add a bias")
    weight: Initialiser = part(Auto(), family="initialiser", help="start of the weights")
    bias_start: Initialiser = part(Constant(0.0), family="initialiser", help="start of the bias")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """XW + b."""
        _check_features(x, "Linear")
        inputs = x.shape[-1]
        fans = (inputs, self.features)
        result = x @ scope.parameter("weight", (inputs, self.features), self.weight, fans)
        if self.bias and (x.ndim > 2 or needs_bias(scope)):
            result = result + scope.parameter("bias", (self.features,), self.bias_start, fans)
        return result


def needs_bias(scope: Scope) -> bool:
    """Whether a bias of each unit changes anything: not where the next layer removes its mean."""
    successor = scope.successor
    if successor is None or not successor.removes_bias:
        return True
    scope.note("no bias: the normalisation that follows would remove it")
    return False


# ------------------------------------------------------------------ sparse connections


@dataclass(frozen=True, eq=False)
class _Masked(Initialiser):
    """Weights where there is a connection, each unit's drawn for its own number of inputs."""

    of: Initialiser
    mask: Array

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """The initialiser's numbers, and zeros."""
        counts = self.mask.sum(0)
        result = np.zeros(shape)
        for count in np.unique(counts):
            drawn = self.of.sample(rng, shape, Fans(int(count), fans.outputs, fans.following))
            result[:, counts == count] = drawn[:, counts == count]
        return np.where(self.mask, result, 0.0)


def _sparse(x: Tensor, mask: Array, layer: MaskedLinear | SparseLinear, scope: Scope) -> Tensor:
    """X(M ⊙ W) + b, where M is 1 for a connection and 0 for none."""
    start = _Masked(layer.weight, mask)
    inputs, units = mask.shape
    outgoing = max(round(float(mask.sum()) / inputs), 1)
    weight = scope.parameter("weight", mask.shape, start, (inputs, outgoing))
    scope.note(f"{mask.sum():,} of {mask.size:,} connections")
    result = x @ (weight * as_tensor(mask, x.dtype))
    if layer.bias and (x.ndim > 2 or needs_bias(scope)):
        fans = (inputs, outgoing)
        result = result + scope.parameter("bias", (units,), layer.bias_start, fans)
    return result


@register("layer", "masked_linear")
@dataclass(frozen=True)
class MaskedLinear(Layer):
    """Sparse connections: each unit is a weighted sum of its own inputs, z = x(M ⊙ W) + b.

    M is 1 where a unit is connected and 0 elsewhere; weights without a connection start at 0 and
    stay there. The weights of a unit are drawn for the number of its own inputs.

    Args:
        connections: for each unit the places of its inputs, counted from 0.
        bias: whether there is a b.
        weight: initialiser of W; by default chosen from the activation that follows.
        bias_start: initialiser of b, zeros by default.

    Shape:
        (N, …, inputs) → (N, …, units).

    Raises:
        SettingError: no units, a unit without inputs, or places that are none or occur twice.
        ShapeError: a place beyond the inputs.

    >>> import thalweg as tw
    >>> layer = tw.MaskedLinear(((0, 1), (2,)))
    >>> tw.initialise(layer, 3)["weight"] != 0
    array([[ True, False],
           [ True, False],
           [False,  True]])
    """

    connections: tuple[tuple[int, ...], ...]
    bias: bool = flag(True, help="add a bias")
    weight: Initialiser = part(Auto(), family="initialiser", help="start of the weights")
    bias_start: Initialiser = part(Constant(0.0), family="initialiser", help="start of the bias")

    def __post_init__(self) -> None:
        """Check the connections."""
        super().__post_init__()
        given: Any = self.connections
        units: list[Any] = list(given) if isinstance(given, (tuple, list)) else []
        checked = tuple(_places(unit, item) for unit, item in enumerate(units))
        if not checked:
            raise SettingError(
                f"MaskedLinear.connections holds a tuple of inputs for each unit, got {given!r}"
            )
        object.__setattr__(self, "connections", checked)

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X(M ⊙ W) + b."""
        _check_features(x, "MaskedLinear")
        inputs = x.shape[-1]
        mask = np.zeros((inputs, len(self.connections)), bool)
        for unit, places in enumerate(self.connections):
            if max(places) >= inputs:
                raise ShapeError(
                    f"MaskedLinear connects unit {unit} to input {max(places)}, but {x.type} has "
                    f"{inputs} features, counted from 0"
                )
            mask[list(places), unit] = True
        return _sparse(x, mask, self, scope)


def _places(unit: int, given: Any) -> tuple[int, ...]:
    items: list[Any] = list(given) if isinstance(given, (tuple, list)) else []
    whole = all(type(item) is int and item >= 0 for item in items)
    if not items or not whole or len(set(items)) < len(items):
        raise SettingError(
            f"MaskedLinear.connections[{unit}] holds different places of inputs, counted from 0, "
            f"got {given!r}"
        )
    return tuple(items)


@register("layer", "sparse_linear")
@dataclass(frozen=True)
class SparseLinear(Layer):
    """Sparse connections drawn at random once: as :class:`MaskedLinear` with equally many a unit.

    Each unit has round(density · inputs) inputs, at least one; which, depends on the seed alone.

    Args:
        features: number of units, ≥ 1.
        density: share of the inputs that a unit is connected to, in (0, 1].
        seed: of the connections, ≥ 0.
        bias: whether there is a b.
        weight: initialiser of W; by default chosen from the activation that follows.
        bias_start: initialiser of b, zeros by default.

    Shape:
        (N, …, inputs) → (N, …, features).

    Raises:
        SettingError: a density outside its range.
        ShapeError: the input has no feature axis.

    >>> import thalweg as tw
    >>> (tw.initialise(tw.SparseLinear(4, density=0.5), 10)["weight"] != 0).sum(axis=0)
    array([5, 5, 5, 5])
    """

    features: int = size(help="number of units")
    density: float = 0.1
    seed: int = size(0, low=0, help="of the connections")
    bias: bool = flag(True, help="add a bias")
    weight: Initialiser = part(Auto(), family="initialiser", help="start of the weights")
    bias_start: Initialiser = part(Constant(0.0), family="initialiser", help="start of the bias")

    def __post_init__(self) -> None:
        """Check the density, which shapes the program and so is no setting."""
        super().__post_init__()
        density: Any = self.density
        number = isinstance(density, (int, float)) and not isinstance(density, bool)
        if not number or not 0 < density <= 1:
            raise SettingError(f"SparseLinear.density = {density!r} is outside (0, 1]")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X(M ⊙ W) + b."""
        _check_features(x, "SparseLinear")
        inputs = x.shape[-1]
        count = min(max(round(self.density * inputs), 1), inputs)
        words = random_bits(key_from_seed(self.seed), (self.features, inputs)).numpy()
        mask = np.zeros((inputs, self.features), bool)
        chosen = np.argsort(words, axis=1, kind="stable")[:, :count]
        np.put_along_axis(mask, chosen.T, True, axis=0)
        return _sparse(x, mask, self, scope)


# ------------------------------------------------------------------ one fixed neuron


@register("layer", "neuron")
@dataclass(frozen=True)
class Neuron(Layer):
    """The McCulloch-Pitts neuron: it fires where Σ wᵢxᵢ ≥ θ. Nothing in it is learned.

    For one that learns take ``Linear(1)`` with the perceptron loss, whose -b is θ.

    Args:
        weights: w, one for each input.
        threshold: θ.
        output: ``step`` gives 1 where it fires and 0 elsewhere, ``sign`` 1 and -1.

    Shape:
        (N, …, inputs) → (N, …, 1).

    Raises:
        SettingError: no weights.
        ShapeError: another number of inputs than of weights.

    Source: McCulloch and Pitts, "A logical calculus of the ideas immanent in nervous activity",
    1943.

    >>> import thalweg as tw
    >>> both = tw.Neuron((1, 1), threshold=2)
    >>> tw.apply_network(both, {}, [[0.0, 0], [0, 1], [1, 0], [1, 1]]).numpy()[:, 0]
    array([0., 0., 0., 1.], dtype=float32)
    """

    weights: tuple[float, ...] = numbers(help="one weight for each input")
    threshold: float = setting(0.0, help="the sum from which it fires")
    output: str = option("step", options=("step", "sign"), help="0 and 1, or -1 and 1")

    def __post_init__(self) -> None:
        """Check that there are weights."""
        super().__post_init__()
        if not self.weights:
            raise SettingError("Neuron needs at least one weight")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """1 where the weighted sum reaches the threshold."""
        _check_features(x, "Neuron")
        if x.shape[-1] != len(self.weights):
            raise ShapeError(f"Neuron has {len(self.weights)} weights, its input is {x.type}")
        weights = stack([as_tensor(item, x.dtype) for item in self.weights])
        fires = step(x @ reshape(weights, (-1, 1)) - self.threshold)
        return fires if self.output == "step" else 2.0 * fires - 1.0


def _check_features(x: Tensor, kind: str) -> None:
    if x.ndim < 2:
        raise ShapeError(f"{kind} takes inputs (N, …, features), got {x.type}")
