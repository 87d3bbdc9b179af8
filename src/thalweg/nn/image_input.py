"""Images at the front of a network: layout, scale and standardisation, inside the program."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from thalweg.descriptions import flag, option, register, setting
from thalweg.errors import DataError, ShapeError
from thalweg.graph import Array, Shape, Tensor
from thalweg.nn.front import Fitted, RowSource, refuse_missing, slices
from thalweg.nn.layer import Scope
from thalweg.ops import functions as ops

LAYOUTS = ("auto", "channels_first", "channels_last")
CHANNELS = (1, 3, 4)
"""Lengths of an axis that are taken for channels: grey, red-green-blue, and with transparency."""


def find_layout(shape: Shape, layout: str = "auto") -> tuple[str, str]:
    """The layout of images and a doubt about it, or an empty text.

    The last axis holds the channels where its length is 1, 3 or 4 and the first axis' is not.

    Args:
        shape: of one image: (H, W), (C, H, W) or (H, W, C).
        layout: what is wanted; ``auto`` decides by the shape.

    Raises:
        ShapeError: neither two nor three axes.

    >>> find_layout((32, 32, 3)), find_layout((3, 32, 32))
    (('channels_last', ''), ('channels_first', ''))
    """
    if len(shape) not in {2, 3}:
        raise ShapeError(
            f"images are (H, W), (C, H, W) or (H, W, C), but a row has the shape {shape}"
        )
    if layout != "auto" or len(shape) == 2:
        return ("channels_first" if layout == "auto" else layout), ""
    first, last = shape[0] in CHANNELS, shape[2] in CHANNELS
    if first == last:
        which = "both" if first else "none"
        doubt = (
            f"of the first and the last axis of images {shape}, {which} could be the channels "
            "(1, 3 or 4); read as (C, H, W). Say layout='channels_last' if it is (H, W, C)"
        )
        return "channels_first", doubt
    return ("channels_last" if last else "channels_first"), ""


@register("layer", "image_input")
@dataclass(frozen=True)
class ImageInput(Fitted):
    """Images as they are kept (bytes, with or without channels) as convolutions take them.

    y[n, c, h, w] = x[n, h, w, c] / white; or with ``standardise`` (x - mean_c) / deviation_c, the
    mean and deviation of channel c over all pixels of the training images (a channel that is
    constant there has deviation 1). As the first layer it takes arrays of uint8 (in a file, too)
    as they are: batches become floating-point numbers inside the compiled step, and no such copy
    of all images is made. States: with ``standardise`` ``mean`` and ``deviation``, (C, 1, 1).

    Args:
        layout: where the channels are: ``channels_first`` (N, C, H, W), as PyTorch has it;
            ``channels_last`` (N, H, W, C), as Keras and image files have it; ``auto`` takes the
            last axis where its length is 1, 3 or 4 and that of the first is not, else the first
            (where that is a guess, ``summary`` says so).
        scale: divide by ``white``, so that bytes become 0 to 1.
        white: the largest value that a pixel can have, > 0.
        standardise: mean 0 and deviation 1 for each channel over the training images.

    Shape:
        (N, H, W), (N, C, H, W) or (N, H, W, C) → (N, C, H, W).

    Raises:
        ShapeError: images with other axes.
        DataError: while learning: NaN; or a ``white`` that does not suit the pixels: some above
            it, or none above 1 where it is more.

    Source: LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.

    >>> import numpy as np, thalweg as tw
    >>> pixels = np.arange(0, 240, 10, dtype=np.float32).reshape(1, 2, 4, 3)
    >>> tw.apply_network(tw.ImageInput(), {}, pixels).shape
    (1, 3, 2, 4)
    """

    layout: str = option("auto", options=LAYOUTS, help="where the channels are")
    scale: bool = flag(True, help="divide by white")
    white: float = setting(255.0, low=0, low_open=True, help="the largest value of a pixel")
    standardise: bool = flag(False, help="mean 0, deviation 1 for each channel")

    def learn(self, rows: RowSource) -> dict[str, Array]:
        """The channels' mean and deviation over the training images, where they are wanted."""
        refuse_missing(rows, "ImageInput")
        if self.standardise:
            mean, deviation = _channel_moments(rows, self._axis(tuple(rows.shape[1:])))
            return {"mean": mean[:, None, None], "deviation": deviation[:, None, None]}
        if self.scale:
            self._check_range(max(float(rows[piece].max()) for piece in slices(rows)))
        return {}

    def _check_range(self, most: float) -> None:
        if most > self.white:
            raise DataError(
                f"pixels go up to {most:.9g}, above ImageInput.white = {self.white:.9g}; set "
                f"white={_likely_white(most):g}, or scale=False to leave them as they are"
            )
        if 0 < most <= 1 < self.white:
            raise DataError(
                f"pixels go up to {most:.9g} only, so that they need no division by "
                f"ImageInput.white = {self.white:.9g}; set scale=False (or white=1)"
            )

    def _axis(self, row: Shape) -> int | None:
        """Which axis of the batch holds the channels, if any."""
        layout, _ = find_layout(row, self.layout)
        return None if len(row) == 2 else {"channels_first": 1, "channels_last": 3}[layout]

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """Scaled or standardised (N, C, H, W)."""
        row = x.shape[1:]
        axis, (_, doubt) = self._axis(row), find_layout(row, self.layout)
        if doubt:
            scope.note(doubt)
        if axis is None:
            y = x.reshape(x.shape[0], 1, *row)
        else:
            y = ops.transpose(x, (0, 3, 1, 2)) if axis == 3 else x
        if self.standardise:
            shape = (y.shape[1], 1, 1)
            return (y - scope.state("mean", shape)) / scope.state("deviation", shape, 1.0)
        return y / ops.astype(self.white, y.dtype) if self.scale else y


def _likely_white(most: float) -> float:
    """1, 255 or 65535, the largest values of usual pixels, or what there is."""
    return next((white for white in (1.0, 255.0, 65535.0) if most <= white), most)


def _channel_moments(rows: RowSource, axis: int | None) -> tuple[Array, Array]:
    """Mean and deviation of each channel over all images and pixels, in float64."""
    channels = 1 if axis is None else rows.shape[axis]
    count = len(rows) * (math.prod(rows.shape[1:]) // channels)
    total, rest, squares = (np.zeros(channels) for _ in range(3))
    for piece in slices(rows):
        total += _by_channel(rows[piece], axis).sum(axis=1)
    mean = total / count
    for piece in slices(rows):
        apart = _by_channel(rows[piece], axis) - mean[:, None]
        rest += apart.sum(axis=1)
        squares += (apart * apart).sum(axis=1)
    rest /= count
    deviation = np.sqrt(np.maximum(squares / count - rest * rest, 0.0))
    least = np.finfo(np.float32).eps * np.maximum(np.abs(mean), np.finfo(np.float32).tiny)
    return mean + rest, np.where(deviation > least, deviation, 1.0)


def _by_channel(block: Array, axis: int | None) -> Array:
    """Images in float64 with all pixels of a channel in one row."""
    if axis is None:
        return block.astype(np.float64).reshape(1, -1)
    moved = np.moveaxis(block, axis, 0)
    return moved.astype(np.float64).reshape(len(moved), -1)


__all__ = ["CHANNELS", "LAYOUTS", "ImageInput", "find_layout"]
