"""Loop nests: kernels of elementwise chains and reductions, written for lanes.

One axis of the kernel's space stands in lanes; columns (a short innermost axis) are written out one
after the other; loops run over the rest. A node is computed in the outermost loop in which all that
it depends on is known. Final reductions carry one accumulator for each lane through the loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.compiler.native.estimates import can_estimate, estimated_sqrt
from thalweg.compiler.native.lanes import (
    converted,
    element,
    memory_element,
    write_elementwise,
)
from thalweg.compiler.native.memory import (
    lane_numbers,
    lane_type,
    mask_below,
    read,
    read_at,
    widened,
    write,
)
from thalweg.compiler.native.nest_plan import NestPlan
from thalweg.compiler.native.reduce import accumulated, across, is_better, name_of, start
from thalweg.compiler.native.text import (
    I32,
    I64,
    POINTER,
    Value,
    number,
    suffix,
    vector,
    width_of,
)
from thalweg.compiler.native.written import Parts, Written
from thalweg.compiler.passes.cost import CHUNK
from thalweg.compiler.passes.fuse import is_row_reduction
from thalweg.compiler.passes.kernels import is_number, is_stored, reads_of
from thalweg.compiler.passes.space import (
    Leaf,
    node_reads,
)
from thalweg.graph import DTYPES, Tensor, source_of

_SHARED = 16
"""Turns of an outermost loop up to which an odd one is shared too unevenly."""


@dataclass
class Scope:
    """What is known at one place in the loops.

    Attributes:
        values: by identity of a node or leaf, one value for each column, or one for the row.
        pointers: for each leaf, its address with the indices of the loops so far.
        indices: of the loops so far; of the lane axis the first lane.
        width: lanes.
        mask: which lanes are inside, where not all are.
    """

    values: dict[object, list[Value]]
    pointers: dict[Leaf, Value]
    indices: dict[int, Value]
    width: int
    mask: Value | None

    def inner(self) -> Scope:
        """A copy, to which more is added."""
        return Scope(
            dict(self.values), dict(self.pointers), dict(self.indices), self.width, self.mask
        )


class Nest(NestPlan):
    """The plan of a nest, written."""

    # -------------------------------------------------------------- the function

    def write(self) -> Written:
        """Write the function."""
        parameters = [POINTER] * (len(self.bases) + (1 if self.checks else 0))
        self.f = f = self.module.function("loop", [*parameters, I64, I64])
        self.memory = {
            id(base): pointer for base, pointer in zip(self.bases, f.parameters, strict=False)
        }
        self.notes = f.parameters[len(self.bases)]
        self.begin, self.end = f.parameters[-2:]
        scope = Scope({}, {}, {}, 1, None)
        for leaf in (*self.leaves.values(), *self.stores.values()):
            if is_stored(leaf.base):
                scope.pointers[leaf] = f.at(
                    self.memory[id(leaf.base)], leaf.offset, memory_element(leaf.base.dtype)
                )
        self._begin(scope)
        kept = self._looped()
        self._kept(scope, kept, 0)
        f.leave()
        name = self.module.add(f)
        extent = self._extent()
        totals = tuple(self.ends) if self.is_flat and not kept and not self.chooses else ()
        parts = Parts(CHUNK) if totals and extent > 2 * CHUNK else None
        return Written(
            name, self.bases, extent, self._grain(), bool(kept), self.checks, totals, parts
        )

    def _looped(self) -> list[int]:
        """The axes of the loops outside of what final reductions carry."""
        return [axis for axis in self.order if not self.space.reduced[axis]]

    def _begin(self, scope: Scope) -> None:
        """What comes before all loops."""

    def _extent(self) -> int:
        lengths = [self.space.lengths[axis] for axis in self.order]
        return lengths[0] * lengths[1] if self._joins_outer() else (*lengths, 1)[0]

    def _joins_outer(self) -> bool:
        """Whether the two outermost loops are one, since the first is too short to be shared."""
        if len(self._looped()) < 2 or self.lane in self.order[:2]:
            return False
        length = self.space.lengths[self.order[0]]
        return length < _SHARED and length % 2 == 1

    def _grain(self) -> int:
        is_lane = bool(self.order) and self.order[0] == self.lane
        return self.native * self.unroll if is_lane else 1

    def _kept(self, scope: Scope, axes: Sequence[int], depth: int) -> None:
        """The loops over kept axes from ``depth`` on, then the reduced ones."""
        self._compute(scope, depth)
        if depth == 0 and self._joins_outer():
            self._joined(scope, axes)
        elif depth < len(axes):
            for inner in self._turns(scope, axes[depth], depth, []):
                self._kept(inner[0], axes, depth + 1)
        else:
            self._reduce(scope, depth)

    def _joined(self, scope: Scope, axes: Sequence[int]) -> None:
        """The two outermost loops as one."""
        f, length = self.f, number(I64, self.space.lengths[axes[1]])
        with f.loop(self.begin, self.end) as loop:
            first, second = (f.binary(way, loop.index, length) for way in ("udiv", "urem"))
            outer = self._inside(scope, axes[0], first, scope.width, None)
            self._compute(outer, 1)
            inner = self._inside(outer, axes[1], second, scope.width, None)
            self._kept(inner, axes, 2)

    def _turns(self, scope: Scope, axis: int, depth: int, carried: list[Value]) -> Any:
        """The loops over one axis: whole vectors, then what is left under a mask.

        A generator of (scope inside, loop); after it, ``self.carried`` holds the carried values.
        """
        f = self.f
        first, last = self._bounds(axis, depth)
        if axis != self.lane:
            with f.loop(first, last, 1, carried) as loop:
                yield self._inside(scope, axis, loop.index, scope.width, None), loop
            self.carried = loop.results
            return
        whole = self.native * self.unroll
        length = self.space.lengths[axis]
        is_open = depth == 0
        middle = first
        if is_open or length >= whole:
            middle = self._middle(first, last, whole, None if is_open else length)
            with f.loop(first, middle, whole, carried) as loop:
                yield self._inside(scope, axis, loop.index, whole, None), loop
            carried = loop.results
        if is_open or length % whole:
            is_short = not is_open and not self.space.reduced[axis]
            width = min(self.native, _power_of_two(length % whole)) if is_short else self.native
            with f.loop(middle, last, width, carried) as loop:
                mask = mask_below(f, f.binary("sub", last, loop.index), width)
                yield self._inside(scope, axis, loop.index, width, mask), loop
            carried = loop.results
        self.carried = carried

    def _middle(self, first: Value, last: Value, whole: int, length: int | None) -> Value:
        if length is not None:
            return number(I64, length // whole * whole)
        f = self.f
        count = f.binary("sub", last, first)
        return f.binary("add", first, f.binary("and", count, number(I64, -whole)))

    def _bounds(self, axis: int, depth: int) -> tuple[Value, Value]:
        if depth == 0:
            return self.begin, self.end
        return number(I64, 0), number(I64, self.space.lengths[axis])

    def _inside(
        self, scope: Scope, axis: int, index: Value, width: int, mask: Value | None
    ) -> Scope:
        """The scope in one turn of a loop: addresses moved on."""
        inner = scope.inner()
        inner.indices[axis] = index
        if axis == self.lane:
            inner.width, inner.mask = width, mask
        for leaf, pointer in scope.pointers.items():
            stride = leaf.strides[axis]
            if stride:
                step = index if stride == 1 else self._times(index, stride)
                inner.pointers[leaf] = self.f.at(pointer, step, memory_element(leaf.base.dtype))
        return inner

    def _times(self, index: Value, stride: int) -> Value:
        return self.f.binary("mul nsw", index, number(I64, stride))

    # -------------------------------------------------------------- nodes

    def _compute(self, scope: Scope, depth: int) -> None:
        """All nodes that are known in this many loops and not further out; stores them."""
        for node in self.kernel.nodes:
            if id(node) in scope.values or self._ends(node) or self._node_depth(node) != depth:
                continue
            if id(node) in self.fused:
                continue
            scope.values[id(node)] = self._node(scope, node)
        for node in self.kernel.nodes:
            is_known = id(node) in self.stores and id(node) in scope.values
            if is_known and self._store_depth(node) == depth:
                self._store(scope, node, scope.values[id(node)])

    def _columns_of(self, node: Tensor) -> int:
        return self.space.columns if node.size == self.kernel.size and self.space.columns else 1

    def _node(self, scope: Scope, node: Tensor) -> list[Value]:
        if is_row_reduction(node, self.kernel.size, self.space.columns):
            return [self._over_columns(node, self._operand(scope, node, 0, self.space.columns))]
        columns = self._columns_of(node)
        if name_of(node) == "gather":
            return [self._gather(scope, node, column) for column in range(columns)]
        operands = [
            self._operand(scope, node, place, columns) for place in range(len(reads_of(node)))
        ]
        results: list[Value] = []
        for column in range(columns):
            values = self._matched(scope, [operand[column] for operand in operands])
            if self.divides and name_of(node) == "sqrt" and can_estimate(values[0]):
                results.append(estimated_sqrt(self.f, values[0]))
            else:
                results.append(write_elementwise(self.f, node, values))
        return results

    def _matched(self, scope: Scope, values: list[Value]) -> list[Value]:
        """Values brought to one width: scalars stay scalars where all are."""
        if all(width_of(value.type) == 1 for value in values):
            return values
        return [widened(self.f, value, scope.width) for value in values]

    def _operand(self, scope: Scope, node: Tensor, place: int, columns: int) -> list[Value]:
        """An operand's value for each column."""
        base = node_reads(node)[place].base
        if is_number(base):
            value = number(element(base.dtype), base.item())
            return [value] * columns
        if id(base) in self.own:
            found = scope.values[id(base)]
        else:
            leaf = self.leaves[id(node), place]
            key = (leaf, columns)
            if key not in scope.values:
                scope.values[key] = self._read(scope, leaf, columns)
            found = scope.values[key]
        return found * columns if len(found) == 1 and columns > 1 else found

    def _read(self, scope: Scope, leaf: Leaf, columns: int) -> list[Value]:
        step = leaf.strides[-1] if self.space.columns else 0
        count = columns if step else 1
        return [self._read_column(scope, leaf, column * step) for column in range(count)]

    def _read_column(self, scope: Scope, leaf: Leaf, offset: int) -> Value:
        stride = leaf.strides[self.lane] if self.lane >= 0 else 0
        if not is_stored(leaf.base):
            return self._running(scope, leaf, offset, stride)
        dtype = leaf.base.dtype
        address = self.f.at(scope.pointers[leaf], offset, memory_element(dtype))
        return read(self.f, address, dtype, scope.width if stride else 1, stride, scope.mask)

    def _running(self, scope: Scope, leaf: Leaf, offset: int, stride: int) -> Value:
        """``iota``: computed from the indices."""
        f = self.f
        total = number(I64, leaf.offset + offset)
        for axis, index in scope.indices.items():
            if leaf.strides[axis]:
                total = f.binary("add", total, self._times(index, leaf.strides[axis]))
        if stride:
            total = f.binary(
                "add",
                widened(f, total, scope.width),
                lane_numbers(scope.width, stride, I64),
            )
        return converted(f, total, DTYPES["int64"], leaf.base.dtype)

    def _gather(self, scope: Scope, node: Tensor, column: int) -> Value:
        f = self.f
        rows, places = self.leaves[id(node), 0], self.leaves[id(node), 1]
        columns = self.space.columns
        shift = [leaf.strides[-1] * column if columns else 0 for leaf in (rows, places)]
        index = self._read_column(scope, places, shift[1])
        index = converted(f, index, places.base.dtype, DTYPES["int64"])
        source = source_of(node)
        axis = source.parameters["axis"]
        read_x = reads_of(node)[0]
        index = self._checked(scope, index, source.inputs[0].shape[axis])
        step = read_x.access.strides[axis]
        moved = f.binary("mul", index, number(index.type, step))
        type_ = memory_element(node.dtype)
        address = f.at(scope.pointers[rows], shift[0], type_)
        stride = rows.strides[self.lane] if self.lane >= 0 else 0
        if width_of(index.type) == 1:
            address = f.at(address, moved, type_)
            return read(f, address, node.dtype, scope.width if stride else 1, stride, scope.mask)
        if stride:
            moved = f.binary("add", moved, lane_numbers(scope.width, stride, I64))
        pointers = f.emit(
            vector(POINTER, scope.width), f"getelementptr {type_}, {address}, {moved}"
        )
        return read_at(f, pointers, node.dtype, scope.mask)

    def _checked(self, scope: Scope, index: Value, length: int) -> Value:
        """An index, 0 where it is outside its axis; that it was is noted."""
        f = self.f
        wrong = f.compare("icmp uge", index, number(index.type, length))
        if scope.mask is not None and width_of(index.type) > 1:
            wrong = f.binary("and", wrong, scope.mask)
        any_wrong = wrong
        if width_of(index.type) > 1:
            any_wrong = f.intrinsic("vector.reduce.or", "i1", wrong, overloads=suffix(wrong.type))
        with f.when(any_wrong):
            f.store(number(I32, 1), self.notes, 4)
        outside = f.compare("icmp uge", index, number(index.type, length))
        return f.select(outside, number(index.type, 0), index)

    def _over_columns(self, node: Tensor, values: list[Value]) -> Value:
        f = self.f
        total = start(node, values[0].type)
        for value in values:
            total = accumulated(f, node, total, value)
        return total

    def _store(self, scope: Scope, node: Tensor, values: list[Value]) -> None:
        leaf = self.stores[id(node)]
        stride = leaf.strides[self.lane] if self.lane >= 0 else 0
        step = leaf.strides[-1] if self.space.columns else 0
        for column, value in enumerate(values):
            address = self.f.at(scope.pointers[leaf], column * step, memory_element(node.dtype))
            if stride:
                wide = widened(self.f, value, scope.width)
                write(self.f, wide, address, node.dtype, stride, scope.mask)
            else:
                write(self.f, value, address, node.dtype, 1)

    # -------------------------------------------------------------- final reductions

    def _reduce(self, scope: Scope, depth: int) -> None:
        """The loops over reduced axes, and what comes of them."""
        if not self.ends:
            return
        axes = self.order[len(self._looped()) :]
        starts = self._starts(scope)
        results = self._turn_reduced(scope, axes, depth, [v for part in starts for v in part])
        place = 0
        for node, part in zip(self.ends, starts, strict=True):
            found = results[place : place + len(part)]
            place += len(part)
            self._finish(scope, node, found)

    def _slots(self, node: Tensor) -> int:
        """Accumulators of one kind: for each column that is kept."""
        x = source_of(node).inputs[0]
        if not self.space.columns or x.size != self.kernel.size:
            return 1
        return self.space.columns if node.size == self.space.columns else 1

    def _widths(self, scope: Scope) -> list[int]:
        """The widths of accumulators: of whole vectors and of the rest."""
        if self.lane < 0 or not self.space.reduced[self.lane]:
            return [scope.width]
        return [self.native * self.unroll, self.native]

    def _starts(self, scope: Scope) -> list[list[Value]]:
        result: list[list[Value]] = []
        for node in self.ends:
            x = source_of(node).inputs[0]
            widths = self._widths(scope)
            starts = [start(node, lane_type(x.dtype, width)) for width in widths]
            values = [start for start in starts for _ in range(self._slots(node))]
            if name_of(node) == "argmax":
                values.append(number(vector(I64, scope.width), 0))
            result.append(values)
        return result

    def _turn_reduced(
        self, scope: Scope, axes: Sequence[int], depth: int, carried: list[Value]
    ) -> list[Value]:
        place = depth - (len(self.order) - len(axes))
        if place:
            self._compute(scope, depth)
        if place == len(axes):
            return self._accumulate(scope, carried)
        for inner, loop in self._turns(scope, axes[place], depth, carried):
            loop.next(self._turn_reduced(inner, axes, depth + 1, loop.values))
        return self.carried

    def _accumulate(self, scope: Scope, carried: list[Value]) -> list[Value]:
        """One turn of the innermost loop: every accumulator takes in its value."""
        results: list[Value] = []
        rest = list(carried)
        widths = self._widths(scope)
        which = 1 if len(widths) > 1 and scope.mask is not None else 0
        for node in self.ends:
            slots = self._slots(node)
            if name_of(node) == "argmax":
                results += self._choose(scope, node, rest[0], rest[1])
                rest = rest[2:]
                continue
            part, rest = rest[: slots * len(widths)], rest[slots * len(widths) :]
            for kind in range(len(widths)):
                group = part[kind * slots : (kind + 1) * slots]
                results += self._taken(scope, node, group) if kind == which else group
        return results

    def _taken(self, scope: Scope, node: Tensor, totals: list[Value]) -> list[Value]:
        x = source_of(node).inputs[0]
        columns = self.space.columns if x.size == self.kernel.size and self.space.columns else 1
        base = reads_of(node)[0].base
        if id(base) in self.fused:
            first = self._operand(scope, base, 0, columns)
            second = self._operand(scope, base, 1, columns)
            pairs: list[tuple[Value, ...]] = list(zip(first, second, strict=True))
        else:
            pairs = [(value,) for value in self._operand(scope, node, 0, columns)]
        totals = list(totals)
        for column, values in enumerate(pairs):
            slot = column if len(totals) > 1 else 0
            totals[slot] = self._one_taken(scope, node, totals[slot], values)
        return totals

    def _one_taken(
        self, scope: Scope, node: Tensor, total: Value, values: tuple[Value, ...]
    ) -> Value:
        f, width = self.f, width_of(total.type)
        wide = [widened(f, value, width) for value in values]
        is_masked = scope.mask is not None and self.lane >= 0 and self.space.reduced[self.lane]
        if len(wide) == 2:
            result = f.multiply_add(wide[0], wide[1], total)
        else:
            result = accumulated(f, node, total, wide[0])
        if is_masked and scope.mask is not None:
            return f.select(scope.mask, result, total)
        return result

    def _choose(self, scope: Scope, node: Tensor, best: Value, place: Value) -> list[Value]:
        f = self.f
        value = widened(f, self._operand(scope, node, 0, 1)[0], scope.width)
        kind = source_of(node).inputs[0].dtype.kind
        index = self._chosen_index(scope, node)
        is_first = f.compare("icmp eq", index, number(index.type, 0))
        better = is_better(f, value, best, kind)
        better = f.binary("or", better, widened(f, is_first, scope.width))
        chosen = widened(f, index, scope.width)
        return [f.select(better, value, best), f.select(better, chosen, place)]

    def _chosen_index(self, scope: Scope, node: Tensor) -> Value:
        total = number(I64, 0)
        length = 1
        for axis in reversed([axis for axis in self.order if self.space.reduced[axis]]):
            total = self.f.binary("add", total, self._times(scope.indices[axis], length))
            length *= self.space.lengths[axis]
        return total

    def _finish(self, scope: Scope, node: Tensor, parts: list[Value]) -> None:
        slots = self._slots(node)
        if name_of(node) == "argmax":
            self._store(scope, node, parts[1:])
            return
        is_across = self.lane >= 0 and self.space.reduced[self.lane]
        if is_across:
            whole = [across(self.f, node, value) for value in parts[:slots]]
            rest = [across(self.f, node, value) for value in parts[slots:]]
            parts = [accumulated(self.f, node, a, b) for a, b in zip(whole, rest, strict=True)]
        self._store(scope, node, parts)


def _power_of_two(count: int) -> int:
    return 1 << max(count - 1, 0).bit_length()
