"""Pooling layers: the maximum or mean of each window of an image or a line.

Those over whole images, and those with outputs of one size, are in
:mod:`thalweg.nn.adaptive_pooling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thalweg.descriptions import flag, register, size
from thalweg.graph import Tensor
from thalweg.nn.layer import Layer, Scope
from thalweg.nn.padding import (
    LinePadding,
    Padding,
    Size,
    across,
    as_images,
    as_lines,
    check_filled,
    check_images,
    checked_padding,
    checked_size,
    jutting,
    laid,
    pair_of,
    reads,
)
from thalweg.nn.receptive import Receptive
from thalweg.nn.windows import largest_in_windows, sum_in_windows
from thalweg.ops.convolution import Pair, Window

_CEIL = "also a last window that juts out behind"
_INCLUDE = "divide by the whole window, padding included"

# ------------------------------------------------------------------ maxima


@register("layer", "max_pool2d")
@dataclass(frozen=True)
class MaxPool2d(Layer):
    """The maximum of each window of an image.

    Padding takes no part. Of equal maxima the first, row by row, passes the gradient on, as in
    PyTorch; NaN counts as greatest.

    Args:
        kernel_size: a number, or (rows, columns).
        stride: from one window to the next; None is the kernel's size.
        padding: ``valid`` (none), ``same`` (⌈size / stride⌉ outputs), a number for all sides,
            (rows, columns), or ((above, below), (left, right)); smaller than the window.
        dilation: from one tap to the next: a number, or (rows, columns).
        ceil_mode: whether a last window may jut out behind, as long as it begins inside.

    Shape:
        (N, C, H, W) → (N, C, OH, OW), OH = ⌊(H + padding - d(kh - 1) - 1) / s⌋ + 1.

    Raises:
        SettingError: sizes or padding that are none.
        ShapeError: other inputs, a window that is larger than the padded input, or one that would
            lie in the padding alone.

    Source: Ranzato, Huang, Boureau and LeCun, "Unsupervised learning of invariant feature
    hierarchies with applications to object recognition", 2007.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.MaxPool2d(2), {}, [[[[1.0, 2.0], [4.0, 3.0]]]]).numpy()
    array([[[[4.]]]], dtype=float32)
    """

    transparent: ClassVar[bool] = True

    kernel_size: Size
    stride: Size | None = None
    padding: Padding = 0
    dilation: Size = 1
    ceil_mode: bool = flag(False, help=_CEIL)

    def __post_init__(self) -> None:
        """Check sizes and padding."""
        super().__post_init__()
        _check_sizes(self)
        checked_size(self, "dilation")

    def receptive(self) -> Receptive:
        """The window behind one output."""
        window = Window(dilation=pair_of(self.dilation))
        taps = pair_of(self.kernel_size)
        return Receptive(window.extent(taps), _steps(self.stride, taps))

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The maxima."""
        check_images(x, "MaxPool2d")
        taps = pair_of(self.kernel_size)
        stride = _steps(self.stride, taps)
        window = laid("MaxPool2d", x, taps, stride, self.padding, self.dilation, self.ceil_mode)
        return _maxima(x, taps, window, self.ceil_mode, "MaxPool2d")


@register("layer", "max_pool1d")
@dataclass(frozen=True)
class MaxPool1d(Layer):
    """The maximum of each window of a line: :class:`MaxPool2d` along one axis.

    Args:
        kernel_size: taps, ≥ 1.
        stride: from one window to the next; None is the kernel's size.
        padding: ``valid``, ``same``, a number for both ends, or (before, behind).
        dilation: from one tap to the next, ≥ 1.
        ceil_mode: whether a last window may jut out behind, as long as it begins inside.

    Shape:
        (N, C, L) → (N, C, OL).

    Raises:
        SettingError: sizes or padding that are none.
        ShapeError: other inputs, a window that is larger than the padded input, or one that would
            lie in the padding alone.

    Source: Ranzato, Huang, Boureau and LeCun, "Unsupervised learning of invariant feature
    hierarchies with applications to object recognition", 2007.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.MaxPool1d(2), {}, [[[1.0, 5.0, 4.0, 3.0, 9.0]]]).numpy()
    array([[[5., 4.]]], dtype=float32)
    """

    transparent: ClassVar[bool] = True

    kernel_size: int = size(help="taps")
    stride: int | None = None
    padding: LinePadding = 0
    dilation: int = size(1, help="from one tap to the next")
    ceil_mode: bool = flag(False, help=_CEIL)

    def __post_init__(self) -> None:
        """Check stride and padding."""
        super().__post_init__()
        _check_line(self)

    def receptive(self) -> Receptive:
        """The window behind one output."""
        extent = (self.kernel_size - 1) * self.dilation + 1
        return Receptive((1, extent), (1, self.stride or self.kernel_size))

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The maxima."""
        rows, taps = as_images(x, "MaxPool1d"), (1, self.kernel_size)
        stride = (1, self.stride or self.kernel_size)
        padding = across(self.padding)
        window = laid("MaxPool1d", rows, taps, stride, padding, (1, self.dilation), self.ceil_mode)
        return as_lines(_maxima(rows, taps, window, self.ceil_mode, "MaxPool1d"))


def _maxima(x: Tensor, taps: Pair, window: Window, ceil_mode: bool, kind: str) -> Tensor:
    wide = jutting(x, taps, window) if ceil_mode else window
    check_filled(x, taps, wide, kind)
    return largest_in_windows(x, taps, wide)


# ------------------------------------------------------------------ means


@register("layer", "avg_pool2d")
@dataclass(frozen=True)
class AvgPool2d(Layer):
    """The mean of each window of an image.

    As in PyTorch, zeros of the padding count by default; Keras divides by what lies inside:
    ``count_include_pad=False``. What juts out with ``ceil_mode`` never counts.

    Args:
        kernel_size: a number, or (rows, columns).
        stride: from one window to the next; None is the kernel's size.
        padding: ``valid`` (none), ``same`` (⌈size / stride⌉ outputs), a number for all sides,
            (rows, columns), or ((above, below), (left, right)); smaller than the window.
        ceil_mode: whether a last window may jut out behind, as long as it begins inside.
        count_include_pad: whether padding counts as zeros, or not at all.

    Shape:
        (N, C, H, W) → (N, C, OH, OW), OH = ⌊(H + padding - kh) / s⌋ + 1.

    Raises:
        SettingError: sizes or padding that are none.
        ShapeError: other inputs, or a window that is larger than the padded input.

    Source: LeCun and others, "Handwritten digit recognition with a back-propagation network", 1990.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.AvgPool2d(2), {}, [[[[1.0, 2.0], [4.0, 3.0]]]]).numpy()
    array([[[[2.5]]]], dtype=float32)
    """

    transparent: ClassVar[bool] = True

    kernel_size: Size
    stride: Size | None = None
    padding: Padding = 0
    ceil_mode: bool = flag(False, help=_CEIL)
    count_include_pad: bool = flag(True, help=_INCLUDE)

    def __post_init__(self) -> None:
        """Check sizes and padding."""
        super().__post_init__()
        _check_sizes(self)

    def receptive(self) -> Receptive:
        """The window behind one output."""
        taps = pair_of(self.kernel_size)
        return Receptive(taps, _steps(self.stride, taps))

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The means."""
        check_images(x, "AvgPool2d")
        taps = pair_of(self.kernel_size)
        window = laid(
            "AvgPool2d", x, taps, _steps(self.stride, taps), self.padding, 1, self.ceil_mode
        )
        return _means(x, taps, window, self)


@register("layer", "avg_pool1d")
@dataclass(frozen=True)
class AvgPool1d(Layer):
    """The mean of each window of a line: :class:`AvgPool2d` along one axis.

    Args:
        kernel_size: taps, ≥ 1.
        stride: from one window to the next; None is the kernel's size.
        padding: ``valid``, ``same``, a number for both ends, or (before, behind).
        ceil_mode: whether a last window may jut out behind, as long as it begins inside.
        count_include_pad: whether padding counts as zeros, or not at all.

    Shape:
        (N, C, L) → (N, C, OL).

    Raises:
        SettingError: sizes or padding that are none.
        ShapeError: other inputs, or a window that is larger than the padded input.

    Source: LeCun and others, "Handwritten digit recognition with a back-propagation network", 1990.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.AvgPool1d(2), {}, [[[1.0, 5.0, 4.0, 3.0]]]).numpy()
    array([[[3. , 3.5]]], dtype=float32)
    """

    transparent: ClassVar[bool] = True

    kernel_size: int = size(help="taps")
    stride: int | None = None
    padding: LinePadding = 0
    ceil_mode: bool = flag(False, help=_CEIL)
    count_include_pad: bool = flag(True, help=_INCLUDE)

    def __post_init__(self) -> None:
        """Check stride and padding."""
        super().__post_init__()
        _check_line(self)

    def receptive(self) -> Receptive:
        """The window behind one output."""
        return Receptive((1, self.kernel_size), (1, self.stride or self.kernel_size))

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The means."""
        rows, taps = as_images(x, "AvgPool1d"), (1, self.kernel_size)
        stride = (1, self.stride or self.kernel_size)
        window = laid("AvgPool1d", rows, taps, stride, across(self.padding), 1, self.ceil_mode)
        return as_lines(_means(rows, taps, window, self))


def _means(x: Tensor, taps: Pair, window: Window, layer: AvgPool1d | AvgPool2d) -> Tensor:
    wide = jutting(x, taps, window) if layer.ceil_mode else window
    check_filled(x, taps, wide, type(layer).__name__)
    counted = window.padding if layer.count_include_pad else ((0, 0), (0, 0))
    sizes = zip(x.shape[2:], reads(x, taps, wide), counted, strict=True)
    rows, columns = (
        ((places >= -low) & (places < length + high)).sum(1)
        for length, places, (low, high) in sizes
    )
    shares = (1.0 / (rows[:, None] * columns)).astype(x.dtype)
    share = float(shares[0, 0]) if (shares == shares[0, 0]).all() else shares
    return sum_in_windows(x, taps, wide) * share


# ------------------------------------------------------------------ sizes


def _steps(stride: Size | None, taps: Pair) -> Pair:
    return taps if stride is None else pair_of(stride)


def _check_sizes(layer: MaxPool2d | AvgPool2d) -> None:
    checked_size(layer, "kernel_size")
    if layer.stride is not None:
        checked_size(layer, "stride")
    checked_padding(layer)


def _check_line(layer: MaxPool1d | AvgPool1d) -> None:
    if layer.stride is not None:
        checked_size(layer, "stride", axes=1)
    checked_padding(layer, axes=1)
