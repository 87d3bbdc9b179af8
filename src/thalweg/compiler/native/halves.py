"""Large products of few results: the inner axis in two halves, which are added at the end.

Each of two threads then reads its own half of both operands. Of a layer's weights that is the half
which it has updated in the step before, so that no line of them moves between cores. The halves
are the same, and are added in the same order, whatever the number of threads.
"""

from __future__ import annotations

from dataclasses import replace

from thalweg.compiler.native.lanes import element, memory_element
from thalweg.compiler.native.packed import Packed
from thalweg.compiler.native.product import Product
from thalweg.compiler.native.text import I64, POINTER, Module, Value, number, vector
from thalweg.compiler.native.written import Written
from thalweg.compiler.passes.kernels import Kernel

_HALVES = 2

DEEP = 3
"""From how many times as long as rows and columns the inner axis is halved."""


def write_halves(module: Module, kernel: Kernel, vector_bytes: int, registers: int) -> Written:
    """Write the halves of a product, and the sum of both with what follows it."""
    parts = _Halves(module, kernel, vector_bytes, registers)
    whole = _Sum(module, kernel, vector_bytes, registers)
    return replace(whole.write(), before=parts.write(), shared_bytes=parts.parts_bytes)


def is_deep(product: Packed) -> bool:
    """Whether a product's inner axis is worth halving."""
    long = product.inner >= DEEP * max(product.rows, product.columns)
    return long and product.inner % _HALVES == 0 and not product.packs_left


class _Parts(Product):
    """The halves in memory: rows of whole vectors."""

    parts: Value

    @property
    def _wide(self) -> int:
        return -(-self.columns // self.lanes) * self.lanes

    @property
    def parts_bytes(self) -> int:
        """Memory for the halves."""
        return _HALVES * self.rows * self._wide * self.node.dtype.itemsize

    def _part(self, half: int, row: Value, column: Value) -> Value:
        """Where a half has a row's column."""
        type_ = memory_element(self.node.dtype)
        start = self.f.at(self.parts, half * self.rows * self._wide, type_)
        return self.f.at(self.f.at(start, self._times(row, self._wide), type_), column, type_)


class _Halves(_Parts, Packed):
    """The halves being written: each is a product of panels."""

    def _take_operands(self) -> None:
        super()._take_operands()
        self.inner //= _HALVES

    def write(self) -> Written:
        """The function: its outermost loop runs over halves times blocks of columns."""
        count = len(self.bases)
        self.f = f = self.module.function("halves", [POINTER] * (count + 2) + [I64, I64])
        self._open(f.parameters[:count])
        self.panel, whole, begin, end = f.parameters[count:]
        blocks = -(-self.columns // self._block)
        first = dict(self.start)
        type_ = memory_element(self.node.dtype)
        with f.loop(begin, end) as loop:
            half = f.binary("udiv", loop.index, number(I64, blocks))
            block = f.binary("urem", loop.index, number(I64, blocks))
            for matrix, stride in ((self.a, self.a.across), (self.b, self.b.down)):
                step = self._times(half, self.inner * stride)
                self.start[matrix] = f.at(first[matrix], step, type_)
            self.parts = f.at(whole, self._times(half, self.rows * self._wide), type_)
            column = self._times(block, self._block)
            after = f.binary("add", column, number(I64, self._block))
            self._panels((column, after), (number(I64, 0), number(I64, self.rows)))
        f.leave()
        name = self.module.add(f)
        size = self.panel_bytes
        return Written(name, self.bases, _HALVES * blocks, 1, True, scratch_bytes=size)

    @property
    def packs_left(self) -> bool:
        """A is read where it stands."""
        return False

    def _epilogue(
        self, row: Value, column: Value, totals: list[Value], height: int, vectors: int,
        mask: Value | None,
    ) -> None:  # fmt: skip
        corner, type_ = self._part(0, row, column), memory_element(self.node.dtype)
        for place, total in enumerate(totals):
            r, v = divmod(place, vectors)
            address = self.f.at(corner, r * self._wide + v * self.lanes, type_)
            self.f.store(total, address, self.node.dtype.itemsize)


class _Sum(_Parts):
    """The sum of the halves, and what follows the product."""

    def write(self) -> Written:
        """The function: its outermost loop runs over rows."""
        count = len(self.bases)
        self.f = f = self.module.function("sum_of_halves", [POINTER] * (count + 1) + [I64, I64])
        self._open(f.parameters[:count])
        self.parts, self.begin, self.end = f.parameters[count:]
        self.by_rows = True
        self._pieces()
        f.leave()
        name = self.module.add(f)
        return Written(name, self.bases, self.rows, self.tile.rows, True, shares=True)

    def _piece(
        self, row: Value, column: Value, height: int, vectors: int, mask: Value | None
    ) -> None:
        wide, type_ = vector(element(self.node.dtype), self.lanes), memory_element(self.node.dtype)
        corners = [self._part(half, row, column) for half in range(_HALVES)]
        totals: list[Value] = []
        for r in range(height):
            for v in range(vectors):
                offset = r * self._wide + v * self.lanes
                first, second = (
                    self.f.load(self.f.at(corner, offset, type_), wide, self.node.dtype.itemsize)
                    for corner in corners
                )
                totals.append(self._plus(first, second))
        self._epilogue(row, column, totals, height, vectors, mask)
