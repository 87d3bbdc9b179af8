"""Products of few columns: dot products along the inner axis, as many at once as lanes.

With 2 columns and 16 lanes, 8 rows are handled together: 16 sums of 16 lanes each. They are folded
into one vector in four steps, in which each shuffle serves two sums; its lanes are the 8 · 2
results in the order of memory.
"""

from __future__ import annotations

from thalweg.compiler.native.lanes import element, memory_element, write_elementwise
from thalweg.compiler.native.memory import mask_below, read, read_at, widened, write
from thalweg.compiler.native.product import Matrix, Product
from thalweg.compiler.native.text import (
    I32,
    I64,
    POINTER,
    Function,
    Value,
    lanes,
    number,
    vector,
)
from thalweg.compiler.native.written import Written
from thalweg.compiler.passes.kernels import is_number, is_stored, reads_of
from thalweg.graph import Tensor


class Dots(Product):
    """A product whose operands both lie along the inner axis in memory."""

    @property
    def group(self) -> int:
        """Rows that are handled together."""
        return self.lanes // self.columns

    def write(self) -> Written:
        """Write the function; its outermost loop runs over rows."""
        self.f = f = self.module.function("dots", [*[POINTER] * len(self.bases), I64, I64])
        self.memory = {
            id(base): pointer for base, pointer in zip(self.bases, f.parameters, strict=False)
        }
        begin, end = f.parameters[-2:]
        matrices = {self.a, self.b, *self.stores.values(), *self.leaves.values()}
        self.start = {
            matrix: self._first(matrix, []) for matrix in matrices if is_stored(matrix.base)
        }
        whole = self.rows // self.group * self.group
        if whole:
            with f.loop(begin, self._least(end, whole), self.group) as loop:
                self._rows(loop.index, self.group)
        if self.rows > whole:
            with f.when(f.compare("icmp sgt", end, number(I64, whole))):
                self._rows(number(I64, whole), self.rows - whole)
        f.leave()
        name = self.module.add(f)
        return Written(name, self.bases, self.rows, self.group, True)

    def _rows(self, row: Value, height: int) -> None:
        """Some rows: their sums, folded, and what follows."""
        f = self.f
        wide = vector(element(self.node.dtype), self.lanes)
        a, b = self._at(self.a, row, None), self.start[self.b]
        sums = [number(wide, 0)] * (height * self.columns)
        whole = self.inner // self.lanes * self.lanes
        if whole:
            with f.loop(number(I64, 0), number(I64, whole), self.lanes, sums) as loop:
                loop.next(self._taken(a, b, loop.index, loop.values, None))
            sums = loop.results
        if self.inner > whole:
            mask = mask_below(f, number(I64, self.inner - whole), self.lanes)
            sums = self._taken(a, b, number(I64, whole), sums, mask)
        missing = [number(wide, 0)] * (self.lanes - len(sums))
        self._finish(row, folded(f, [*sums, *missing]), height)

    def _taken(
        self, a: Value, b: Value, index: Value, sums: list[Value], mask: Value | None
    ) -> list[Value]:
        f, type_, dtype = self.f, memory_element(self.node.dtype), self.node.dtype
        a, b = f.at(a, index, type_), f.at(b, index, type_)
        right = [
            read(f, f.at(b, column * self.b.across, type_), dtype, self.lanes, 1, mask)
            for column in range(self.columns)
        ]
        results: list[Value] = []
        for r in range(len(sums) // self.columns):
            left = read(f, f.at(a, r * self.a.down, type_), dtype, self.lanes, 1, mask)
            for column, value in enumerate(right):
                results.append(f.multiply_add(left, value, sums[r * self.columns + column]))
        return results

    def _finish(self, row: Value, total: Value, height: int) -> None:
        mask = None
        if height < self.group:
            mask = mask_below(self.f, number(I64, height * self.columns), self.lanes)
        values = {id(self.node): total}
        for node in self.kernel.nodes[1:]:
            operands = [
                self._dot_operand(node, place, values, row, mask)
                for place in range(len(reads_of(node)))
            ]
            values[id(node)] = write_elementwise(self.f, node, operands)
        for key, matrix in self.stores.items():
            address = self._at(matrix, row, None)
            write(self.f, values[key], address, matrix.base.dtype, 1, mask)

    def _dot_operand(
        self, node: Tensor, place: int, values: dict[int, Value], row: Value, mask: Value | None
    ) -> Value:
        base = reads_of(node)[place].base
        if id(base) in values:
            return values[id(base)]
        if is_number(base):
            return number(vector(element(base.dtype), self.lanes), base.item())
        matrix = self.leaves[id(node), place]
        return self._spread(matrix, self._at(matrix, row, None), mask)

    def _spread(self, matrix: Matrix, address: Value, mask: Value | None) -> Value:
        """Lanes that walk along the columns of one row, then of the next."""
        f, dtype = self.f, matrix.base.dtype
        if (matrix.down, matrix.across) == (self.columns, 1):
            return read(f, address, dtype, self.lanes, 1, mask)
        if not matrix.down and not matrix.across:
            return widened(f, read(f, address, dtype, 1, 0), self.lanes)
        places = [
            lane // self.columns * matrix.down + lane % self.columns * matrix.across
            for lane in range(self.lanes)
        ]
        offsets = lanes(vector(I32, self.lanes), places)
        pointers = vector(POINTER, self.lanes)
        type_ = memory_element(dtype)
        spread = f.emit(pointers, f"getelementptr inbounds {type_}, {address}, {offsets}")
        return read_at(f, spread, dtype, mask)


def folded(f: Function, sums: list[Value]) -> Value:
    """One vector whose lane i is the sum of all lanes of the i-th vector."""
    width = len(sums)
    half = 1
    while half < width:
        first = [lane if not lane & half else width + lane - half for lane in range(width)]
        second = [lane + half if not lane & half else width + lane for lane in range(width)]
        pairs = list(zip(sums[::2], sums[1::2], strict=True))
        sums = [f.binary("fadd", f.shuffle(a, b, first), f.shuffle(a, b, second)) for a, b in pairs]
        half *= 2
    return sums[0]
