"""Transposed convolution: layers that make images and lines larger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from thalweg.descriptions import flag, part, register, size
from thalweg.errors import SettingError, ShapeError
from thalweg.graph import Shape, Tensor
from thalweg.nn.convolution import bias_of, check_channels, check_features
from thalweg.nn.initialisers import Auto, Constant, Initialiser
from thalweg.nn.layer import Layer, Scope
from thalweg.nn.linear import needs_bias
from thalweg.nn.padding import (
    LinePadding,
    Padding,
    Size,
    across,
    amounts,
    as_images,
    as_lines,
    check_images,
    checked_padding,
    checked_size,
    input_shown,
    needed,
    pair_of,
)
from thalweg.nn.windows import transposed_convolution
from thalweg.ops.convolution import Pair, Window
from thalweg.ops.functions import pad, reshape
from thalweg.ops.promotion import same_dtype


@register("layer", "conv_transpose2d")
@dataclass(frozen=True)
class ConvTranspose2d(Layer):
    """Transposed convolution of images: y[n, k, s·p + d·t - padding] += x[n, c, p] · w[t, k, c].

    Each input lays a weighted kernel into the output, s apart; the transpose of :class:`Conv2d` as
    a linear map, not its inverse. Parameters: ``weight`` (kh, kw, features / groups, C) as in
    Keras, where PyTorch has (C, features / groups, kh, kw), and ``bias`` (features,). Initialisers
    count kh · kw · C / (groups · stride) inputs, which is how many meet in an output on average
    (PyTorch and Keras count kh · kw · features / groups), and kh · kw · features / groups outputs.

    Args:
        features: number of output maps, ≥ 1.
        kernel_size: a number, or (rows, columns).
        stride: how far apart kernels are laid: a number, or (rows, columns).
        padding: what is cut off each side, as padding of the convolution that this transposes: a
            number, (rows, columns), ((above, below), (left, right)), ``valid`` (nothing) or
            ``same`` (H · stride outputs).
        output_padding: rows and columns more behind, which a stride leaves open; smaller than the
            stride or the dilation, and 0 with ``same``.
        dilation: from one tap to the next: a number, or (rows, columns).
        groups: groups of channels that are apart.
        bias: whether there is a b, which a normalisation that follows may make superfluous.
        weight: initialiser of w; by default chosen from the activation that follows.
        bias_start: initialiser of b, zeros by default.

    Shape:
        (N, C, H, W) → (N, features, OH, OW), OH = (H - 1)s + d(kh - 1) + 1 - padding +
        output_padding.

    Raises:
        SettingError: sizes or padding that are none, features that do not divide into groups, or
            output_padding that is too large.
        ShapeError: other inputs, channels that do not divide into groups, or padding that cuts
            everything off.

    Source: Zeiler, Krishnan, Taylor and Fergus, "Deconvolutional networks", 2010.

    >>> import thalweg as tw
    >>> layer = tw.ConvTranspose2d(6, 3, stride=2, padding=1, output_padding=1)
    >>> layer.summary((3, 7, 7)).rows[0].output_shape
    (6, 14, 14)
    """

    unit_axis: ClassVar[int] = -2

    features: int = size(help="number of output maps")
    kernel_size: Size = needed()  # noqa: RUF009 - a field, as size() makes
    stride: Size = 1
    padding: Padding = 0
    output_padding: Size = 0
    dilation: Size = 1
    groups: int = size(1, help="groups of channels that are apart")
    bias: bool = flag(True, help="add a bias")
    weight: Initialiser = part(Auto(), family="initialiser", help="start of the weights")
    bias_start: Initialiser = part(Constant(0.0), family="initialiser", help="start of the bias")

    def __post_init__(self) -> None:
        """Check sizes, padding and groups."""
        super().__post_init__()
        for name in ("kernel_size", "stride", "dilation"):
            checked_size(self, name)
        checked_size(self, "output_padding", low=0)
        checked_padding(self)
        check_features("ConvTranspose2d", self.features, self.groups)
        _check_more(self)

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """Wᵀ * x + b."""
        check_images(x, "ConvTranspose2d")
        check_channels(x, self.groups, "ConvTranspose2d")
        taps = pair_of(self.kernel_size)
        kernel = _Kernel(
            taps,
            taps,
            Window(pair_of(self.stride), dilation=pair_of(self.dilation)),
            self.padding,
            pair_of(self.output_padding),
        )
        return _transposed(x, self, scope, kernel)


@register("layer", "conv_transpose1d")
@dataclass(frozen=True)
class ConvTranspose1d(Layer):
    """Transposed convolution of lines: y[n, k, s·p + d·t - padding] += x[n, c, p] · w[t, k, c].

    As :class:`ConvTranspose2d` along one axis. Parameters: ``weight`` (k, features / groups, C)
    and ``bias`` (features,).

    Args:
        features: number of outputs at each place, ≥ 1.
        kernel_size: taps, ≥ 1.
        stride: how far apart kernels are laid, ≥ 1.
        padding: what is cut off the ends: a number, (before, behind), ``valid`` (nothing) or
            ``same`` (L · stride outputs).
        output_padding: outputs more behind; smaller than the stride or the dilation, and 0 with
            ``same``.
        dilation: from one tap to the next, ≥ 1.
        groups: groups of channels that are apart.
        bias: whether there is a b, which a normalisation that follows may make superfluous.
        weight: initialiser of w; by default chosen from the activation that follows.
        bias_start: initialiser of b, zeros by default.

    Shape:
        (N, C, L) → (N, features, OL).

    Raises:
        SettingError: padding that is none, features that do not divide into groups, or
            output_padding that is too large.
        ShapeError: other inputs, channels that do not divide into groups, or padding that cuts
            everything off.

    Source: Zeiler, Krishnan, Taylor and Fergus, "Deconvolutional networks", 2010.

    >>> import thalweg as tw
    >>> layer = tw.ConvTranspose1d(1, 3, stride=2, bias=False)
    >>> tw.apply_network(layer, {"weight": [[[1.0]], [[2.0]], [[1.0]]]}, [[[1.0, 3.0]]]).numpy()
    array([[[1., 2., 4., 6., 3.]]], dtype=float32)
    """

    unit_axis: ClassVar[int] = -2

    features: int = size(help="number of outputs at each place")
    kernel_size: int = size(help="taps")
    stride: int = size(1, help="how far apart kernels are laid")
    padding: LinePadding = 0
    output_padding: int = size(0, low=0, help="outputs more behind")
    dilation: int = size(1, help="from one tap to the next")
    groups: int = size(1, help="groups of channels that are apart")
    bias: bool = flag(True, help="add a bias")
    weight: Initialiser = part(Auto(), family="initialiser", help="start of the weights")
    bias_start: Initialiser = part(Constant(0.0), family="initialiser", help="start of the bias")

    def __post_init__(self) -> None:
        """Check padding and groups."""
        super().__post_init__()
        checked_padding(self, axes=1)
        check_features("ConvTranspose1d", self.features, self.groups)
        _check_more(self)

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """Wᵀ * x + b."""
        rows = as_images(x, "ConvTranspose1d")
        check_channels(x, self.groups, "ConvTranspose1d")
        kernel = _Kernel(
            (1, self.kernel_size),
            (self.kernel_size,),
            Window((1, self.stride), dilation=(1, self.dilation)),
            across(self.padding),
            (0, self.output_padding),
        )
        return as_lines(_transposed(rows, self, scope, kernel))


# ------------------------------------------------------------------ what they share

_Layers = ConvTranspose1d | ConvTranspose2d


class _Kernel(NamedTuple):
    """A layer's kernel: taps, their shape in the parameter, the window but for its padding."""

    taps: Pair
    lengths: Shape
    window: Window
    padding: Padding
    more: Pair


def _check_more(layer: _Layers) -> None:
    """Refuse output padding that no stride or dilation leaves open."""
    more, stride, dilation = (
        pair_of(item) for item in (layer.output_padding, layer.stride, layer.dilation)
    )
    kind = type(layer).__name__
    if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation, strict=True) if m):
        raise SettingError(
            f"{kind}.output_padding = {layer.output_padding} must be smaller than the stride "
            f"{layer.stride} or the dilation {layer.dilation}"
        )
    if layer.padding == "same" and max(more):
        raise SettingError(
            f'{kind}.output_padding = {layer.output_padding} must be 0 with padding "same"'
        )


class _Along(NamedTuple):
    """Along one axis: padding of the convolution that is transposed, its size, zeros behind."""

    padding: Pair
    size: int
    zeros: int


def _along(length: int, cover: int, by: int, padding: Pair, more: int) -> _Along:
    """What is cut off behind gives way to output padding; what that has not is beyond all taps."""
    low, high = padding
    shown = min(high, more)
    return _Along((low, high - shown), (length - 1) * by + cover - low - high + shown, more - shown)


def _axes(x: Tensor, layer: _Layers, kernel: _Kernel) -> tuple[_Along, _Along]:
    """The sizes along both axes.

    Raises:
        ShapeError: nothing would be left.
    """
    sizes = (x.shape[2], x.shape[3])
    extent, stride = kernel.window.extent(kernel.taps), kernel.window.stride
    whole = (sizes[0] * stride[0], sizes[1] * stride[1])
    padding = amounts(kernel.padding, whole, extent, stride)
    rows, columns = (
        _along(*numbers)
        for numbers in zip(sizes, extent, stride, padding, kernel.more, strict=True)
    )
    if kernel.padding == "same":
        rows, columns = rows._replace(size=whole[0]), columns._replace(size=whole[1])
    if min(rows.size, columns.size) < 1:
        kind = type(layer).__name__
        raise ShapeError(
            f"{kind}: padding {layer.padding} cuts everything off the output of "
            f"{input_shown(x, kind)}; take less padding or a larger kernel"
        )
    return rows, columns


def _transposed(x: Tensor, layer: _Layers, scope: Scope, kernel: _Kernel) -> Tensor:
    """Wᵀ * x + b over an input (N, C, H, W)."""
    channels, features = x.shape[1], layer.features
    own, area = features // layer.groups, kernel.taps[0] * kernel.taps[1]
    moved = kernel.window.stride[0] * kernel.window.stride[1]
    fans = (max(round(area * channels / (layer.groups * moved)), 1), area * own)
    weight = scope.parameter("weight", (*kernel.lengths, own, channels), layer.weight, fans)
    x, weight = same_dtype(x, reshape(weight, (*kernel.taps, own, channels)))
    rows, columns = _axes(x, layer, kernel)
    window = kernel.window._replace(padding=(rows.padding, columns.padding))
    result = transposed_convolution(x, weight, (rows.size, columns.size), window, layer.groups)
    if rows.zeros or columns.zeros:
        result = pad(result, ((0, 0), (0, 0), (0, rows.zeros), (0, columns.zeros)))
    if layer.bias and needs_bias(scope):
        result = result + bias_of(scope, features, layer.bias_start, fans)
    return result
