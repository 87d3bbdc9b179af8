"""Normalisation of feature maps (N, C, H, W): batch, instance, and local response.

Group normalisation (:class:`thalweg.nn.normalisation.GroupNorm`) takes feature maps as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg.descriptions import option, register, setting, size
from thalweg.errors import ShapeError
from thalweg.graph import Shape, Tensor
from thalweg.nn.batch_norm import BatchNormalisation
from thalweg.nn.layer import Layer, Scope
from thalweg.nn.normalisation import InstanceNormalisation, map_layout
from thalweg.nn.windows import sum_in_windows
from thalweg.ops.convolution import Window
from thalweg.ops.functions import power, reshape, square, transpose


@register("layer", "batch_norm2d")
@dataclass(frozen=True)
class BatchNorm2d(BatchNormalisation):
    """Batch normalisation of feature maps: y = γ (x - μ) / √(σ² + ε) + β for each channel.

    As :class:`BatchNorm1d`, with μ and σ² over rows, height and width; conventions are PyTorch's.
    A convolution directly in front of this layer leaves out its bias.

    Args:
        eps: ε > 0.
        momentum: share of the batch in the running averages, in [0, 1].
        scale: whether γ is learned, starting at 1 (else it is 1).
        shift: whether β is learned, starting at 0 (else it is 0).
        running_variance: ``unbiased`` (n - 1) or ``biased`` (n); inputs are always divided by the
            biased one.
        average: ``exponential``, or ``cumulative``: the mean over all batches so far.

    Shape:
        (N, C, H, W) → the same.

    Raises:
        ShapeError: other inputs, or one value for each channel in training.

    Source: Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing
    internal covariate shift", 2015.

    >>> import thalweg as tw
    >>> tw.BatchNorm2d().summary((3, 8, 8)).parameters
    6
    """

    def _layout(self, x: Tensor) -> Shape:
        return map_layout(x, "BatchNorm2d")


@register("layer", "instance_norm2d")
@dataclass(frozen=True)
class InstanceNorm2d(InstanceNormalisation):
    """Instance normalisation: y = γ (x - μ) / √(σ² + ε) + β for each row's feature map.

    As :class:`InstanceNorm1d`, with μ and σ² over height and width. As in PyTorch, γ and β are
    left out by default.

    Args:
        eps: ε > 0; PyTorch's 10⁻⁵.
        scale: whether γ is learned, starting at 1.
        shift: whether β is learned, starting at 0.

    Shape:
        (N, C, H, W) → the same.

    Raises:
        ShapeError: other inputs, or maps of one number, which is its own mean.

    Source: Ulyanov, Vedaldi and Lempitsky, "Instance normalization: the missing ingredient for
    fast stylization", 2016.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.InstanceNorm2d(), {}, [[[[1.0, 3.0], [3.0, 1.0]]]]).numpy().round(3)
    array([[[[-1.,  1.],
             [ 1., -1.]]]], dtype=float32)
    """

    def _layout(self, x: Tensor) -> Shape:
        return map_layout(x, "InstanceNorm2d")


@register("layer", "local_response")
@dataclass(frozen=True)
class LocalResponseNorm(Layer):
    """Local response normalisation: y_c = x_c / (k + α s_c)^β, s_c the squares around channel c.

    s_c is taken at one place over ``size`` neighbouring channels, ⌊size / 2⌋ before c and what is
    left behind it; channels beyond the first and last count as 0. Large responses quieten their
    neighbours.

    Defaults are PyTorch's, where s is the mean of the squares over the window's size. In the
    publication it is their sum: ``LocalResponseNorm(5, k=2.0, squares="sum")``. TensorFlow's
    ``depth_radius`` r is size 2r + 1 with the sum.

    Args:
        size: channels in a window, ≥ 1.
        alpha: α ≥ 0.
        beta: β ≥ 0.
        k: k > 0, keeps the quotient finite.
        squares: ``mean`` (divided by the size, also at the edges) or ``sum``.

    Shape:
        (N, C, H, W), (N, C) or (N, C, …) → the same.

    Raises:
        ShapeError: an input without channels.

    Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional
    neural networks", 2012.

    >>> import thalweg as tw
    >>> layer = tw.LocalResponseNorm(3, alpha=1.0, beta=1.0, squares="sum")
    >>> tw.apply_network(layer, {}, [[1.0, 2.0, 3.0]]).numpy().round(3)
    array([[0.167, 0.133, 0.214]], dtype=float32)
    """

    transparent: ClassVar[bool] = True

    size: int = size(5, high=4096, help="channels in a window")
    alpha: float = setting(1e-4, low=0, help="factor of the squares")
    beta: float = setting(0.75, low=0, help="exponent")
    k: float = setting(1.0, low=0, low_open=True, help="added to the squares")
    squares: str = option("mean", options=("mean", "sum"), help="mean or sum over a window")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X / (k + α s)^β."""
        if x.ndim < 2:
            raise ShapeError(
                f"LocalResponseNorm takes inputs (N, C, H, W) or (N, C, …), got {x.type}"
            )
        factor: Any = self.alpha / self.size if self.squares == "mean" else self.alpha
        around = _over_channels(square(x), self.size)
        return x * power(self.k + factor * around, -self.beta)


def _over_channels(x: Tensor, count: int) -> Tensor:
    """The sum over neighbouring channels, ⌊count / 2⌋ before each and the others behind it."""
    maps = x if x.ndim == 4 else reshape(x, (*x.shape[:2], -1, 1))
    window = Window(padding=((count // 2, (count - 1) // 2), (0, 0)))
    turned = transpose(maps, (0, 2, 1, 3))
    total = transpose(sum_in_windows(turned, (count, 1), window), (0, 2, 1, 3))
    return total if x.ndim == 4 else reshape(total, x.shape)
