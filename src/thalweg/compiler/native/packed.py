"""Large matrix products: operands are copied into the order in which they are read.

Without copies, rows that lie a power of two apart push each other out of the cache. A block of
columns of B is copied into a panel (all of the inner axis, side by side) that stays in the second
cache while all rows of A pass by; a transposed B is exchanged in square blocks on the way. A is
copied into pieces of as many rows as a tile has, where its stride is of the bad kind.
"""

from __future__ import annotations

from dataclasses import replace

from thalweg.compiler.native.lanes import memory_element
from thalweg.compiler.native.memory import mask_below, read, write
from thalweg.compiler.native.movement import transposed
from thalweg.compiler.native.product import Operand, Product
from thalweg.compiler.native.text import I64, POINTER, Value, number, vector
from thalweg.compiler.native.written import Written

_BAD_STRIDE = 2048
"""Bytes: rows that lie a multiple of this apart share few places of the cache."""

_MANY_ROWS = 192
"""Rows from which threads share them rather than columns."""


class Packed(Product):
    """A product that reads panels."""

    @property
    def packs_left(self) -> bool:
        """Whether A is copied too."""
        size = self.node.dtype.itemsize
        stride = self.a.down if self.a.across == 1 else self.a.across
        is_copyable = 1 in {self.a.down, self.a.across}
        return is_copyable and stride * size % _BAD_STRIDE == 0 and self.inner > 4 * self.lanes

    @property
    def panel_bytes(self) -> int:
        """Memory for one panel of B: each thread has its own."""
        return self.inner * self._block * self.node.dtype.itemsize + 64

    @property
    def left_bytes(self) -> int:
        """Memory for A, in pieces; a whole vector may be written behind the last."""
        height = self.tile.rows
        pieces = -(-self.rows // height)
        return (pieces * height * self.inner + self.lanes) * self.node.dtype.itemsize

    @property
    def shares_rows(self) -> bool:
        """Whether threads share rows: where these are many, a panel is soon copied by each.

        The result is then in one piece for each thread, as what follows it computes: the
        update of the weights, of which this is the gradient.
        """
        return self.rows >= max(_MANY_ROWS, 2 * self.columns)

    def write(self) -> Written:
        """Write the product, and before it the copy of A where there is one."""
        before = self._write_left() if self.packs_left else None
        f = self.module.function("packed", [POINTER] * (len(self.bases) + 2) + [I64, I64])
        self.f = f
        self._open(f.parameters[: len(self.bases)])
        self.panel, self.left = f.parameters[len(self.bases) : -2]
        span = f.parameters[-2], f.parameters[-1]
        if self.shares_rows:
            self._panels((number(I64, 0), number(I64, self.columns)), span)
        else:
            self._panels(span, (number(I64, 0), number(I64, self.rows)))
        f.leave()
        extent, grain = self.columns, self._block
        if self.shares_rows:
            extent, grain = self.rows, self.tile.rows
        done = Written(self.module.add(f), self.bases, extent, grain, True)
        left_bytes = self.left_bytes if before else 0
        return replace(done, before=before, scratch_bytes=self.panel_bytes, shared_bytes=left_bytes)

    def _panels(self, columns: tuple[Value, Value], rows: tuple[Value, Value]) -> None:
        """Panel after panel, each for all rows."""
        f, whole = self.f, self.columns // self._block * self._block
        if whole:
            with f.loop(columns[0], self._least(columns[1], whole), self._block) as loop:
                self._pack(loop.index, self.tile.vectors, self._block)
                self._down(rows, loop.index, self.tile.vectors, None)
        rest = self.columns - whole
        if rest:
            with f.when(f.compare("icmp sgt", columns[1], number(I64, whole))):
                vectors = -(-rest // self.lanes)
                self._pack(number(I64, whole), vectors, rest)
                part = rest % self.lanes
                mask = mask_below(f, number(I64, part), self.lanes) if part else None
                self._down(rows, number(I64, whole), vectors, mask)

    # -------------------------------------------------------------- operands in their panels

    def _left(self, row: Value) -> Operand:
        if not self.packs_left:
            return super()._left(row)
        height = self.tile.rows
        start = self.f.binary("mul", row, number(I64, self.inner))
        pointer = self.f.at(self.left, start, memory_element(self.node.dtype))
        return Operand(pointer, 1, height)

    def _right(self, column: Value, vectors: int, mask: Value | None) -> Operand:
        return Operand(self.panel, vectors * self.lanes, 1)

    def _pack(self, column: Value, vectors: int, columns: int) -> None:
        if self.b.across == 1:
            self._pack_plain(column, vectors, columns)
        else:
            self._pack_exchanged(column, vectors, columns)

    def _pack_plain(self, column: Value, vectors: int, columns: int) -> None:
        """Rows of B lie side by side already."""
        f, type_, dtype = self.f, memory_element(self.node.dtype), self.node.dtype
        start = self._at(self.b, None, column)
        part = columns % self.lanes
        mask = mask_below(f, number(I64, part), self.lanes) if part else None
        with f.loop(number(I64, 0), number(I64, self.inner)) as loop:
            source = f.at(start, self._times(loop.index, self.b.down), type_)
            target = f.at(self.panel, self._times(loop.index, vectors * self.lanes), type_)
            for v in range(vectors):
                covered = mask if v == vectors - 1 else None
                place = v * self.lanes
                value = read(f, f.at(source, place, type_), dtype, self.lanes, 1, covered)
                write(f, value, f.at(target, place, type_), dtype, 1)

    def _pack_exchanged(self, column: Value, vectors: int, columns: int) -> None:
        """Columns of B lie side by side: square blocks are exchanged."""
        f = self.f
        whole = self.inner // self.lanes * self.lanes
        if whole:
            with f.loop(number(I64, 0), number(I64, whole), self.lanes) as loop:
                self._exchange(column, vectors, columns, loop.index, self.lanes)
        if self.inner > whole:
            self._exchange(column, vectors, columns, number(I64, whole), self.inner - whole)

    def _exchange(
        self, column: Value, vectors: int, columns: int, index: Value, depth: int
    ) -> None:
        f, type_, dtype = self.f, memory_element(self.node.dtype), self.node.dtype
        mask = None if depth == self.lanes else mask_below(f, number(I64, depth), self.lanes)
        zero = number(vector(type_, self.lanes), 0)
        source = f.at(self._at(self.b, None, column), index, type_)
        target = f.at(self.panel, self._times(index, vectors * self.lanes), type_)
        for v in range(vectors):
            block = [
                read(f, f.at(source, place * self.b.across, type_), dtype, self.lanes, 1, mask)
                if place < columns
                else zero
                for place in range(v * self.lanes, (v + 1) * self.lanes)
            ]
            for line, value in enumerate(transposed(f, block)[:depth]):
                place = line * vectors * self.lanes + v * self.lanes
                write(f, value, f.at(target, place, type_), dtype, 1)

    # -------------------------------------------------------------- the copy of A

    def _write_left(self) -> Written:
        """A function that copies A into pieces; its outermost loop runs over rows."""
        f = self.module.function("pack", [POINTER, POINTER, I64, I64])
        self.f = f
        source, target, begin, end = f.parameters
        self.memory = {id(self.a.base): source}
        self.start = {self.a: self._first(self.a, [])}
        height = self.tile.rows
        whole = self.rows // height * height
        with f.loop(begin, self._least(end, whole), height) as loop:
            self._copy_rows(loop.index, target, height)
        if self.rows > whole:
            with f.when(f.compare("icmp sgt", end, number(I64, whole))):
                self._copy_rows(number(I64, whole), target, self.rows - whole)
        f.leave()
        name = self.module.add(f)
        return Written(name, (self.a.base,), self.rows, height, True, shares=True)

    def _copy_rows(self, row: Value, target: Value, height: int) -> None:
        f, type_ = self.f, memory_element(self.node.dtype)
        start = self._at(self.a, row, None)
        place = f.at(target, self._times(row, self.inner), type_)
        if self.a.down == 1:
            with f.loop(number(I64, 0), number(I64, self.inner)) as loop:
                source = f.at(start, self._times(loop.index, self.a.across), type_)
                self._copy_line(source, f.at(place, self._step(loop.index), type_), height)
            return
        whole = self.inner // self.lanes * self.lanes
        with f.loop(number(I64, 0), number(I64, whole), self.lanes) as loop:
            self._copy_block(start, place, loop.index, height, self.lanes)
        if self.inner > whole:
            self._copy_block(start, place, number(I64, whole), height, self.inner - whole)

    def _step(self, index: Value) -> Value:
        return self._times(index, self.tile.rows)

    def _copy_line(self, source: Value, target: Value, height: int) -> None:
        """One place along the inner axis, for all rows of a piece."""
        f, type_, dtype = self.f, memory_element(self.node.dtype), self.node.dtype
        for first in range(0, height, self.lanes):
            count = min(self.lanes, height - first)
            mask = mask_below(f, number(I64, count), self.lanes) if count < self.lanes else None
            value = read(f, f.at(source, first, type_), dtype, self.lanes, 1, mask)
            write(f, value, f.at(target, first, type_), dtype, 1, mask)

    def _copy_block(
        self, start: Value, place: Value, index: Value, height: int, depth: int
    ) -> None:
        f, type_, dtype = self.f, memory_element(self.node.dtype), self.node.dtype
        inside = None if depth == self.lanes else mask_below(f, number(I64, depth), self.lanes)
        zero = number(vector(type_, self.lanes), 0)
        source, target = f.at(start, index, type_), f.at(place, self._step(index), type_)
        for first in range(0, height, self.lanes):
            count = min(self.lanes, height - first)
            mask = mask_below(f, number(I64, count), self.lanes) if count < self.lanes else None
            block = [
                read(f, f.at(source, row * self.a.down, type_), dtype, self.lanes, 1, inside)
                if row < first + count
                else zero
                for row in range(first, first + self.lanes)
            ]
            for line, value in enumerate(transposed(f, block)[:depth]):
                address = f.at(target, line * self.tile.rows + first, type_)
                write(f, value, address, dtype, 1, mask)
