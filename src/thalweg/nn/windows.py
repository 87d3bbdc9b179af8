"""Convolution and windows over images (N, C, H, W): the primitives in the layers' order of axes.

The primitives keep rows of the batch last; here stand the transposed views around them.
"""

from __future__ import annotations

from typing import Any

from thalweg.graph import Tensor
from thalweg.ops.convolution import Pair, Window, convolve, convolve_input
from thalweg.ops.functions import transpose
from thalweg.ops.window import window_max, window_sum

PLAIN = Window()


def convolution(x: Tensor, weight: Tensor, window: Window = PLAIN, groups: int = 1) -> Tensor:
    """Cross-correlation: y[n, k, p] = Σ_{t, c} x[n, c, s·p + d·t - padding] · w[t, c, k].

    Args:
        x: (N, C, H, W).
        weight: (kh, kw, C / groups, K); the maps of group g see the channels of group g alone.
        window: stride s, padding with zeros, dilation d.
        groups: divides C and K.

    Returns:
        (N, K, OH, OW) with OH = ⌊(H + padding - d(kh - 1) - 1) / s⌋ + 1.

    Raises:
        ShapeError: the kernel is larger than the padded input, or channels do not fit.
    """
    return _first(convolve(_last(x), weight, groups=groups, **window._asdict()))


def transposed_convolution(
    x: Tensor, weight: Tensor, size: Pair, window: Window = PLAIN, groups: int = 1
) -> Tensor:
    """The transpose of :func:`convolution` as a linear map of its input.

    Args:
        x: (N, K, OH, OW), what a convolution would give.
        weight: (kh, kw, C / groups, K), as the convolution's.
        size: (H, W) of the result, which stride and padding leave open.
        window: how the convolution's windows lie.
        groups: as the convolution's.

    Returns:
        (N, C, H, W).
    """
    plain: dict[str, Any] = window._asdict()
    return _first(convolve_input(_last(x), weight, groups=groups, shape=size, **plain))


def largest_in_windows(x: Tensor, taps: Pair, window: Window) -> Tensor:
    """The maximum in each window of (N, C, H, W); padding takes no part; first of equals wins."""
    return _first(window_max(_last(x), taps=taps, **window._asdict()))


def sum_in_windows(x: Tensor, taps: Pair, window: Window) -> Tensor:
    """The sum in each window of (N, C, H, W); padding counts as zero."""
    return _first(window_sum(_last(x), taps=taps, **window._asdict()))


def _last(x: Tensor) -> Tensor:
    return transpose(x, (2, 3, 1, 0))


def _first(x: Tensor) -> Tensor:
    return transpose(x, (3, 2, 0, 1))
