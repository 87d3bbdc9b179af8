"""How layers with windows are told sizes and padding, and what these mean for an input.

A size is a whole number for both axes, or a pair (rows, columns). Padding is one of::

    "valid"                         none
    "same"                          as many outputs as ⌈size / stride⌉
    1                               one element on each side
    (1, 2)                          one above and below, two left and right
    ((0, 1), (2, 3))                (above, below), (left, right)

For layers over one axis a pair of numbers is (before, behind).
"""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np

from thalweg.descriptions.constraints import shown
from thalweg.errors import SettingError, ShapeError
from thalweg.graph import Array, Tensor, TensorType
from thalweg.ops.convolution import Pair, Window
from thalweg.ops.functions import reshape

Size = int | tuple[int, int]
"""A whole number for both axes, or (rows, columns)."""

Padding = int | str | tuple[int | tuple[int, int], int | tuple[int, int]]
"""``"same"``, ``"valid"``, a number, (rows, columns), or ((above, below), (left, right))."""

LinePadding = int | str | tuple[int, int]
"""``"same"``, ``"valid"``, a number, or (before, behind)."""

MOST = 2**31 - 1
_NAMED = ("same", "valid")


# ------------------------------------------------------------------ what fields hold


def needed() -> Any:
    """A field without a default behind one that is declared."""
    return dataclasses.field()


def checked_size(layer: object, name: str, low: int = 1, axes: int = 2) -> None:
    """Check a field that holds a number, or for two axes a pair, and keep it as ints.

    Raises:
        SettingError: naming the class, the field, its value and what it may hold.
    """
    given: Any = getattr(layer, name)
    pair = _pair(given, low) if axes == 2 else None
    found = _whole(given, low) if _is_whole(given) else pair
    if found is None:
        either = " or a pair of them (rows, columns)" if axes == 2 else ""
        raise SettingError(
            f"{type(layer).__name__}.{name} is a whole number ≥ {low}{either}, got {shown(given)}"
        )
    object.__setattr__(layer, name, found)


def checked_padding(layer: object, name: str = "padding", *, axes: int = 2) -> None:
    """Check a field that holds padding, and keep it as ints and tuples.

    Raises:
        SettingError: naming the class, the field, its value and what it may hold.
    """
    given: Any = getattr(layer, name)
    if isinstance(given, str):
        found = given if given in _NAMED else None
    elif _is_whole(given):
        found = _whole(given, 0)
    else:
        found = _pair(given, 0) or (_pairs(given) if axes == 2 else None)
    if found is None:
        unequal = "(rows, columns), ((above, below), (left, right))"
        raise SettingError(
            f'{type(layer).__name__}.{name} is "same", "valid", a whole number ≥ 0 or '
            f"{unequal if axes == 2 else '(before, behind)'}, got {shown(given)}"
        )
    object.__setattr__(layer, name, found)


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _whole(value: Any, low: int) -> int | None:
    return int(value) if low <= value <= MOST else None


def _two(value: object) -> tuple[Any, Any] | None:
    if not isinstance(value, (tuple, list)):
        return None
    items = cast("list[Any]", value)
    return (items[0], items[1]) if len(items) == 2 else None


def _pair(value: object, low: int) -> Pair | None:
    both = _two(value)
    if both is None or not all(_is_whole(item) and low <= item <= MOST for item in both):
        return None
    return int(both[0]), int(both[1])


def _pairs(value: object) -> tuple[int | Pair, int | Pair] | None:
    """A pair of numbers or pairs of numbers."""
    both = _two(value)
    if both is None:
        return None
    first, second = (_whole(item, 0) if _is_whole(item) else _pair(item, 0) for item in both)
    return None if first is None or second is None else (first, second)


# ------------------------------------------------------------------ what they mean


def pair_of(size: Size) -> Pair:
    """A size for rows and one for columns."""
    return (size, size) if isinstance(size, int) else size


def across(padding: LinePadding) -> Padding:
    """Padding along one axis as padding of images of one row."""
    if isinstance(padding, str):
        return padding
    return 0, padding


def amounts(padding: Padding, size: Pair, extent: Pair, stride: Pair) -> tuple[Pair, Pair]:
    """How much padding lies before and behind along each axis.

    ``same`` gives ⌈size / stride⌉ windows, as in TensorFlow: an odd rest lies behind.

    Args:
        padding: as a layer holds it.
        size: of the input.
        extent: what a window spans.
        stride: from one window to the next.

    >>> amounts("same", (5, 6), (3, 3), (2, 2))
    ((1, 1), (0, 1))
    """
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0), (0, 0)
        first, second = (_same(*numbers) for numbers in zip(size, extent, stride, strict=True))
        return first, second
    rows, columns = (padding, padding) if isinstance(padding, int) else padding
    return pair_of(rows), pair_of(columns)


def _same(size: int, extent: int, stride: int) -> Pair:
    count = -(-size // stride)
    total = max((count - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def input_shown(x: Tensor, kind: str) -> str:
    """The input for a message: a layer over lines sees images of one row."""
    is_line = kind.endswith("1d")
    return str(TensorType((*x.shape[:2], x.shape[3]), x.dtype) if is_line else x.type)


def _axes(kind: str) -> tuple[str, str]:
    return "height", "length" if kind.endswith("1d") else "width"


def laid(
    kind: str,
    x: Tensor,
    taps: Pair,
    stride: Size,
    padding: Padding,
    dilation: Size = 1,
    may_jut: bool = False,
) -> Window:
    """The window of a layer over an input (N, C, H, W).

    Args:
        kind: the layer, for messages.
        x: its input.
        taps: of the kernel.
        stride: from one window to the next.
        padding: as the layer holds it.
        dilation: from one tap to the next.
        may_jut: whether :func:`jutting` follows, so that even the first window may jut out.

    Raises:
        ShapeError: it does not fit into the padded input.
    """
    plain = Window(pair_of(stride), ((0, 0), (0, 0)), pair_of(dilation))
    size, extent = (x.shape[2], x.shape[3]), plain.extent(taps)
    found = amounts(padding, size, extent, plain.stride)
    for axis, length, cover, by, (low, high) in zip(
        _axes(kind), size, extent, plain.stride, found, strict=True
    ):
        if cover > length + low + high + (by - 1 if may_jut else 0):
            raise ShapeError(
                f"{kind}: the window spans {cover} along the {axis}, but the input "
                f"{input_shown(x, kind)} has {length} there with padding {low} before and {high} "
                "behind; take a smaller kernel or dilation, or more padding"
            )
    return plain._replace(padding=found)


def jutting(x: Tensor, taps: Pair, window: Window) -> Window:
    """The window with more padding behind, for a last place that juts out but begins inside."""
    found: list[Pair] = []
    sizes = zip(x.shape[2:], window.extent(taps), window.stride, window.padding, strict=True)
    for length, cover, by, (low, high) in sizes:
        last = -(-(length + low + high - cover) // by)
        if last * by >= length + low:
            last -= 1
        found.append((low, max(high, last * by + cover - length - low)))
    return window._replace(padding=(found[0], found[1]))


def reads(x: Tensor, taps: Pair, window: Window) -> tuple[Array, Array]:
    """For rows and for columns: at each place what each tap reads; the input begins at 0."""
    counts = window.places((x.shape[2], x.shape[3]), taps)
    numbers = zip(counts, taps, window.stride, window.dilation, window.padding, strict=True)
    rows, columns = (
        by * np.arange(count)[:, None] + gap * np.arange(tap) - low
        for count, tap, by, gap, (low, _) in numbers
    )
    return rows, columns


def check_filled(x: Tensor, taps: Pair, window: Window, kind: str) -> None:
    """Refuse windows that hold nothing but padding."""
    for axis, length, places in zip(_axes(kind), x.shape[2:], reads(x, taps, window), strict=True):
        if not ((places >= 0) & (places < length)).any(1).all():
            raise ShapeError(
                f"{kind}: a window would lie in the padding alone along the {axis} of the input "
                f"{input_shown(x, kind)}; take padding smaller than the window"
            )


def check_images(x: Tensor, kind: str) -> None:
    """Refuse what is no batch of images (N, C, H, W)."""
    if x.ndim == 4 and min(x.shape[1:]) > 0:
        return
    hint = "; add a channel axis, as Reshape((1, H, W)) does" if x.ndim == 3 else ""
    raise ShapeError(f"{kind} takes inputs (N, C, H, W), got {x.type}{hint}")


def as_images(x: Tensor, kind: str) -> Tensor:
    """A batch of lines (N, C, L) as images of one row (N, C, 1, L)."""
    if x.ndim != 3 or min(x.shape[1:]) < 1:
        hint = "; add a channel axis, as Reshape((1, L)) does" if x.ndim == 2 else ""
        raise ShapeError(f"{kind} takes inputs (N, C, L), got {x.type}{hint}")
    return reshape(x, (*x.shape[:2], 1, x.shape[2]))


def as_lines(x: Tensor) -> Tensor:
    """Images of one row (N, C, 1, L) as lines (N, C, L)."""
    return reshape(x, (*x.shape[:2], x.shape[3]))
