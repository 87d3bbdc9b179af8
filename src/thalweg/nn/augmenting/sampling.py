"""Images read at other places than their pixels': whole pixels picked, or four mixed bilinearly.

Places are counted in pixels from the centre of the first one; what lies outside an image has the
fill value, with which pixels at the border are mixed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import Tensor
from thalweg.ops.functions import (
    arange,
    astype,
    clip,
    cos,
    equal,
    floor,
    minimum,
    reshape,
    sin,
    take,
    uniform,
    where,
)


def check_images(name: str, x: Tensor) -> None:
    """Refuse what are no images (N, C, H, W) of floating-point numbers.

    Raises:
        ShapeError, DTypeError: with what was given, and what to try.
    """
    if x.ndim != 4:
        raise ShapeError(
            f"{name} takes images (N, C, H, W), got {x.type}; augmentation acts behind the "
            "layers ImageInput and Reshape at the front of a network, so begin it with "
            "ImageInput(), or with Reshape((1, 28, 28)) for rows of 784 pixels"
        )
    if not x.type.is_float:
        raise DTypeError(
            f"{name} takes floating-point images, got {x.type}; convert them, such as x / 255.0, "
            "or begin the network with ImageInput()"
        )


def draws(key: Tensor, images: int, count: int) -> list[Tensor]:
    """Some uniform numbers in [0, 1) for each image, as float64 (N,) each."""
    table = uniform(key, (count, images), "float64")
    return [table[place] for place in range(count)]


def between(share: Tensor, low: Any, high: Any) -> Tensor:
    """Uniform numbers in [0, 1) as numbers in [low, high)."""
    return low + share * (high - low)


# ------------------------------------------------------------------ affine maps


class Maps(NamedTuple):
    """For each image where its pixels come from: source - c = M (place - c) + offset.

    c is the image's centre; rows (y, downwards) come before columns (x). All are float64 (N,).
    """

    yy: Tensor
    yx: Tensor
    xy: Tensor
    xx: Tensor
    y: Tensor
    x: Tensor


def inverse_maps(turn: Any, scale: Any, shear: Any, down: Any, right: Any) -> Maps:
    """Where pixels come from when an image is scaled, sheared, turned, and then shifted.

    Args:
        turn: angle in radians, counter-clockwise as one looks at the image.
        scale: factor > 0.
        shear: angle in radians by which columns lean; the tangent times y is added to x.
        down: shift in pixels.
        right: shift in pixels.
    """
    c, s = cos(turn), sin(turn)
    lean = sin(shear) / cos(shear)
    yy, yx = c / scale, s / scale
    xy, xx = (-s - lean * c) / scale, (c - lean * s) / scale
    return Maps(yy, yx, xy, xx, -(yy * down + yx * right), -(xy * down + xx * right))


def places(maps: Maps, height: int, width: int, dtype: Any) -> tuple[Tensor, Tensor]:
    """Rows and columns that the pixels of the results come from, (N, H, W) each."""
    middle, centre = (height - 1) / 2, (width - 1) / 2
    first_y = middle + maps.y - (maps.yy * middle + maps.yx * centre)
    first_x = centre + maps.x - (maps.xy * middle + maps.xx * centre)
    yy, yx, y, xy, xx, x = (
        astype(item, dtype)[:, None, None]
        for item in (maps.yy, maps.yx, first_y, maps.xy, maps.xx, first_x)
    )
    down, right = arange(height, dtype)[:, None], arange(width, dtype)[None, :]
    return yy * down + yx * right + y, xy * down + xx * right + x


# ------------------------------------------------------------------ reading


def resampled(
    x: Tensor, rows: Tensor, columns: Tensor, fill: Any, interpolation: str = "bilinear"
) -> Tensor:
    """Images read at places between their pixels.

    Args:
        x: (N, C, H, W).
        rows: (N, H, W), real numbers.
        columns: the same.
        fill: the value outside the image.
        interpolation: ``bilinear``, or ``nearest`` for the pixel at ⌊place + ½⌋.
    """
    if interpolation == "nearest":
        return picked(x, floor(rows + 0.5), floor(columns + 0.5), fill)
    _, _, height, width = x.shape
    row, below = _split(rows, height)
    column, beside = _split(columns, width)
    start = _flat_places(x, row, column)
    flat = reshape(x, -1)
    step_down, step_right = width if height > 1 else 0, 1 if width > 1 else 0
    here, right, under, both = (
        take(flat[step:], start) for step in (0, step_right, step_down, step_down + step_right)
    )
    beside, below = beside[:, None], below[:, None]
    upper = here * (1.0 - beside) + right * beside
    lower = under * (1.0 - beside) + both * beside
    share = (_inside(rows, height) * _inside(columns, width))[:, None]
    return (upper * (1.0 - below) + lower * below) * share + (1.0 - share) * fill


def _split(place: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The pixel before a place and the way from it, both within the image."""
    near = clip(place, 0.0, length - 1.0)
    first = minimum(floor(near), max(length - 2.0, 0.0))
    return first, near - first


def _inside(place: Tensor, length: int) -> Tensor:
    """1 in the image, 0 from one pixel outside it on, falling in between."""
    return clip(minimum(place + 1.0, length - place), 0.0, 1.0)


def picked(x: Tensor, rows: Tensor, columns: Tensor, fill: Any = None) -> Tensor:
    """Images of whole pixels of x.

    Args:
        x: (N, C, H, W).
        rows: whole numbers, which broadcast to (N, H, W) together with columns.
        columns: whole numbers.
        fill: the value outside the image; None where no place is outside.
    """
    _, _, height, width = x.shape
    row, column = (
        clip(item, 0, length - 1) if fill is not None else item
        for item, length in ((rows, height), (columns, width))
    )
    found = take(reshape(x, -1), _flat_places(x, row, column))
    if fill is None:
        return found
    hits = equal(rows, row) & equal(columns, column)
    return where(hits[:, None], found, fill)


def index_type(x: Tensor) -> str:
    """The smaller type that counts all elements."""
    return "int32" if x.size < 2**31 else "int64"


_EXACT = 2**24
"""Whole numbers up to which float32 holds all."""


def _flat_places(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Where pixels (N, H, W) of each channel are in one long row of all, (N, C, H, W)."""
    images, channels, height, width = x.shape
    kind = index_type(x)
    if height * width > _EXACT:
        row, column = astype(row, kind), astype(column, kind)
    starts = reshape(arange(images * channels, kind) * (height * width), (images, channels, 1, 1))
    return starts + astype(row * width + column, kind)[:, None]
