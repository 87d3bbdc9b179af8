"""A contact sheet: images beside what an augmentation makes of them, as one picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError, SettingError, ShapeError
from thalweg.graph import Array, Tensor
from thalweg.nn.augmentation import Augmentation, as_augmentation
from thalweg.nn.image_input import CHANNELS, find_layout
from thalweg.ops.random import key_from_seed

_PAPER, _GAP, _SIDE = 255, 2, 64


def contact_sheet(
    images: Any,
    augment: Augmentation | str | list[Augmentation],
    *,
    rows: int = 8,
    columns: int = 8,
    seed: int = 0,
    white: float | None = None,
    zoom: int | None = None,
) -> NDArray[np.uint8]:
    """One picture of images and their augmentations: a row for each image, itself in front.

    The augmentation is given pixels of 0 to 1, as :class:`ImageInput` makes them; what it moves
    beyond 0 and 1 is cut off in the picture.

    Args:
        images: (N, H, W), (N, C, H, W) or (N, H, W, C) with 1, 3 or 4 channels; the first ``rows``.
        augment: an augmentation, a text such as ``"random_rotation(10)"``, or several in a list.
        rows: images at most.
        columns: pictures of each, ≥ 2.
        seed: of the random numbers.
        white: the largest value that a pixel can have; by default 255 for bytes, 1 where no pixel
            is above 1, else the largest pixel.
        zoom: pixels of the sheet for one pixel; by default so many that images have about 64.

    Returns:
        uint8 (height, width), or (height, width, C) for 3 or 4 channels.

    Raises:
        SettingError: a number out of range, or no such augmentation.
        ShapeError, DataError: no images.

    >>> import numpy as np, thalweg as tw
    >>> contact_sheet(np.zeros((3, 8, 8)), "random_rotation", columns=4, zoom=1).shape
    (32, 44)
    """
    for name, value, least in (("rows", rows, 1), ("columns", columns, 2), ("zoom", zoom or 1, 1)):
        if value < least:
            raise SettingError(f"{name} = {value} is below {least}")
    chosen = as_augmentation(augment)
    if chosen is None:
        raise SettingError("augment is None; name an augmentation, such as 'random_rotation(10)'")
    x = _scaled(np.asarray(images), rows, white)
    drawn = [x, *(_drawn(chosen, x, seed, column) for column in range(1, columns))]
    wanted = zoom or max(1, math.ceil(_SIDE / max(x.shape[2:])))
    return _arranged(np.stack(drawn, axis=1), wanted)


def _scaled(images: Array, rows: int, white: float | None) -> Array:
    """The first images as float32 (N, C, H, W), black 0 and white 1."""
    if images.ndim < 3 or not images.size:
        raise ShapeError(
            f"images are (N, H, W), (N, C, H, W) or (N, H, W, C), got shape {images.shape}"
        )
    if images.dtype.kind not in "buif":
        raise DataError(f"images are numbers, got {images.dtype.name}")
    layout, _ = find_layout(images.shape[1:])
    few = images[:rows].astype(np.float32)
    few = few[:, None] if few.ndim == 3 else few
    few = np.moveaxis(few, 3, 1) if layout == "channels_last" else few
    if few.shape[1] not in CHANNELS:
        raise ShapeError(f"a picture has 1, 3 or 4 channels, got {few.shape[1]}")
    most = float(few.max())
    if not np.isfinite(few).all():
        raise DataError("images have a pixel that is NaN or infinite")
    usual = 255.0 if images.dtype == np.uint8 else max(most, 1.0)
    return few / np.float32(white or usual)


def _drawn(augment: Augmentation, x: Array, seed: int, column: int) -> Array:
    return augment(Tensor(x), Tensor(key_from_seed(seed, column))).x.numpy()


def _arranged(pictures: Array, zoom: int) -> NDArray[np.uint8]:
    """Pictures (rows, columns, C, H, W) beside and below each other, with gaps between them."""
    rows, columns, channels, height, width = pictures.shape
    tall, wide = height * zoom + _GAP, width * zoom + _GAP
    size = (rows * tall + _GAP, (columns * wide + 2 * _GAP), channels)
    sheet = np.full(size, _PAPER, np.uint8)
    bytes_ = np.rint(np.clip(pictures, 0.0, 1.0) * 255.0).astype(np.uint8)
    large = bytes_.repeat(zoom, axis=3).repeat(zoom, axis=4)
    for row, column in np.ndindex(rows, columns):
        top, left = _GAP + row * tall, _GAP + column * wide + (_GAP if column else 0)
        tile = sheet[top : top + height * zoom, left : left + width * zoom]
        tile[...] = np.moveaxis(large[row, column], 0, -1)
    return sheet[:, :, 0] if channels == 1 else sheet


__all__ = ["contact_sheet"]
