"""Which windows over a convolution's places can be computed where the places are.

Windows that lie side by side read each place once, through views that begin at one tap and step
from window to window. So a kernel can compute the places of a window one after the other, keep
them, and go on with the window: the convolution's own result is not stored.
"""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.compiler.passes.kernels import Pool, Read, reads_of
from thalweg.graph import Tensor

MOST_TAPS = 9
"""Places of a window that a kernel keeps at most."""

Pair = tuple[int, int]


def pool_over(source: Tensor, readers: Sequence[Tensor]) -> Pool | None:
    """The windows through which all readers read a tensor (P, Q, C, N), if they do."""
    reads = [read for node in readers for read in reads_of(node) if read.base is source]
    if source.ndim != 4 or not source.type.is_float or not source.size or not reads:
        return None
    if any(read.operand.ndim != 4 for read in reads):
        return None
    found = [_tap(source, read) for read in reads]
    taps = tuple(sorted({tap for tap in found if tap is not None}))
    places = {read.operand.shape[:2] for read in reads}
    if None in found or len(places) != 1 or not 1 < len(taps) <= MOST_TAPS:
        return None
    ((down, across),) = places
    size = (_size(source, reads, taps, 0), _size(source, reads, taps, 1))
    whole = size[0] * down <= source.shape[0] and size[1] * across <= source.shape[1]
    fits = whole and all(_steps(source, read, size) for read in reads)
    return Pool(source, size, (down, across), taps) if fits else None


def _tap(source: Tensor, read: Read) -> Pair | None:
    """Where in its window a view begins."""
    _, wide, channels, rows = source.shape
    place, rest = divmod(read.access.offset, channels * rows)
    return None if rest or read.operand.shape[2:] != source.shape[2:] else divmod(place, wide)


def _size(source: Tensor, reads: Sequence[Read], taps: Sequence[Pair], axis: int) -> int:
    """The length of a window: from one to the next, or all that is read where there is one."""
    if reads[0].operand.shape[axis] == 1:
        return max(tap[axis] for tap in taps) + 1
    step = source.size // source.shape[0]
    return reads[0].access.strides[axis] // (step if axis == 0 else step // source.shape[1])


def _steps(source: Tensor, read: Read, size: Pair) -> bool:
    """Whether a view goes from window to window, and inside a place as it is stored."""
    _, wide, channels, rows = source.shape
    place = channels * rows
    wanted = (size[0] * wide * place, size[1] * place, rows, 1)
    tap = _tap(source, read)
    steps = zip(read.operand.shape, read.access.strides, wanted, strict=True)
    inside = tap is not None and tap[0] < size[0] and tap[1] < size[1]
    return inside and all(length == 1 or have == want for length, have, want in steps)
