"""Lines of results, put in order for the gradient of a convolution for its weights.

A block of sums walks along a line of results, a few maps of each place. In memory these places lie
a power of two apart more often than not, and push each other out of the first cache. So a line is
copied once, each block's maps side by side, and read from there for all taps and inputs. What has
to be computed first (a pooled gradient, laid where each maximum was) is computed on the way, and
never stored as a whole.
"""

from __future__ import annotations

import numpy as np

from thalweg.compiler.native.lanes import (
    converted,
    element,
    memory_element,
    times,
    write_elementwise,
)
from thalweg.compiler.native.memory import mask_below, read, widened
from thalweg.compiler.native.text import I64, Function, Value, number, vector
from thalweg.compiler.native.weights_plan import WeightsPlan
from thalweg.compiler.passes.kernels import Kernel, Read, is_number, is_stored, reads_of
from thalweg.graph import Tensor

_PLACES = np.dtype("int64")

_UNROLLED = 4
"""Vectors of rows up to which a map is written out."""


class ResultsLine:
    """The copying of a line, being written.

    Args:
        kernel: the gradient, behind what computes the results if anything does.
        plan: its plan.
        pointers: by identity of what is read, where it stands.
    """

    def __init__(
        self, f: Function, kernel: Kernel, plan: WeightsPlan, pointers: dict[int, Value]
    ) -> None:
        self.f = f
        self.plan = plan
        self.before = kernel.nodes[:-1]
        self.own = {id(node) for node in self.before}
        self.pointers = pointers
        self.type = vector(element(plan.node.dtype), plan.lanes)
        self.size = plan.node.dtype.itemsize

    def fill(self, line: Value, target: Value) -> None:
        """Copy line number ``line`` to ``target``: blocks of maps, places, maps, rows."""
        f, plan = self.f, self.plan
        blocks, wide = plan.map_blocks, plan.form.places[1]
        with f.loop(number(I64, 0), number(I64, blocks)) as block:
            first = plan.first_map(f, block.index)
            own = f.at(target, times(f, block.index, wide * plan.place_elements), plan.type)
            with f.loop(number(I64, 0), number(I64, wide)) as place:
                start = f.at(own, times(f, place.index, plan.place_elements), plan.type)
                with f.loop(number(I64, 0), number(I64, plan.block.maps)) as map_:
                    index = f.binary("add", first, map_.index)
                    to = f.at(start, times(f, map_.index, plan.kept_rows), plan.type)
                    self._rows((line, place.index, index), to)

    def _rows(self, where: tuple[Value, Value, Value], target: Value) -> None:
        """All rows of one map at one place."""
        f, plan = self.f, self.plan
        starts = self._starts(where)
        whole = plan.form.rows // plan.lanes * plan.lanes
        if whole <= _UNROLLED * plan.lanes:
            for row in range(0, whole, plan.lanes):
                self._vector(starts, where, number(I64, row), target, None)
        else:
            with f.loop(number(I64, 0), number(I64, whole), plan.lanes) as loop:
                self._vector(starts, where, loop.index, target, None)
        if plan.form.rows > whole:
            mask = mask_below(f, number(I64, plan.form.rows - whole), plan.lanes)
            self._vector(starts, where, number(I64, whole), target, mask)

    def _vector(
        self, starts: dict[tuple[int, int], Value], where: tuple[Value, Value, Value], row: Value,
        target: Value, mask: Value | None,
    ) -> None:  # fmt: skip
        f, plan = self.f, self.plan
        if not self.before:
            value = self._leaf(reads_of(plan.node)[1], starts[id(plan.node), 1], row, mask)
        else:
            values: dict[int, Value] = {}
            for node in self.before:
                operands = [
                    self._operand(node, place, values, starts, where, row, mask)
                    for place in range(len(reads_of(node)))
                ]
                values[id(node)] = write_elementwise(f, node, operands)
            value = widened(f, values[id(reads_of(plan.node)[1].base)], plan.lanes)
        if mask is not None:
            value = f.select(mask, value, number(self.type, 0))
        address = f.at(target, row, plan.type)
        f.store(value, address, plan.lanes * self.size)

    # -------------------------------------------------------------- what is read

    def _starts(self, where: tuple[Value, Value, Value]) -> dict[tuple[int, int], Value]:
        """Where everything that is read begins, at one place and map."""
        nodes = self.before or [self.plan.node]
        found: dict[tuple[int, int], Value] = {}
        for node in nodes:
            for place, item in enumerate(reads_of(node)):
                is_source = node is self.plan.node and place == 0
                if is_source or id(item.base) in self.own or not is_stored(item.base):
                    continue
                pointer = self.pointers[id(item.base)]
                type_ = memory_element(item.base.dtype)
                found[id(node), place] = self.f.at(pointer, self._offset(item, where), type_)
        return found

    def _offset(self, item: Read, where: tuple[Value, Value, Value]) -> Value:
        """How far into what is read a place and a map lie."""
        f, strides, shape = self.f, item.access.strides, item.operand.shape
        line, place, map_ = where
        total = f.binary("add", number(I64, item.access.offset), times(f, map_, strides[-2]))
        for number_, index in enumerate((line, place)):
            if len(shape) == 4:
                parts = [(index, number_)]
            else:
                axis = 2 * number_
                inner = number(I64, shape[axis + 1])
                parts = [
                    (f.binary("udiv", index, inner), axis),
                    (f.binary("urem", index, inner), axis + 1),
                ]
            for part, axis in parts:
                total = f.binary("add", total, times(f, part, strides[axis]))
        return total

    def _operand(
        self, node: Tensor, place: int, values: dict[int, Value],
        starts: dict[tuple[int, int], Value], where: tuple[Value, Value, Value], row: Value,
        mask: Value | None,
    ) -> Value:  # fmt: skip
        item = reads_of(node)[place]
        if id(item.base) in values:
            return values[id(item.base)]
        wide = vector(element(item.base.dtype), self.plan.lanes)
        if is_number(item.base):
            return number(wide, item.base.item())
        if not is_stored(item.base):
            index = self._offset(item, where)
            value = converted(self.f, index, _PLACES, item.base.dtype)
            return self.f.splat(value, self.plan.lanes)
        return self._leaf(item, starts[id(node), place], row, mask)

    def _leaf(self, item: Read, start: Value, row: Value, mask: Value | None) -> Value:
        f, stride = self.f, item.access.strides[-1]
        address = f.at(start, times(f, row, stride), memory_element(item.base.dtype))
        width = self.plan.lanes if stride else 1
        found = read(f, address, item.base.dtype, width, stride, mask)
        return widened(f, found, self.plan.lanes)
