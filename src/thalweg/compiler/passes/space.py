"""The space of a loop kernel: the axes that its loops run over, and the strides of what they touch.

All nodes of a kernel walk over one row of elements, numbered 0 … size - 1. Whoever reads it with
strides cuts this row into axes; a kernel has the axes that all its reads need.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import mul

from thalweg.compiler.passes.kernels import (
    Kernel,
    Read,
    is_stored,
    reads_of,
)
from thalweg.compiler.passes.views import Access, dense, segments
from thalweg.graph import Tensor, source_of


@dataclass(frozen=True)
class Leaf:
    """Something that is read or written: strides in elements along each axis of the space.

    Attributes:
        base: the stored tensor, number or ``iota``.
        offset: of the first element.
        strides: along the axes of the space, the unrolled columns last.
    """

    base: Tensor
    offset: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Space:
    """Axes that loops run over.

    Attributes:
        lengths: of the axes, outermost first; where there are columns, they are the last.
        reduced: for each axis, whether the kernel's final reductions run along it.
        columns: 0, or the length of the last axis, which is written out instead of looped over.
    """

    lengths: tuple[int, ...]
    reduced: tuple[bool, ...]
    columns: int

    @property
    def size(self) -> int:
        """The number of elements."""
        return next(reversed(list(accumulate(self.lengths, mul))), 1)

    def strides(self, parts: list[tuple[int, int]]) -> tuple[int, ...]:
        """Strides along the axes, from (length, stride) parts that cover the space."""
        result: list[int] = []
        rest = [[length, stride] for length, stride in parts]
        for length in reversed(self.lengths):
            if length == 1:
                result.append(0)
                continue
            result.append(rest[-1][1])
            rest[-1][0] //= length
            rest[-1][1] *= length
            if rest[-1][0] == 1:
                rest.pop()
        return tuple(reversed(result))


def cuts_of(kernel: Kernel) -> frozenset[int]:
    """Where the row of elements is cut into axes, counted from its end."""
    found: set[int] = {kernel.columns} if kernel.columns else set()
    for node in kernel.nodes:
        for parts in _node_parts(node, kernel):
            found |= _cuts(parts)
    if kernel.reduced is not None:
        found |= _cuts(pattern_parts(kernel))
    return frozenset(found - {1, kernel.size})


def joined_cuts(one: Kernel, two: Kernel, columns: int) -> frozenset[int] | None:
    """The cuts of two kernels in their common space; None where they cross.

    Columns are written out, so that nothing may cut them.
    """
    found: set[int] = {columns} if columns else set()
    size = max(one.size, two.size)
    for kernel in (one, two):
        ratio = size // kernel.size
        found |= {cut * ratio for cut in kernel.cuts}
    found -= {1, size}
    ordered = sorted(found)
    nested = all(big % small == 0 for small, big in pairwise(ordered))
    nested = nested and (not ordered or ordered[0] >= columns)
    return frozenset(found) if nested else None


def _cuts(parts: list[tuple[int, int]]) -> set[int]:
    return set(accumulate((length for length, _ in reversed(parts)), mul))


def pattern_parts(kernel: Kernel) -> list[tuple[int, int]]:
    """The kernel's reductions as (length, 1 if reduced) parts that cover the space."""
    parts = [(length, int(is_reduced)) for length, is_reduced in kernel.reduced or ()]
    covered = 1
    for length, _ in parts:
        covered *= length
    if covered < kernel.size:
        parts.append((kernel.size // covered, 0))
    return parts


def space_of(kernel: Kernel) -> Space:
    """The axes of a kernel."""
    edges = [1, *sorted(kernel.cuts), kernel.size]
    lengths = [big // small for small, big in pairwise(edges)]
    lengths = [length for length in reversed(lengths) if length > 1]
    if kernel.columns and (not lengths or lengths[-1] != kernel.columns):
        lengths.append(kernel.columns)
    plain = Space(tuple(lengths), (False,) * len(lengths), kernel.columns)
    if kernel.reduced is None:
        return plain
    flags = tuple(bool(flag) for flag in _flags(plain, pattern_parts(kernel)))
    return Space(plain.lengths, flags, kernel.columns)


def _flags(space: Space, parts: list[tuple[int, int]]) -> list[int]:
    result: list[int] = []
    rest = [[length, flag] for length, flag in parts]
    for length in reversed(space.lengths):
        result.append(rest[-1][1] if rest else 0)
        if rest:
            rest[-1][0] //= length
            if rest[-1][0] == 1:
                rest.pop()
    return list(reversed(result))


# ---------------------------------------------------------------------- what nodes read


def node_reads(node: Tensor) -> list[Read]:
    """What a node reads, each over the node's own space (a gather's operands included)."""
    if source_of(node).primitive.name != "gather":
        return reads_of(node)
    x, indices = reads_of(node)
    axis = source_of(node).parameters["axis"]
    count = indices.operand.ndim
    trail = x.access.strides[axis + 1 :]
    lead = x.access.strides[:axis]
    rows = Access(x.base, x.access.offset, (*lead, *(0,) * count, *trail))
    places = Access(
        indices.base,
        indices.access.offset,
        (*(0,) * len(lead), *indices.access.strides, *(0,) * len(trail)),
    )
    return [Read(node, rows), Read(node, places)]


def _node_parts(node: Tensor, kernel: Kernel) -> list[list[tuple[int, int]]]:
    own = {id(item) for item in kernel.nodes}
    return [
        parts_of(read, kernel)
        for read in node_reads(node)
        if id(read.base) not in own and _has_strides(read.base)
    ]


def _has_strides(base: Tensor) -> bool:
    is_iota = base.source is not None and base.source.primitive.name == "iota"
    return is_iota or is_stored(base)


def parts_of(read: Read, kernel: Kernel) -> list[tuple[int, int]]:
    """A read as (length, stride) parts that cover the kernel's space."""
    parts = segments(read.operand.shape, read.access.strides)
    return _covering(parts, read.operand.size, kernel)


def _covering(parts: list[tuple[int, int]], size: int, kernel: Kernel) -> list[tuple[int, int]]:
    return parts if size == kernel.size else [*parts, (kernel.size // size, 0)]


def leaf_of(read: Read, kernel: Kernel, space: Space) -> Leaf:
    """A read with its strides along the axes of a space."""
    return Leaf(read.base, read.access.offset, space.strides(parts_of(read, kernel)))


def store_of(node: Tensor, kernel: Kernel, space: Space) -> Leaf:
    """Where a node's elements are stored, with strides along the axes of a space."""
    parts = _covering(segments(node.shape, dense(node.shape)), node.size, kernel)
    return Leaf(node, 0, space.strides(parts))


def end_of(node: Tensor, space: Space) -> Leaf:
    """Where the result of a final reduction is stored: dense over the axes that are kept."""
    strides: list[int] = []
    step = 1
    for length, is_reduced in zip(reversed(space.lengths), reversed(space.reduced), strict=True):
        is_kept = not is_reduced and step < node.size
        strides.append(step if is_kept else 0)
        step *= length if is_kept else 1
    return Leaf(node, 0, tuple(reversed(strides)))
