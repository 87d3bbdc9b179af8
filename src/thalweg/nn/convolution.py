"""Convolution layers: weights that are shared by all places of an image or a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from thalweg.descriptions import flag, option, part, register, size
from thalweg.errors import SettingError, ShapeError
from thalweg.graph import Shape, Tensor
from thalweg.nn.initialisers import Auto, Constant, Initialiser
from thalweg.nn.layer import Layer, Scope
from thalweg.nn.linear import needs_bias
from thalweg.nn.padding import (
    LinePadding,
    Padding,
    Size,
    across,
    as_images,
    as_lines,
    check_images,
    checked_padding,
    checked_size,
    laid,
    needed,
    pair_of,
)
from thalweg.nn.receptive import Receptive
from thalweg.nn.windows import convolution
from thalweg.ops.convolution import Pair, Window
from thalweg.ops.functions import reshape
from thalweg.ops.promotion import same_dtype

_MODES = ("correlation", "convolution")
_MODE = "correlation takes the kernel as it is, convolution flips it"


@register("layer", "conv2d")
@dataclass(frozen=True)
class Conv2d(Layer):
    """Convolution of images: y[n, k, p] = b[k] + Σ x[n, c, s·p + d·t - padding] · w[t, c, k].

    The sum is over taps t of the kernel and channels c; p is a place of the output, s the stride
    and d the dilation, each for rows and columns; padding is zeros. The number of input channels C
    is read from the data. Parameters: ``weight`` (kh, kw, C / groups, features) as in Keras, where
    PyTorch has (features, C / groups, kh, kw), and ``bias`` (features,). Initialisers count kh · kw
    · C / groups inputs and kh · kw · features / groups outputs, as PyTorch does.

    Args:
        features: number of output maps, ≥ 1.
        kernel_size: a number, or (rows, columns).
        stride: from one place to the next: a number, or (rows, columns).
        padding: ``valid`` (none), ``same`` (⌈size / stride⌉ outputs; an odd rest lies behind, as in
            TensorFlow), a number for all sides, (rows, columns), or ((above, below), (left,
            right)).
        dilation: from one tap to the next: a number, or (rows, columns).
        groups: channels and maps are split into so many groups, and maps see their own group's
            channels alone; 1 is all.
        bias: whether there is a b. In front of a normalisation that takes away a channel's mean
            there is none.
        mode: ``correlation``, which the field calls convolution, or ``convolution``, where the
            kernel is flipped, as in mathematics.
        weight: initialiser of w; by default chosen from the activation that follows.
        bias_start: initialiser of b, zeros by default.

    Shape:
        (N, C, H, W) → (N, features, OH, OW), OH = ⌊(H + padding - d(kh - 1) - 1) / s⌋ + 1.

    Raises:
        SettingError: sizes or padding that are none, or features that do not divide into groups.
        ShapeError: other inputs, channels that do not divide into groups, or a kernel that is
            larger than the padded input.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", 1998.

    >>> import thalweg as tw
    >>> tw.Conv2d(6, 5, padding="same").summary((3, 28, 28)).rows[0].output_shape
    (6, 28, 28)
    """

    features: int = size(help="number of output maps")
    kernel_size: Size = needed()  # noqa: RUF009 - a field, as size() makes
    stride: Size = 1
    padding: Padding = 0
    dilation: Size = 1
    groups: int = size(1, help="groups of channels that are apart")
    bias: bool = flag(True, help="add a bias")
    mode: str = option("correlation", options=_MODES, help=_MODE)
    weight: Initialiser = part(Auto(), family="initialiser", help="start of the weights")
    bias_start: Initialiser = part(Constant(0.0), family="initialiser", help="start of the bias")

    def __post_init__(self) -> None:
        """Check sizes, padding and groups."""
        super().__post_init__()
        for name in ("kernel_size", "stride", "dilation"):
            checked_size(self, name)
        checked_padding(self)
        check_features(type(self).__name__, self.features, self.groups)

    def receptive(self) -> Receptive:
        """The window behind one output."""
        return _receptive(pair_of(self.kernel_size), pair_of(self.stride), pair_of(self.dilation))

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """W * x + b."""
        check_images(x, "Conv2d")
        check_channels(x, self.groups, "Conv2d")
        taps = pair_of(self.kernel_size)
        window = laid("Conv2d", x, taps, self.stride, self.padding, self.dilation)
        return _convolved(x, self, scope, _Kernel(taps, taps, self.features, self.groups, window))


@register("layer", "depthwise_conv2d")
@dataclass(frozen=True)
class DepthwiseConv2d(Layer):
    """Depthwise convolution: each channel has kernels of its own, and sees no other channel.

    It is :class:`Conv2d` with as many groups as channels. Map m of channel c is output c ·
    multiplier + m. Parameters: ``weight`` (kh, kw, 1, C · multiplier) and ``bias`` (C ·
    multiplier,).

    Args:
        kernel_size: a number, or (rows, columns).
        multiplier: kernels for each channel, ≥ 1.
        stride: from one place to the next: a number, or (rows, columns).
        padding: ``valid``, ``same``, a number, (rows, columns), or ((above, below), (left, right)).
        dilation: from one tap to the next: a number, or (rows, columns).
        bias: whether there is a b, which a normalisation that follows may make superfluous.
        mode: ``correlation``, or ``convolution``, where the kernel is flipped.
        weight: initialiser of w; by default chosen from the activation that follows.
        bias_start: initialiser of b, zeros by default.

    Shape:
        (N, C, H, W) → (N, C · multiplier, OH, OW).

    Raises:
        SettingError: sizes or padding that are none.
        ShapeError: other inputs, or a kernel that is larger than the padded input.

    Source: Chollet, "Xception: deep learning with depthwise separable convolutions", 2017.

    >>> import thalweg as tw
    >>> separable = tw.Sequential(tw.DepthwiseConv2d(3, padding=1), tw.Conv2d(8, 1))
    >>> [row.parameters for row in separable.summary((4, 9, 9)).rows]
    [40, 40]
    """

    kernel_size: Size
    multiplier: int = size(1, help="kernels for each channel")
    stride: Size = 1
    padding: Padding = 0
    dilation: Size = 1
    bias: bool = flag(True, help="add a bias")
    mode: str = option("correlation", options=_MODES, help=_MODE)
    weight: Initialiser = part(Auto(), family="initialiser", help="start of the weights")
    bias_start: Initialiser = part(Constant(0.0), family="initialiser", help="start of the bias")

    def __post_init__(self) -> None:
        """Check sizes and padding."""
        super().__post_init__()
        for name in ("kernel_size", "stride", "dilation"):
            checked_size(self, name)
        checked_padding(self)

    def receptive(self) -> Receptive:
        """The window behind one output."""
        return _receptive(pair_of(self.kernel_size), pair_of(self.stride), pair_of(self.dilation))

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """W * x + b, channel by channel."""
        check_images(x, "DepthwiseConv2d")
        taps, channels = pair_of(self.kernel_size), x.shape[1]
        window = laid("DepthwiseConv2d", x, taps, self.stride, self.padding, self.dilation)
        kernel = _Kernel(taps, taps, channels * self.multiplier, channels, window)
        return _convolved(x, self, scope, kernel)


@register("layer", "conv1d")
@dataclass(frozen=True)
class Conv1d(Layer):
    """Convolution of lines: y[n, k, p] = b[k] + Σ x[n, c, s·p + d·t - padding] · w[t, c, k].

    As :class:`Conv2d` along one axis. Parameters: ``weight`` (k, C / groups, features) and ``bias``
    (features,). A causal convolution pads in front alone: ``padding=(k - 1, 0)``.

    Args:
        features: number of outputs at each place, ≥ 1.
        kernel_size: taps, ≥ 1.
        stride: from one place to the next, ≥ 1.
        padding: ``valid``, ``same``, a number for both ends, or (before, behind).
        dilation: from one tap to the next, ≥ 1.
        groups: groups of channels that are apart.
        bias: whether there is a b, which a normalisation that follows may make superfluous.
        mode: ``correlation``, or ``convolution``, where the kernel is flipped.
        weight: initialiser of w; by default chosen from the activation that follows.
        bias_start: initialiser of b, zeros by default.

    Shape:
        (N, C, L) → (N, features, OL).

    Raises:
        SettingError: padding that is none, or features that do not divide into groups.
        ShapeError: other inputs, channels that do not divide into groups, or a kernel that is
            larger than the padded input.

    Source: Waibel, Hanazawa, Hinton, Shikano and Lang, "Phoneme recognition using time-delay neural
    networks", 1989.

    >>> import thalweg as tw
    >>> layer = tw.Conv1d(1, 2, bias=False)
    >>> differences = {"weight": [[[-1.0]], [[1.0]]]}
    >>> tw.apply_network(layer, differences, [[[1.0, 4.0, 9.0, 16.0]]]).numpy()
    array([[[3., 5., 7.]]], dtype=float32)
    """

    features: int = size(help="number of outputs at each place")
    kernel_size: int = size(help="taps")
    stride: int = size(1, help="from one place to the next")
    padding: LinePadding = 0
    dilation: int = size(1, help="from one tap to the next")
    groups: int = size(1, help="groups of channels that are apart")
    bias: bool = flag(True, help="add a bias")
    mode: str = option("correlation", options=_MODES, help=_MODE)
    weight: Initialiser = part(Auto(), family="initialiser", help="start of the weights")
    bias_start: Initialiser = part(Constant(0.0), family="initialiser", help="start of the bias")

    def __post_init__(self) -> None:
        """Check padding and groups."""
        super().__post_init__()
        checked_padding(self, axes=1)
        check_features(type(self).__name__, self.features, self.groups)

    def receptive(self) -> Receptive:
        """The window behind one output."""
        return _receptive((1, self.kernel_size), (1, self.stride), (1, self.dilation))

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """W * x + b."""
        rows = as_images(x, "Conv1d")
        check_channels(x, self.groups, "Conv1d")
        taps, padding = (1, self.kernel_size), across(self.padding)
        window = laid("Conv1d", rows, taps, (1, self.stride), padding, (1, self.dilation))
        kernel = _Kernel(taps, (self.kernel_size,), self.features, self.groups, window)
        return as_lines(_convolved(rows, self, scope, kernel))


# ------------------------------------------------------------------ what they share


class _Kernel(NamedTuple):
    """A layer's kernel over one input: its taps, their shape in the parameter, and its places."""

    taps: Pair
    lengths: Shape
    features: int
    groups: int
    window: Window


def _convolved(
    x: Tensor, layer: Conv1d | Conv2d | DepthwiseConv2d, scope: Scope, kernel: _Kernel
) -> Tensor:
    """W * x + b over an input (N, C, H, W)."""
    features, area = kernel.features, kernel.taps[0] * kernel.taps[1]
    channels = x.shape[1] // kernel.groups
    fans = (area * channels, area * features // kernel.groups)
    shape = (*kernel.lengths, channels, features)
    weight = scope.parameter("weight", shape, layer.weight, fans)
    x, weight = same_dtype(x, reshape(weight, (*kernel.taps, channels, features)))
    if layer.mode == "convolution":
        weight = weight[::-1, ::-1]
    result = convolution(x, weight, kernel.window, kernel.groups)
    if layer.bias and needs_bias(scope):
        result = result + bias_of(scope, features, layer.bias_start, fans)
    return result


def bias_of(scope: Scope, features: int, start: Initialiser, fans: tuple[int, int]) -> Tensor:
    """A number for each map, in the shape in which it meets (N, features, H, W)."""
    return reshape(scope.parameter("bias", (features,), start, fans), (features, 1, 1))


def _receptive(taps: Pair, stride: Pair, dilation: Pair) -> Receptive:
    return Receptive(Window(dilation=dilation).extent(taps), stride)


def check_features(kind: str, features: int, groups: int) -> None:
    """Refuse maps that do not divide into groups."""
    if features % groups:
        raise SettingError(f"{kind}.groups = {groups} must divide {kind}.features = {features}")


def check_channels(x: Tensor, groups: int, kind: str) -> None:
    """Refuse channels that do not divide into groups."""
    if x.shape[1] % groups:
        raise ShapeError(
            f"{kind}: the {x.shape[1]} channels of the input {x.type} do not divide into {groups} "
            "groups"
        )
