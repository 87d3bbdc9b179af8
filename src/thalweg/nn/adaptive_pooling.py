"""Pooling with outputs of one size, whatever the image's: global and adaptive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.descriptions import register
from thalweg.graph import Tensor
from thalweg.nn.layer import Layer, Scope
from thalweg.nn.padding import Size, check_images, checked_size, pair_of
from thalweg.nn.windows import largest_in_windows, sum_in_windows
from thalweg.ops.convolution import Pair, Window
from thalweg.ops.functions import concatenate, mean, reshape, take

# ------------------------------------------------------------------ whole images


@register("layer", "global_avg_pool2d")
@dataclass(frozen=True)
class GlobalAvgPool2d(Layer):
    """The mean of each channel over the whole image: what a classifier's features are taken from.

    Images of any size give as many features as channels.

    Shape:
        (N, C, H, W) → (N, C).

    Raises:
        ShapeError: other inputs.

    Source: Lin, Chen and Yan, "Network in network", 2014.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.GlobalAvgPool2d(), {}, [[[[1.0, 2.0], [4.0, 3.0]]]]).numpy()
    array([[2.5]], dtype=float32)
    """

    transparent: ClassVar[bool] = True

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The means."""
        check_images(x, "GlobalAvgPool2d")
        return mean(x, (2, 3))


@register("layer", "global_max_pool2d")
@dataclass(frozen=True)
class GlobalMaxPool2d(Layer):
    """The maximum of each channel over the whole image: whether a feature occurs anywhere in it.

    Of equal maxima the first, row by row, passes the gradient on.

    Shape:
        (N, C, H, W) → (N, C).

    Raises:
        ShapeError: other inputs.

    Source: Oquab, Bottou, Laptev and Sivic, "Is object localization for free? Weakly-supervised
    learning with convolutional neural networks", 2015.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.GlobalMaxPool2d(), {}, [[[[1.0, 2.0], [4.0, 3.0]]]]).numpy()
    array([[4.]], dtype=float32)
    """

    transparent: ClassVar[bool] = True

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The maxima."""
        check_images(x, "GlobalMaxPool2d")
        rows = largest_in_windows(x, (1, x.shape[3]), Window())
        return reshape(largest_in_windows(rows, (x.shape[2], 1), Window()), x.shape[:2])


# ------------------------------------------------------------------ outputs of one size


@register("layer", "adaptive_avg_pool2d")
@dataclass(frozen=True)
class AdaptiveAvgPool2d(Layer):
    """Means over as many windows as outputs are wanted, whatever the image's size.

    Window i of m over a length n reaches from ⌊i · n / m⌋ to before ⌈(i + 1) · n / m⌉, as in
    PyTorch: where m does not divide n, neighbours overlap.

    Args:
        output_size: a number, or (rows, columns).

    Shape:
        (N, C, H, W) → (N, C, rows, columns).

    Raises:
        SettingError: a size that is none.
        ShapeError: other inputs.

    Source: He, Zhang, Ren and Sun, "Spatial pyramid pooling in deep convolutional networks for
    visual recognition", 2014, whose windows these are.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.AdaptiveAvgPool2d((1, 2)), {}, [[[[1.0, 2.0, 6.0]]]]).numpy()
    array([[[[1.5, 4. ]]]], dtype=float32)
    """

    transparent: ClassVar[bool] = True

    output_size: Size = 1

    def __post_init__(self) -> None:
        """Check the size."""
        super().__post_init__()
        checked_size(self, "output_size")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The means."""
        check_images(x, "AdaptiveAvgPool2d")
        counts = pair_of(self.output_size)
        taps = _even(x, counts)
        if taps is not None:
            return sum_in_windows(x, taps, Window(taps)) * (1.0 / (taps[0] * taps[1]))
        for axis in (2, 3):
            x = _mean_along(x, axis, counts[axis - 2])
        return x


@register("layer", "adaptive_max_pool2d")
@dataclass(frozen=True)
class AdaptiveMaxPool2d(Layer):
    """Maxima over as many windows as outputs are wanted, whatever the image's size.

    Window i of m over a length n reaches from ⌊i · n / m⌋ to before ⌈(i + 1) · n / m⌉, as in
    PyTorch: where m does not divide n, neighbours overlap. Of equal maxima the first, row by row,
    passes the gradient on.

    Args:
        output_size: a number, or (rows, columns).

    Shape:
        (N, C, H, W) → (N, C, rows, columns).

    Raises:
        SettingError: a size that is none.
        ShapeError: other inputs.

    Source: He, Zhang, Ren and Sun, "Spatial pyramid pooling in deep convolutional networks for
    visual recognition", 2014.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.AdaptiveMaxPool2d((1, 2)), {}, [[[[1.0, 2.0, 6.0]]]]).numpy()
    array([[[[2., 6.]]]], dtype=float32)
    """

    transparent: ClassVar[bool] = True

    output_size: Size = 1

    def __post_init__(self) -> None:
        """Check the size."""
        super().__post_init__()
        checked_size(self, "output_size")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The maxima."""
        check_images(x, "AdaptiveMaxPool2d")
        counts = pair_of(self.output_size)
        taps = _even(x, counts)
        if taps is None:
            x, taps = _regular(x, counts)
        return largest_in_windows(x, taps, Window(taps))


# ------------------------------------------------------------------ windows


def _bounds(length: int, count: int) -> list[Pair]:
    """Where each of so many windows over a length begins, and the place behind its end."""
    return [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def _even(x: Tensor, counts: Pair) -> Pair | None:
    """The windows' size, where all are equal and none overlap."""
    rows, columns = x.shape[2:]
    if rows % counts[0] or columns % counts[1]:
        return None
    return rows // counts[0], columns // counts[1]


def _mean_along(x: Tensor, axis: int, count: int) -> Tensor:
    """The mean of each window along an axis, one after the other."""
    before = (slice(None),) * axis
    windows = [x[(*before, slice(*bounds))] for bounds in _bounds(x.shape[axis], count)]
    return concatenate([mean(window, axis, keepdims=True) for window in windows], axis)


def _regular(x: Tensor, counts: Pair) -> tuple[Tensor, Pair]:
    """The image with its windows side by side, all of one size; short ones repeat their last."""
    taps: list[int] = []
    for axis, count in zip((2, 3), counts, strict=True):
        bounds = _bounds(x.shape[axis], count)
        longest = max(stop - start for start, stop in bounds)
        taps.append(longest)
        places = [min(start + tap, stop - 1) for start, stop in bounds for tap in range(longest)]
        x = take(x, np.array(places), axis)
    return x, (taps[0], taps[1])
