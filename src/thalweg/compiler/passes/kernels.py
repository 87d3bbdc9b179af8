"""Kernels: the pieces that a graph is cut into, each one loop nest over a space of elements."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from thalweg.compiler.passes.views import Access, is_view, resolve, segments
from thalweg.errors import GraphError
from thalweg.graph import Graph, Tensor, is_constant, node_flops, source_of

LOOPS = frozenset({"reduce_sum", "reduce_max", "argmax", "gather"})
"""Primitives that are computed in loops, besides the elementwise ones."""

Pattern = tuple[tuple[int, bool], ...]
"""Which parts of a space are reduced: (length, is reduced), outermost first."""


class Read(NamedTuple):
    """An operand of a node, as it is read.

    Attributes:
        operand: the tensor that the node takes.
        access: the stored tensor (or number, or ``iota``) beneath it, and the strides.
    """

    operand: Tensor
    access: Access

    @property
    def base(self) -> Tensor:
        """What is read."""
        return self.access.base

    @property
    def is_plain(self) -> bool:
        """Whether elements are read in the order in which they are stored, each once."""
        size = self.operand.size
        return (
            self.access.offset == 0
            and self.base.size == size
            and self.segments in ([], [(size, 1)])
        )

    @property
    def segments(self) -> list[tuple[int, int]]:
        """(length, stride) outermost first."""
        return segments(self.operand.shape, self.access.strides)

    def repeats_rows(self, columns: int) -> bool:
        """Whether each element is read ``columns`` times in a row."""
        rows = self.operand.size // columns
        leading = [(rows, 1)] if rows > 1 else []
        return (
            self.access.offset == 0
            and self.base.size == rows
            and self.segments == [*leading, (columns, 0)]
        )


class Pool(NamedTuple):
    """Windows side by side over a convolution's places, computed in the same kernel.

    Attributes:
        source: what the windows are laid over, the last node computed at each place.
        size: places of a window, down and across.
        places: windows, down and across.
        taps: the places of a window that are read.
    """

    source: Tensor
    size: tuple[int, int]
    places: tuple[int, int]
    taps: tuple[tuple[int, int], ...]

    def tap_of(self, read: Read) -> tuple[int, int]:
        """Where in its window a view begins."""
        _, wide, channels, rows = self.source.shape
        return divmod(read.access.offset // (channels * rows), wide)


@dataclass(eq=False)
class Kernel:
    """Nodes that are computed together.

    Attributes:
        kind: ``loop``, ``product``, or the name of the one primitive it holds.
        nodes: what is computed, in order.
        size: elements of the space.
        columns: the length of the innermost axis where rows are computed in lanes and columns
            one after the other; 0 where there are no such rows.
        reduced: the pattern of the reductions that end the loops, if there are any.
        outputs: nodes that are stored.
        cuts: where the elements are cut into axes (see :mod:`.space`).
        pool: the windows that a convolution ends in, if it does.
    """

    kind: str
    nodes: list[Tensor]
    size: int
    columns: int = 0
    reduced: Pattern | None = None
    outputs: list[Tensor] = field(default_factory=list[Tensor])
    cuts: frozenset[int] = frozenset()
    pool: Pool | None = None

    @property
    def reads(self) -> list[Tensor]:
        """Stored tensors that are read, each once."""
        own = {id(node) for node in self.nodes}
        found: dict[int, Tensor] = {}
        for node in self.nodes:
            for read in reads_of(node):
                if id(read.base) not in own and is_stored(read.base):
                    found[id(read.base)] = read.base
        return list(found.values())

    @property
    def flops(self) -> int:
        """Floating-point operations."""
        return sum(node_flops(node) for node in self.nodes)

    @property
    def bytes(self) -> int:
        """Bytes of the tensors read and written."""
        return sum(item.type.bytes for item in (*self.reads, *self.outputs))

    def __str__(self) -> str:
        counts: dict[str, int] = {}
        for node in self.nodes:
            name = source_of(node).primitive.name
            counts[name] = counts.get(name, 0) + 1
        return " ".join(name if n == 1 else f"{name}×{n}" for name, n in counts.items())


def is_computed(tensor: Tensor) -> bool:
    """Whether a tensor is computed by a kernel: no input, constant, view, number or ``iota``."""
    return (
        tensor.source is not None
        and not is_constant(tensor)
        and not is_view(tensor)
        and tensor.source.primitive.name != "iota"
    )


def is_number(tensor: Tensor) -> bool:
    """Whether a tensor is a number that is written into the code."""
    return tensor.value is not None and not tensor.shape


def is_stored(tensor: Tensor) -> bool:
    """Whether a tensor has elements in memory."""
    if is_number(tensor):
        return False
    return tensor.source is None or is_constant(tensor) or is_computed(tensor)


class _Known(threading.local):
    """What is remembered while a graph is lowered: by identity, a node and its operands."""

    reads: dict[int, tuple[Tensor, list[Read]]] | None = None


_known = _Known()


@contextmanager
def remembering() -> Generator[None]:
    """Inside, :func:`reads_of` finds out once how a node's operands are read."""
    before = _known.reads
    _known.reads = {}
    try:
        yield
    finally:
        _known.reads = before


def reads_of(node: Tensor) -> list[Read]:
    """The operands of a node, as they are read."""
    if _known.reads is None:
        return [_read(item) for item in source_of(node).inputs]
    found = _known.reads.get(id(node))
    if found is None:
        found = _known.reads[id(node)] = node, [_read(item) for item in source_of(node).inputs]
    return found[1]


def _read(operand: Tensor) -> Read:
    access = resolve(operand)
    if access is None:
        raise GraphError(f"{operand!r} needs a copy before it can be read; prepare the graph first")
    return Read(operand, access)


def pattern_of(node: Tensor) -> Pattern:
    """Which parts of its operand's space a reduction reduces.

    Neighbouring parts of one kind are joined, and parts of length 1 left out.
    """
    primitive, (x,), parameters = source_of(node)
    axes = (parameters["axis"],) if primitive.name == "argmax" else parameters["axes"]
    found: list[tuple[int, bool]] = []
    for axis, length in enumerate(x.shape):
        if length == 1:
            continue
        is_reduced = axis in axes
        if found and found[-1][1] == is_reduced:
            found[-1] = (found[-1][0] * length, is_reduced)
        else:
            found.append((length, is_reduced))
    return tuple(found)


def is_reduction(node: Tensor) -> bool:
    """Whether a node reduces its operand."""
    return source_of(node).primitive.kind == "reduction"


def users(graph: Graph) -> dict[int, list[Tensor]]:
    """By identity of what is read, the nodes that compute with it (through views)."""
    found: dict[int, list[Tensor]] = {}
    for node in graph.nodes:
        if is_computed(node):
            for read in reads_of(node):
                found.setdefault(id(read.base), []).append(node)
    return found
