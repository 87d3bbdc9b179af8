"""Convolutions that end in windows over their places: pooling in the same kernel.

The places of one window are computed one after the other, each a piece of the result with what
follows it (bias, activation), and kept in a few kilobytes beside the stack. Then the window is
computed from them (a maximum and where it lies, a mean, what follows), and only that is stored.
"""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.compiler.native.convolution import Convolution
from thalweg.compiler.native.lanes import element
from thalweg.compiler.native.product import Matrix
from thalweg.compiler.native.text import I64, POINTER, Value, number, vector
from thalweg.compiler.passes.kernels import is_stored, reads_of
from thalweg.graph import Tensor


class Pooled(Convolution):
    """A convolution with windows over its places, being written."""

    def _take_operands(self) -> None:
        super()._take_operands()
        assert self.kernel.pool is not None
        self.pool = pool = self.kernel.pool
        self.batch = (*pool.places, self.form.groups)
        shape = self.node.shape
        self.at_place = [node for node in self.kernel.nodes[1:] if node.shape == shape]
        self.at_window = [node for node in self.kernel.nodes[1:] if node.shape != shape]
        self.first_places = [self.module.table([tap[axis] for tap in pool.taps]) for axis in (0, 1)]

    def _enter(self) -> None:
        self.type = vector(element(self.node.dtype), self.lanes)
        count = len(self.pool.taps) * self.tile.rows * self.tile.vectors
        room = f"alloca [{count} x {self.type}], align {self._alignment}"
        self.kept = self.f.emit(POINTER, room)

    def _open(self, parameters: Sequence[Value], batch: Sequence[Value] = ()) -> None:
        self.memory = {
            id(base): pointer for base, pointer in zip(self.bases, parameters, strict=False)
        }
        self.window = list(batch)
        fixed = (self.a, self.b, *self.stores.values(), *self._read_by(self.at_window))
        self.start = {
            matrix: self._first(matrix, batch) for matrix in fixed if is_stored(matrix.base)
        }

    def _read_by(self, nodes: Sequence[Tensor]) -> list[Matrix]:
        """What nodes read from memory."""
        keys = ((id(node), place) for node in nodes for place in range(len(reads_of(node))))
        found = (self.leaves.get(key) for key in keys)
        return [matrix for matrix in found if matrix is not None]

    # -------------------------------------------------------------- one piece

    def _piece(
        self, row: Value, column: Value, height: int, vectors: int, mask: Value | None
    ) -> None:
        at_window = dict(self.start)
        with self.f.loop(number(I64, 0), number(I64, len(self.pool.taps))) as taps:
            self._place(taps.index, row, column, height, vectors, mask)
            taps.next([])
        self.start = at_window
        corners = self._corners(self.at_window, row, column)
        known: dict[object, Value] = {}
        for r in range(height):
            for v in range(vectors):
                covered = mask if v == vectors - 1 else None
                values = self._taken_up(r * vectors + v, height * vectors)
                self._follow(self.at_window, values, corners, known, (r, v), covered)
                self._store(values, corners, (r, v), covered)

    def _place(
        self, tap: Value, row: Value, column: Value, height: int, vectors: int,
        mask: Value | None,
    ) -> None:  # fmt: skip
        """Compute a piece at one place of the window, and keep it."""
        f = self.f
        place = [self._within(axis, tap) for axis in (0, 1)]
        self.bounds = [axis.bounds(f, index) for axis, index in zip(self.axes, place, strict=True)]
        for matrix in self._read_by(self.at_place):
            self.start[matrix] = self._first(matrix, (*place, self.window[2]))
        a, b = self._left(row), self._right(column, vectors, mask)
        zero = number(self.type, 0)
        totals = self._summed(a, b, [zero] * (height * vectors), height, vectors, mask)
        corners = {matrix: self._at(matrix, row, column) for matrix in self._read_by(self.at_place)}
        known: dict[object, Value] = {}
        first = f.binary("mul", tap, number(I64, height * vectors))
        for r in range(height):
            for v in range(vectors):
                covered = mask if v == vectors - 1 else None
                values: dict[object, Value] = {id(self.node): totals[r * vectors + v]}
                self._follow(self.at_place, values, corners, known, (r, v), covered)
                address = f.at(f.at(self.kept, first, self.type), r * vectors + v, self.type)
                f.store(values[id(self.pool.source)], address, self._alignment)

    def _within(self, axis: int, tap: Value) -> Value:
        """The place along an axis, down or across, that a tap of the window is."""
        f = self.f
        first = f.load(f.at(self.first_places[axis], tap, I64), I64, 8)
        start = f.binary("mul", self.window[axis], number(I64, self.pool.size[axis]))
        return f.binary("add", start, first)

    @property
    def _alignment(self) -> int:
        return self.lanes * self.node.dtype.itemsize

    # -------------------------------------------------------------- the window

    def _taken_up(self, which: int, count: int) -> dict[object, Value]:
        """One vector of each place that was kept, by tap."""
        taps = self.pool.taps
        places = (self.f.at(self.kept, n * count + which, self.type) for n in range(len(taps)))
        loaded = (self.f.load(place, self.type, self._alignment) for place in places)
        return dict(zip(taps, loaded, strict=True))

    def _operand(
        self, node: Tensor, place: int, values: dict[object, Value], corners: dict[Matrix, Value],
        known: dict[object, Value], where: tuple[int, int], mask: Value | None,
    ) -> Value:  # fmt: skip
        read = reads_of(node)[place]
        if read.base is self.pool.source and node.shape != self.node.shape:
            return values[self.pool.tap_of(read)]
        return super()._operand(node, place, values, corners, known, where, mask)
