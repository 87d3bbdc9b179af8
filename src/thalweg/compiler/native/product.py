"""Matrix products: register tiles over any shape and strides, with what follows them.

A piece of the result (some rows times some vectors of columns) stays in registers while the inner
axis is walked once: each turn reads one vector of B for each vector of columns, and repeats one
element of A for each row. What fusion has put behind the product is computed on the registers and
only then stored. Few columns are computed as dot products along the inner axis, or with the roles
of A and B exchanged, whichever has its lanes along neighbouring elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from thalweg.compiler.native.lanes import (
    element,
    is_known,
    memory_element,
    times,
    write_elementwise,
)
from thalweg.compiler.native.memory import mask_below, read, widened, write
from thalweg.compiler.native.text import (
    I64,
    POINTER,
    Module,
    Value,
    number,
    vector,
    width_of,
)
from thalweg.compiler.native.tiles import Tile, choose_tile
from thalweg.compiler.native.written import Written
from thalweg.compiler.passes.kernels import Kernel, Read, is_number, is_stored, reads_of
from thalweg.compiler.passes.prepare import NARROW, is_large
from thalweg.compiler.passes.views import dense
from thalweg.graph import Tensor, source_of


class Operand(NamedTuple):
    """An operand from the first row, or column, of a piece on.

    Attributes:
        pointer: its first element.
        down, across: strides along its rows and its columns.
    """

    pointer: Value
    down: int
    across: int


@dataclass(frozen=True)
class Matrix:
    """Something of the product's shape, or an operand: offset and strides.

    Attributes:
        base: the stored tensor.
        offset: of the first element.
        batch: strides of the batch axes.
        down, across: strides along rows and columns.
    """

    base: Tensor
    offset: int
    batch: tuple[int, ...]
    down: int
    across: int

    @property
    def turned(self) -> Matrix:
        """The transposed matrix."""
        return Matrix(self.base, self.offset, self.batch, self.across, self.down)


def write_product(module: Module, kernel: Kernel, vector_bytes: int, registers: int) -> Written:
    """Write a product with its epilogue as a function."""
    from thalweg.compiler.native.convolution import Convolution
    from thalweg.compiler.native.dots import Dots
    from thalweg.compiler.native.halves import is_deep, write_halves
    from thalweg.compiler.native.packed import Packed
    from thalweg.compiler.native.pooled import Pooled

    if kernel.pool is not None:
        return Pooled(module, kernel, vector_bytes, registers).write()
    if source_of(kernel.nodes[0]).primitive.name != "matmul":
        return Convolution(module, kernel, vector_bytes, registers).write()
    plain = Product(module, kernel, vector_bytes, registers)
    if plain.is_narrow:
        return Dots(module, kernel, vector_bytes, registers).write()
    if is_large(kernel.nodes[0]):
        packed = Packed(module, kernel, vector_bytes, registers)
        if is_deep(packed):
            return write_halves(module, kernel, vector_bytes, registers)
        return packed.write()
    return plain.write()


class Product:
    """A product being written: every piece of the result from A and B as they stand in memory."""

    def __init__(self, module: Module, kernel: Kernel, vector_bytes: int, registers: int) -> None:
        self.module = module
        self.kernel = kernel
        self.node = kernel.nodes[0]
        self._take_operands()
        self.own = {id(node) for node in kernel.nodes}
        self.stores = {id(node): self._stored(node) for node in kernel.outputs}
        self.leaves = {
            (id(node), place): self._matrix(item)
            for node in kernel.nodes[1:]
            for place, item in enumerate(reads_of(node))
            if id(item.base) not in self.own and not is_number(item.base)
        }
        self.lanes = vector_bytes // self.node.dtype.itemsize
        self._turn_where_better()
        depth = self._depth
        self.tile: Tile = choose_tile(self.rows, self.columns, depth, self.lanes, registers)
        self.bases = (*kernel.reads, *kernel.outputs)
        self.by_rows = self.rows // self.tile.rows >= self.columns // self._block

    def _take_operands(self) -> None:
        """Find out sizes, and how A and B are read."""
        flags = source_of(self.node).parameters
        a, b = (self._matrix(item) for item in reads_of(self.node))
        self.a = a.turned if flags["transpose_a"] else a
        self.b = b.turned if flags["transpose_b"] else b
        shape = source_of(self.node).inputs[0].shape
        self.inner = shape[-2] if flags["transpose_a"] else shape[-1]
        self.batch = self.node.shape[:-2]
        self.rows, self.columns = self.node.shape[-2:]

    def _matrix(self, item: Read) -> Matrix:
        """How an operand, or what follows the product reads, is read."""
        return self._laid(item.base, item.access.offset, item.access.strides)

    def _stored(self, node: Tensor) -> Matrix:
        """Where a result is stored."""
        return self._laid(node, 0, dense(node.shape))

    def _laid(self, base: Tensor, offset: int, strides: tuple[int, ...]) -> Matrix:
        return Matrix(base, offset, strides[:-2], strides[-2], strides[-1])

    @property
    def _depth(self) -> int:
        """Multiply-adds for an element of the result."""
        return self.inner

    def _turn_where_better(self) -> None:
        """Exchange A and B where only the transposed result has its lanes side by side."""
        if self.columns <= NARROW and self.a.down == 1 and self.rows >= self.lanes:
            self._turn_round()

    def _turn_round(self) -> None:
        """Exchange A and B: the transposed result is computed."""
        self.a, self.b = self.b.turned, self.a.turned
        self.rows, self.columns = self.columns, self.rows
        self.stores = {key: matrix.turned for key, matrix in self.stores.items()}
        self.leaves = {key: matrix.turned for key, matrix in self.leaves.items()}

    @property
    def is_narrow(self) -> bool:
        """Whether dot products along the inner axis are best."""
        fits = self.lanes > 1 and self.lanes % self.columns == 0 and not self.batch
        along = self.a.across == 1 == self.b.down and self.node.type.is_float
        return fits and along and self.columns <= NARROW and self.inner >= self.lanes // 2

    @property
    def _block(self) -> int:
        return self.tile.vectors * self.lanes

    # -------------------------------------------------------------- the function

    def write(self) -> Written:
        """Write the function; its outermost loop runs over rows, columns, or the batch."""
        self.f = f = self.module.function("product", [*[POINTER] * len(self.bases), I64, I64])
        self.begin, self.end = f.parameters[-2:]
        self._enter()
        if self.batch:
            with f.loop(self.begin, self.end) as loop:
                self._open(f.parameters, self._batch_index(loop.index))
                self._pieces()
        else:
            self._open(f.parameters)
            self._pieces()
        f.leave()
        name = self.module.add(f)
        if self.batch:
            return Written(name, self.bases, math.prod(self.batch), 1, True)
        extent, grain = (self.rows, self.tile.rows) if self.by_rows else (self.columns, self._block)
        return Written(name, self.bases, extent, grain, True)

    def _enter(self) -> None:
        """What the function does first."""

    def _batch_index(self, number_: Value) -> list[Value]:
        """The index along each batch axis."""
        f, rest = self.f, number_
        found: list[Value] = []
        for length in reversed(self.batch):
            found.append(f.binary("urem", rest, number(I64, length)))
            rest = f.binary("udiv", rest, number(I64, length))
        return list(reversed(found))

    def _open(self, parameters: Sequence[Value], batch: Sequence[Value] = ()) -> None:
        """Find the first element of everything (of one member of the batch)."""
        self.memory = {
            id(base): pointer for base, pointer in zip(self.bases, parameters, strict=False)
        }
        self.start: dict[Matrix, Value] = {}
        for matrix in (self.a, self.b, *self.stores.values(), *self.leaves.values()):
            if is_stored(matrix.base):
                self.start[matrix] = self._first(matrix, batch)

    def _pieces(self) -> None:
        """All pieces of one matrix."""
        rows, columns = (
            (number(I64, 0), number(I64, self.rows)),
            (
                number(I64, 0),
                number(I64, self.columns),
            ),
        )
        if not self.batch:
            span = (self.begin, self.end)
            rows, columns = (span, columns) if self.by_rows else (rows, span)
        whole = self.columns // self._block * self._block
        rest = self.columns - whole
        if whole:
            with self.f.loop(columns[0], self._least(columns[1], whole), self._block) as loop:
                self._down(rows, loop.index, self.tile.vectors, None)
        if rest:
            inside = self.f.compare("icmp sgt", columns[1], number(I64, whole))
            with self.f.when(inside):
                part = rest % self.lanes
                mask = mask_below(self.f, number(I64, part), self.lanes) if part else None
                self._down(rows, number(I64, whole), -(-rest // self.lanes), mask)

    def _least(self, end: Value, whole: int) -> Value:
        if is_known(end):
            return number(I64, min(int(end.text), whole))
        return self.f.intrinsic("smin", I64, end, number(I64, whole))

    def _first(self, matrix: Matrix, batch: Sequence[Value]) -> Value:
        f, type_ = self.f, memory_element(matrix.base.dtype)
        pointer = f.at(self.memory[id(matrix.base)], matrix.offset, type_)
        for index, stride in zip(batch, matrix.batch, strict=False):
            if stride:
                pointer = f.at(pointer, f.binary("mul", index, number(I64, stride)), type_)
        return pointer

    def _down(
        self, rows: tuple[Value, Value], column: Value, vectors: int, mask: Value | None
    ) -> None:
        """All rows of one block of columns."""
        height = self.tile.rows
        whole = self.rows // height * height
        if whole:
            with self.f.loop(rows[0], self._least(rows[1], whole), height) as loop:
                self._piece(loop.index, column, height, vectors, mask)
        if self.rows > whole:
            inside = self.f.compare("icmp sgt", rows[1], number(I64, whole))
            with self.f.when(inside):
                self._piece(number(I64, whole), column, self.rows - whole, vectors, mask)

    # -------------------------------------------------------------- one piece

    def _piece(
        self, row: Value, column: Value, height: int, vectors: int, mask: Value | None
    ) -> None:
        zero = number(vector(element(self.node.dtype), self.lanes), 0)
        a, b = self._left(row), self._right(column, vectors, mask)
        totals = self._summed(a, b, [zero] * (height * vectors), height, vectors, mask)
        self._epilogue(row, column, totals, height, vectors, mask)

    def _summed(
        self, a: Operand, b: Operand, totals: list[Value], height: int, vectors: int,
        mask: Value | None,
    ) -> list[Value]:  # fmt: skip
        """The totals and what the inner axis adds to them."""
        f = self.f
        zero = number(vector(element(self.node.dtype), self.lanes), 0)
        steps = self.tile.steps if height * vectors <= 8 else 1
        steps = min(steps, max(self.inner, 1))
        sums = [*totals, *[zero] * (height * vectors * (steps - 1))]
        whole = self.inner // steps * steps
        if whole:
            with f.loop(number(I64, 0), number(I64, whole), steps, sums) as loop:
                values: list[Value] = []
                count = height * vectors
                for step in range(steps):
                    part = loop.values[step * count : (step + 1) * count]
                    values += self._turn(a, b, loop.index, step, part, height, vectors, mask)
                loop.next(values)
            sums = loop.results
        totals = self._together(sums, height * vectors, steps)
        for step in range(self.inner - whole):
            index = number(I64, whole + step)
            totals = self._turn(a, b, index, 0, totals, height, vectors, mask)
        return totals

    def _left(self, row: Value) -> Operand:
        """A from a row on."""
        return Operand(self._at(self.a, row, None), self.a.down, self.a.across)

    def _right(self, column: Value, vectors: int, mask: Value | None) -> Operand:
        """B from a column on."""
        return Operand(self._at(self.b, None, column), self.b.down, self.b.across)

    def _together(self, sums: list[Value], count: int, steps: int) -> list[Value]:
        totals = sums[:count]
        for step in range(1, steps):
            part = sums[step * count : (step + 1) * count]
            totals = [self._plus(x, y) for x, y in zip(totals, part, strict=True)]
        return totals

    def _plus(self, x: Value, y: Value) -> Value:
        return self.f.binary("fadd" if self.node.type.is_float else "add", x, y)

    def _turn(
        self, a: Operand, b: Operand, index: Value, step: int, sums: list[Value],
        height: int, vectors: int, mask: Value | None,
    ) -> list[Value]:  # fmt: skip
        """One place along the inner axis: each sum takes in the product of its two elements."""
        f, type_, dtype = self.f, memory_element(self.node.dtype), self.node.dtype
        place_a = f.at(f.at(a.pointer, self._times(index, a.across), type_), step * a.across, type_)
        place_b = f.at(f.at(b.pointer, self._times(index, b.down), type_), step * b.down, type_)
        right = [
            read(
                f, f.at(place_b, v * self.lanes * b.across, type_), dtype, self.lanes,
                b.across or 1, mask if v == vectors - 1 else None,
            )
            for v in range(vectors)
        ]  # fmt: skip
        results: list[Value] = []
        for r in range(height):
            one = f.load(f.at(place_a, r * a.down, type_), type_, dtype.itemsize)
            left = f.splat(one, self.lanes)
            results += [
                self._product(left, right[v], sums[r * vectors + v]) for v in range(vectors)
            ]
        return results

    def _product(self, a: Value, b: Value, total: Value) -> Value:
        if self.node.type.is_float:
            return self.f.multiply_add(a, b, total)
        return self.f.binary("add", self.f.binary("mul", a, b), total)

    def _times(self, index: Value, stride: int) -> Value:
        return times(self.f, index, stride)

    def _at(self, matrix: Matrix, row: Value | None, column: Value | None) -> Value:
        type_ = memory_element(matrix.base.dtype)
        pointer = self.start[matrix]
        if row is not None:
            pointer = self.f.at(pointer, self._times(row, matrix.down), type_)
        if column is not None:
            pointer = self.f.at(pointer, self._times(column, matrix.across), type_)
        return pointer

    # -------------------------------------------------------------- what follows

    def _epilogue(
        self, row: Value, column: Value, totals: list[Value], height: int, vectors: int,
        mask: Value | None,
    ) -> None:  # fmt: skip
        corners = self._corners(self.kernel.nodes[1:], row, column)
        known: dict[object, Value] = {}
        for r in range(height):
            for v in range(vectors):
                covered = mask if v == vectors - 1 else None
                values: dict[object, Value] = {id(self.node): totals[r * vectors + v]}
                self._follow(self.kernel.nodes[1:], values, corners, known, (r, v), covered)
                self._store(values, corners, (r, v), covered)

    def _corners(self, nodes: Sequence[Tensor], row: Value, column: Value) -> dict[Matrix, Value]:
        """Where a piece begins in all that nodes read, and in what is stored."""
        keys = {(id(node), place) for node in nodes for place in range(len(reads_of(node)))}
        leaves = {matrix for key, matrix in self.leaves.items() if key in keys}
        return {
            matrix: self._at(matrix, row, column)
            for matrix in {*self.stores.values(), *leaves}
            if is_stored(matrix.base)
        }

    def _follow(
        self, nodes: Sequence[Tensor], values: dict[object, Value], corners: dict[Matrix, Value],
        known: dict[object, Value], where: tuple[int, int], mask: Value | None,
    ) -> None:  # fmt: skip
        """Compute nodes for one vector of the piece."""
        for node in nodes:
            operands = [
                self._operand(node, place, values, corners, known, where, mask)
                for place in range(len(reads_of(node)))
            ]
            values[id(node)] = write_elementwise(self.f, node, operands)

    def _operand(
        self, node: Tensor, place: int, values: dict[object, Value], corners: dict[Matrix, Value],
        known: dict[object, Value], where: tuple[int, int], mask: Value | None,
    ) -> Value:  # fmt: skip
        base = reads_of(node)[place].base
        if id(base) in values:
            return values[id(base)]
        if is_number(base):
            return number(vector(element(base.dtype), self.lanes), base.item())
        matrix = self.leaves[id(node), place]
        r, v = where
        key = (matrix, r if matrix.down else 0, v if matrix.across else 0)
        if key not in known:
            type_ = memory_element(base.dtype)
            offset = r * matrix.down + v * self.lanes * matrix.across
            address = self.f.at(corners[matrix], offset, type_)
            width = self.lanes if matrix.across else 1
            found = read(self.f, address, base.dtype, width, matrix.across, mask)
            known[key] = widened(self.f, found, self.lanes)
        return known[key]

    def _store(
        self, values: dict[object, Value], corners: dict[Matrix, Value], where: tuple[int, int],
        mask: Value | None,
    ) -> None:  # fmt: skip
        r, v = where
        for key, matrix in self.stores.items():
            offset = r * matrix.down + v * self.lanes * matrix.across
            address = self.f.at(corners[matrix], offset, memory_element(matrix.base.dtype))
            value = widened(self.f, values[key], self.lanes)
            if width_of(value.type) > 1 or self.lanes == 1:
                write(self.f, value, address, matrix.base.dtype, matrix.across, mask)
