"""Loop nests with sums over everything but an inner axis, such as one sum for each channel.

A plain nest would walk over all elements of the first channel, then of the second: with rows of a
batch last, a short piece here and there. This one walks over memory as it stands. The sums that
are not yet complete lie in memory, a vector for each, while a part of the outermost axis passes
by; the parts are added in order when all are there.
"""

from __future__ import annotations

import math
from dataclasses import replace

from thalweg.compiler.native.memory import lane_type
from thalweg.compiler.native.nest import Nest, Scope
from thalweg.compiler.native.nest_plan import NestPlan
from thalweg.compiler.native.reduce import accumulated, name_of, start
from thalweg.compiler.native.text import I64, Function, Module, Value, number, width_of
from thalweg.compiler.native.written import Parts, Written
from thalweg.compiler.passes.cost import CHUNK
from thalweg.compiler.passes.kernels import Kernel
from thalweg.graph import Tensor

_MOST_PARTS, _MOST_SUMS = 16, 1024
"""Parts of the outermost axis, and sums of a part that stay near."""


def write_loop(
    module: Module, kernel: Kernel, vector_bytes: int, has_estimates: bool = False
) -> Written:
    """Write a loop kernel as a function."""
    nest = Nest(module, kernel, vector_bytes, has_estimates)
    if sums_of_lines(nest):
        nest = LineSums(module, kernel, vector_bytes, has_estimates)
    return nest.write()


def sums_of_lines(plan: NestPlan) -> bool:
    """Whether a nest's sums keep an inner axis and are long enough to be walked line by line."""
    space = plan.space
    if plan.lane < 0 or space.columns or space.size <= 2 * CHUNK:
        return False
    last = len(space.lengths) - 1
    is_outer_reduced = space.reduced[0] and plan.lane == last > 1 and space.reduced[last]
    are_sums = all(name_of(n) == "reduce_sum" and n.type.is_float for n in plan.ends)
    kept = math.prod(n for n, flag in zip(space.lengths, space.reduced, strict=True) if not flag)
    return bool(plan.ends) and is_outer_reduced and are_sums and 1 < kept <= _MOST_SUMS


class LineSums(Nest):
    """Such a nest being written; its function computes one part of the sums."""

    def write(self) -> Written:
        """Write the function over the outermost axis, which is cut into parts."""
        self._arrange()
        done = super().write()
        sums = self.ends[0].size
        parts = Parts(_part_length(done.extent), sums * self.native, self.native)
        return replace(done, splits=False, totals=tuple(self.ends), parts=parts)

    def _arrange(self) -> None:
        """Loops in the order of memory; a vector in place of each sum."""
        self.order = list(range(len(self.space.lengths)))
        for node in self.ends:
            leaf = self.stores[id(node)]
            strides = tuple(stride * self.native for stride in leaf.strides)
            self.stores[id(node)] = replace(leaf, strides=strides)

    def _looped(self) -> list[int]:
        return self.order[:-1]

    def _begin(self, scope: Scope) -> None:
        """All sums of the part are nothing yet."""
        f = self.f
        for node in self.ends:
            type_ = lane_type(node.dtype, self.native)
            pointer = scope.pointers[self.stores[id(node)]]
            with f.loop(number(I64, 0), number(I64, node.size)) as loop:
                f.store(start(node, type_), f.at(pointer, loop.index, type_), node.dtype.itemsize)

    def _finish(self, scope: Scope, node: Tensor, parts: list[Value]) -> None:
        """One line's lanes are added to the sums in memory."""
        f, size = self.f, node.dtype.itemsize
        address = scope.pointers[self.stores[id(node)]]
        total = f.load(address, lane_type(node.dtype, self.native), size)
        for value in parts:
            for piece in _pieces(f, value, self.native):
                total = accumulated(f, node, total, piece)
        f.store(total, address, size)


def _pieces(f: Function, value: Value, width: int) -> list[Value]:
    """A vector as vectors of one width."""
    whole = width_of(value.type)
    if whole == width:
        return [value]
    return [
        f.shuffle(value, value, list(range(first, first + width)))
        for first in range(0, whole, width)
    ]


def _part_length(length: int) -> int:
    """How much of the outermost axis makes a part: an even number of equal parts, if there is."""
    for count in range(min(_MOST_PARTS, length), 1, -1):
        if length % count == 0 and count % 2 == 0:
            return length // count
    return -(-length // _MOST_PARTS)
