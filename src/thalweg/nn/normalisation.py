"""Layers that give each row mean 0 and variance 1: over its features or groups of channels.

Symbols: μ mean, σ² variance (divided by the count), ε a small constant that keeps the quotient
finite, γ and β a learned scale and shift, whose parameters are called ``weight`` and ``bias``.
These layers may stand before or after an activation; initialisers look past them. The one that
looks at other rows is :mod:`thalweg.nn.batch_norm`; feature maps (N, C, H, W) have more of them in
:mod:`thalweg.nn.feature_maps`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg.descriptions import flag, register, setting, size
from thalweg.errors import ShapeError
from thalweg.graph import Shape, Tensor
from thalweg.nn.initialisers import Constant
from thalweg.nn.layer import Layer, Scope
from thalweg.ops.functions import mean, reshape, sqrt, square


def inverse_deviation(variance: Tensor, eps: Any) -> Tensor:
    """1 / √(σ² + ε)."""
    return 1.0 / sqrt(variance + eps)


def scale_parameter(scope: Scope, lengths: Shape, layout: Shape) -> Tensor:
    """γ, which starts at 1, laid out to meet the inputs."""
    return laid_out(scope.parameter("weight", lengths, Constant(1.0)), layout)


def shift_parameter(scope: Scope, lengths: Shape, layout: Shape) -> Tensor:
    """β, which starts at 0, laid out to meet the inputs."""
    return laid_out(scope.parameter("bias", lengths, Constant(0.0)), layout)


def laid_out(x: Tensor, layout: Shape) -> Tensor:
    """X in another shape of as many elements."""
    return x if x.shape == layout else reshape(x, layout)


def channel_layout(x: Tensor, kind: str, least: int = 2) -> Shape:
    """The shape in which one number for each channel meets x: (C, 1, …)."""
    if x.ndim < least:
        wanted = "(N, C) or (N, C, …)" if least == 2 else "(N, C, L) or (N, C, …)"
        raise ShapeError(f"{kind} takes inputs {wanted}, got {x.type}")
    return (x.shape[1], *(1,) * (x.ndim - 2))


def map_layout(x: Tensor, kind: str) -> Shape:
    """The shape in which one number for each channel meets feature maps: (C, 1, 1)."""
    if x.ndim != 4:
        raise ShapeError(f"{kind} takes feature maps (N, C, H, W), got {x.type}")
    return x.shape[1], 1, 1


# ------------------------------------------------------------------ within each row


@register("layer", "layer_norm")
@dataclass(frozen=True)
class LayerNorm(Layer):
    """Layer normalisation: y = γ ⊙ (x - μ) / √(σ² + ε) + β, with μ and σ² of each row's features.

    It does the same in training and in use, whatever the batch.

    Args:
        eps: ε > 0; PyTorch's 10⁻⁵ (Keras takes 10⁻³).
        scale: whether γ is learned, starting at 1.
        shift: whether β is learned, starting at 0.
        axes: how many trailing axes μ and σ² are taken over; γ and β have their shape. PyTorch
            names their lengths instead (``normalized_shape``).

    Shape:
        (N, …, features) → the same.

    Raises:
        ShapeError: x has not that many axes behind the rows.

    Source: Ba, Kiros and Hinton, "Layer normalization", 2016.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.LayerNorm(scale=False, shift=False), {}, [[1.0, 3.0]])
    Tensor([[-0.999995  0.999995]], float32)
    """

    transparent: ClassVar[bool] = True

    eps: float = setting(1e-5, low=0, low_open=True, help="added to the variance")
    scale: bool = flag(True, help="learn a scale")
    shift: bool = flag(True, help="learn a shift")
    axes: int = size(1, high=16, help="trailing axes to normalise over")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """γ ⊙ (x - μ) / √(σ² + ε) + β."""
        lengths = _trailing(x, self.axes, "LayerNorm")
        axes = tuple(range(-self.axes, 0))
        result = _normalised(x, axes, self.eps)
        if self.scale:
            result = result * scale_parameter(scope, lengths, lengths)
        return result + shift_parameter(scope, lengths, lengths) if self.shift else result


def _trailing(x: Tensor, axes: int, kind: str) -> Shape:
    """The lengths of the last axes; the first axis of x holds rows and is none of them."""
    if x.ndim <= axes:
        wanted = ", ".join(("N", "…", *("features",) * axes))
        raise ShapeError(f"{kind}(axes={axes}) takes inputs ({wanted}), got {x.type}")
    return x.shape[-axes:]


@register("layer", "rms_norm")
@dataclass(frozen=True)
class RMSNorm(Layer):
    """Root mean square normalisation: y = γ ⊙ x / √(mean(x²) + ε) over each row's features.

    As :class:`LayerNorm` without the mean and the shift, at less cost.

    Args:
        eps: ε > 0. PyTorch takes the type's machine epsilon by default.
        scale: whether γ is learned, starting at 1.
        axes: how many trailing axes the mean is taken over.

    Shape:
        (N, …, features) → the same.

    Raises:
        ShapeError: x has not that many axes behind the rows.

    Source: Zhang and Sennrich, "Root mean square layer normalization", 2019.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.RMSNorm(scale=False), {}, [[3.0, -3.0]]).numpy().round(3)
    array([[ 1., -1.]], dtype=float32)
    """

    transparent: ClassVar[bool] = True

    eps: float = setting(1e-6, low=0, low_open=True, help="added to the mean square")
    scale: bool = flag(True, help="learn a scale")
    axes: int = size(1, high=16, help="trailing axes to normalise over")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """γ ⊙ x / √(mean(x²) + ε)."""
        lengths = _trailing(x, self.axes, "RMSNorm")
        spread = mean(square(x), tuple(range(-self.axes, 0)), keepdims=True)
        result = x * inverse_deviation(spread, self.eps)
        return result * scale_parameter(scope, lengths, lengths) if self.scale else result


# ------------------------------------------------------------------ within groups of channels


@register("layer", "group_norm")
@dataclass(frozen=True)
class GroupNorm(Layer):
    """Group normalisation: y = γ (x - μ) / √(σ² + ε) + β over groups of neighbouring channels.

    μ and σ² are those of one row's channels of a group, at all places; γ and β are one number for
    each channel. One group is layer normalisation over all axes, a group for each channel is
    instance normalisation.

    Args:
        groups: how many; it divides the number of channels.
        eps: ε > 0; PyTorch's 10⁻⁵ (Keras takes 10⁻³).
        scale: whether γ is learned, starting at 1.
        shift: whether β is learned, starting at 0.

    Shape:
        (N, C) or (N, C, …) → the same.

    Raises:
        ShapeError: an input without channels, or groups that do not divide them.

    Source: Wu and He, "Group normalization", 2018.

    >>> import thalweg as tw
    >>> x = [[1.0, 3.0, 10.0, 30.0]]
    >>> tw.apply_network(tw.GroupNorm(2, scale=False, shift=False), {}, x).numpy().round(3)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    transparent: ClassVar[bool] = True

    groups: int = size(help="number of groups of channels")
    eps: float = setting(1e-5, low=0, low_open=True, help="added to the variance")
    scale: bool = flag(True, help="learn a scale")
    shift: bool = flag(True, help="learn a shift")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """γ (x - μ) / √(σ² + ε) + β."""
        layout = channel_layout(x, "GroupNorm")
        if x.shape[1] % self.groups:
            raise ShapeError(
                f"GroupNorm: {self.groups} groups do not divide the {x.shape[1]} channels of "
                f"{x.type}"
            )
        result = _normalised_groups(x, self.groups, self.eps)
        if self.scale:
            result = result * scale_parameter(scope, layout[:1], layout)
        return result + shift_parameter(scope, layout[:1], layout) if self.shift else result


def _normalised_groups(x: Tensor, groups: int, eps: Any) -> Tensor:
    """(x - μ) / √(σ² + ε) with μ and σ² of each row's groups of channels."""
    rows = reshape(x, (x.shape[0], groups, math.prod(x.shape[1:]) // groups))
    return reshape(_normalised(rows, (-1,), eps), x.shape)


def _normalised(x: Tensor, axes: Shape, eps: Any) -> Tensor:
    """(x - μ) / √(σ² + ε) with μ and σ² over some axes."""
    centred = x - mean(x, axes, keepdims=True)
    return centred * inverse_deviation(mean(square(centred), axes, keepdims=True), eps)


@dataclass(frozen=True)
class InstanceNormalisation(Layer):
    """What instance normalisation does, for inputs of any number of axes behind the channels."""

    transparent: ClassVar[bool] = True

    eps: float = setting(1e-5, low=0, low_open=True, help="added to the variance")
    scale: bool = flag(False, help="learn a scale")
    shift: bool = flag(False, help="learn a shift")

    @property
    def removes_bias(self) -> bool:
        """True: μ contains whatever is added to a whole channel."""
        return True

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """γ (x - μ) / √(σ² + ε) + β."""
        layout = self._layout(x)
        if math.prod(x.shape[2:]) < 2:
            raise ShapeError(
                f"{type(self).__name__} needs more than one value in each channel of a row, got "
                f"{x.type}"
            )
        result = _normalised(x, tuple(range(2, x.ndim)), self.eps)
        if self.scale:
            result = result * scale_parameter(scope, layout[:1], layout)
        return result + shift_parameter(scope, layout[:1], layout) if self.shift else result

    def _layout(self, x: Tensor) -> Shape:
        """The shape in which one number for each channel meets x."""
        return channel_layout(x, type(self).__name__, least=3)


@register("layer", "instance_norm")
@dataclass(frozen=True)
class InstanceNorm1d(InstanceNormalisation):
    """Instance normalisation: y = γ (x - μ) / √(σ² + ε) + β over each row's channel.

    It does the same in training and in use. As in PyTorch, γ and β are left out by default.

    Args:
        eps: ε > 0; PyTorch's 10⁻⁵.
        scale: whether γ is learned, starting at 1.
        shift: whether β is learned, starting at 0.

    Shape:
        (N, C, L) or (N, C, …) → the same.

    Raises:
        ShapeError: fewer than three axes, or channels of one number, which is its own mean.

    Source: Ulyanov, Vedaldi and Lempitsky, "Instance normalization: the missing ingredient for
    fast stylization", 2016.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.InstanceNorm1d(), {}, [[[1.0, 3.0], [10.0, 30.0]]]).numpy().round(3)
    array([[[-1.,  1.],
            [-1.,  1.]]], dtype=float32)
    """
