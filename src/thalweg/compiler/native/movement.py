"""Kernels that move elements, and those of random bits: one primitive each, nothing fused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

from thalweg.compiler.native.bits import fold_in, threefry
from thalweg.compiler.native.lanes import converted, memory_element
from thalweg.compiler.native.memory import lane_numbers, mask_below, read, write
from thalweg.compiler.native.text import I32, I64, POINTER, Function, Module, Value, number, vector
from thalweg.compiler.native.written import Written
from thalweg.compiler.passes.kernels import Kernel, reads_of
from thalweg.compiler.passes.views import Access, dense
from thalweg.graph import DTYPES, source_of

_BLOCK = 16
"""Counters of a block of random bits."""


def write_movement(module: Module, kernel: Kernel, vector_bytes: int) -> Written:
    """Write a kernel that holds one primitive as a function."""
    return _Movement(module, kernel, vector_bytes).write()


class _Movement:
    def __init__(self, module: Module, kernel: Kernel, vector_bytes: int) -> None:
        self.module = module
        self.kernel = kernel
        (self.node,) = kernel.nodes
        self.parameters = source_of(self.node).parameters
        self.reads = [item.access for item in reads_of(self.node)]
        self.bases = (*kernel.reads, *kernel.outputs)
        self.type_ = memory_element(self.node.dtype)
        self.lanes = max(vector_bytes // max(self.node.dtype.itemsize, 4), 1)

    def write(self) -> Written:
        count = len(self.bases)
        f = self.module.function(self.kernel.kind, [POINTER] * (count + 1) + [I64, I64])
        self.f = f
        self.notes = f.parameters[count]
        self.begin, self.end = f.parameters[-2:]
        self.memory = {
            id(base): pointer for base, pointer in zip(self.bases, f.parameters, strict=False)
        }
        extent = _WRITERS[self.kernel.kind](self)
        f.leave()
        name = self.module.add(f)
        return Written(name, self.bases, extent, self.lanes, extent > 1, True)

    # -------------------------------------------------------------- addresses and copies

    @property
    def result(self) -> Value:
        """Where the node is stored."""
        return self.memory[id(self.node)]

    def first(self, access: Access) -> Value:
        """The address of the first element that is read, of a stored tensor."""
        pointer = self.memory[id(access.base)]
        return self.f.at(pointer, access.offset, memory_element(access.base.dtype))

    def moved(self, pointer: Value, index: Value, stride: int) -> Value:
        """An address further on."""
        if stride == 0:
            return pointer
        step = self.f.binary("mul nsw", index, number(I64, stride))
        return self.f.at(pointer, step, self.type_)

    def copy(
        self, shape: Sequence[int], source: Access | None, target: Value, strides: Sequence[int],
        value: float = 0,
    ) -> None:  # fmt: skip
        """Copy an array of this shape, or fill it with a number where there is no source."""
        known = None if source is None else _number(source)
        origin = None if source is None or known is not None else self.first(source)
        steps = (0,) * len(shape) if source is None else source.strides
        value = value if known is None else known
        self._copy(list(shape), origin, list(steps), target, list(strides), value)

    def _copy(
        self, shape: list[int], source: Value | None, steps: list[int], target: Value,
        strides: list[int], value: float,
    ) -> None:  # fmt: skip
        f = self.f
        if len(shape) > 1:
            with f.loop(number(I64, 0), number(I64, shape[0])) as loop:
                inner = None if source is None else self.moved(source, loop.index, steps[0])
                place = self.moved(target, loop.index, strides[0])
                self._copy(shape[1:], inner, steps[1:], place, strides[1:], value)
            return
        length = shape[0] if shape else 1
        step, stride = (steps[0], strides[0]) if shape else (1, 1)
        whole = length // self.lanes * self.lanes
        for first, last, width in ((0, whole, self.lanes), (whole, length, 1)):
            if first < last:
                with f.loop(number(I64, first), number(I64, last), width) as loop:
                    self._vector(loop.index, width, source, step, target, stride, value)

    def _vector(
        self, index: Value, width: int, source: Value | None, step: int, target: Value,
        stride: int, value: float,
    ) -> None:  # fmt: skip
        f, dtype = self.f, self.node.dtype
        if source is None:
            kind = "i1" if dtype.kind == "b" else self.type_
            found = number(vector(kind, width), value)
        else:
            found = read(f, self.moved(source, index, step), dtype, width if step else 1, step)
            if step == 0:
                found = f.splat(found, width)
        write(f, found, self.moved(target, index, stride), dtype, stride)


def _number(access: Access) -> float | None:
    base = access.base
    return None if base.value is None or base.shape else base.item()


# ---------------------------------------------------------------------- pad, concatenate


def _pad(m: _Movement) -> int:
    node, parameters = m.node, m.parameters
    m.copy([node.size], None, m.result, [1], parameters["value"])
    strides = dense(node.shape)
    pairs = list(zip(parameters["low"], strides, strict=True))
    first = m.f.at(m.result, sum(low * stride for low, stride in pairs), m.type_)
    gaps = zip(parameters["interior"], strides, strict=True)
    x = source_of(node).inputs[0]
    m.copy(x.shape, m.reads[0], first, [(gap + 1) * stride for gap, stride in gaps])
    return 1


def _concatenate(m: _Movement) -> int:
    axis = m.parameters["axis"]
    strides = dense(m.node.shape)
    inputs = source_of(m.node).inputs
    ends = list(accumulate(item.shape[axis] for item in inputs))
    for item, access, end in zip(inputs, m.reads, ends, strict=True):
        if item.size:
            start = (end - item.shape[axis]) * strides[axis]
            m.copy(item.shape, access, m.f.at(m.result, start, m.type_), strides)
    return 1


# ---------------------------------------------------------------------- scatter_add


def _scatter_add(m: _Movement) -> int:
    """Updates are added one after the other, in the order of their indices."""
    f, axis = m.f, m.parameters["axis"]
    x, indices, _ = source_of(m.node).inputs
    m.copy(x.shape, m.reads[0], m.result, dense(x.shape))
    steps, count = dense(m.node.shape), indices.ndim
    updates = m.reads[2]

    def at(place: int, target: Value, source: Value, index: Value) -> None:
        """The axes of the updates from ``place`` on."""
        if place == len(updates.strides):
            moved = m.moved(target, _checked(m, index, x.shape[axis]), steps[axis])
            _add(m, moved, source)
            return
        is_index = axis <= place < axis + count
        length = source_of(m.node).inputs[2].shape[place]
        with f.loop(number(I64, 0), number(I64, length)) as loop:
            inner = m.moved(source, loop.index, updates.strides[place])
            if is_index:
                stride = m.reads[1].strides[place - axis]
                part = f.binary("mul", loop.index, number(I64, stride))
                at(place + 1, target, inner, f.binary("add", index, part))
            else:
                own = steps[place if place < axis else place - count + 1]
                at(place + 1, m.moved(target, loop.index, own), inner, index)

    start = m.result if _number(updates) is not None else m.first(updates)
    at(0, m.result, start, number(I64, 0))
    return 1


def _checked(m: _Movement, place: Value, length: int) -> Value:
    """The index stored at a place, 0 where it is outside its axis; that it was is noted."""
    f, access = m.f, m.reads[1]
    known = _number(access)
    if known is not None:
        index = number(I64, known)
    else:
        dtype = access.base.dtype
        address = f.at(m.first(access), place, memory_element(dtype))
        index = converted(f, read(f, address, dtype, 1, 0), dtype, DTYPES["int64"])
    wrong = f.compare("icmp uge", index, number(I64, length))
    with f.when(wrong):
        f.store(number(I32, 1), m.notes, 4)
    return f.select(wrong, number(I64, 0), index)


def _add(m: _Movement, target: Value, source: Value) -> None:
    f, dtype = m.f, m.node.dtype
    known = _number(m.reads[2])
    kind = "i1" if dtype.kind == "b" else m.type_
    update = read(f, source, dtype, 1, 0) if known is None else number(kind, known)
    name = "fadd" if dtype.kind == "f" else "or" if dtype.kind == "b" else "add"
    write(f, f.binary(name, read(f, target, dtype, 1, 0), update), target, dtype, 1)


# ---------------------------------------------------------------------- transposed copies


def _transpose(m: _Movement) -> int:
    """Square blocks are exchanged in registers; rows of the result are split over callers."""
    f, access, shape = m.f, m.reads[0], m.node.shape
    rows, columns = shape[-2:]
    strides = dense(shape)

    def at(place: int, source: Value, target: Value) -> None:
        if place < len(shape) - 2:
            with f.loop(number(I64, 0), number(I64, shape[place])) as loop:
                inner = m.moved(source, loop.index, access.strides[place])
                at(place + 1, inner, m.moved(target, loop.index, strides[place]))
            return
        with f.loop(m.begin, m.end, m.lanes) as down:
            for first, last in ((0, columns // m.lanes * m.lanes), (-1, columns)):
                begin = first if first == 0 else columns // m.lanes * m.lanes
                if begin < last:
                    with f.loop(number(I64, begin), number(I64, last), m.lanes) as across:
                        height = m.lanes if first == 0 else columns % m.lanes
                        _exchange(m, source, target, down.index, across.index, height)

    at(0, m.first(access), m.result)
    return rows


def _exchange(
    m: _Movement, source: Value, target: Value, row: Value, column: Value, height: int
) -> None:
    """One block: ``height`` rows of the source become columns of the result."""
    f, lanes, dtype = m.f, m.lanes, m.node.dtype
    rows, columns = m.node.shape[-2:]
    stride = m.reads[0].strides[-1]
    left = f.binary("sub", number(I64, rows), row)
    mask = None if rows % lanes == 0 else mask_below(f, left, lanes)
    origin = m.moved(m.moved(source, column, stride), row, 1)
    zero = number(vector(m.type_, lanes), 0)
    block = [
        read(f, f.at(origin, place * stride, m.type_), dtype, lanes, 1, mask)
        if place < height
        else zero
        for place in range(lanes)
    ]
    block = transposed(f, block)
    inside = None if height == lanes else mask_below(f, number(I64, height), lanes)
    place = m.moved(m.moved(target, row, columns), column, 1)
    for line, value in enumerate(block):
        address = f.at(place, line * columns, m.type_)
        if rows % lanes == 0:
            write(f, value, address, dtype, 1, inside)
        else:
            with f.when(f.compare("icmp sgt", left, number(I64, line))):
                write(f, value, address, dtype, 1, inside)


def transposed(f: Function, block: list[Value]) -> list[Value]:
    """A square block of lanes with rows and columns exchanged, in log₂ steps."""
    lanes = len(block)
    half = 1
    while half < lanes:
        first = [lane if not lane & half else lanes + lane - half for lane in range(lanes)]
        second = [lane + half if not lane & half else lanes + lane for lane in range(lanes)]
        following = list(block)
        for place in range(lanes):
            if not place & half:
                a, b = block[place], block[place + half]
                following[place] = f.shuffle(a, b, first)
                following[place + half] = f.shuffle(a, b, second)
        block, half = following, 2 * half
    return block


# ---------------------------------------------------------------------- random bits


def _key(m: _Movement) -> tuple[Value, Value]:
    access = m.reads[0]
    known = _number(access)
    if known is not None:
        return number(I32, known), number(I32, known)
    pointer = m.first(access)
    (step,) = access.strides
    second = m.f.at(pointer, step, I32)
    return m.f.load(pointer, I32, 4), m.f.load(second, I32, 4)


def _random_bits(m: _Movement) -> int:
    """Blocks of 32 words: 16 first words, then their second words."""
    f, count = m.f, m.node.size
    key = _key(m)
    keys = (f.splat(key[0], _BLOCK), f.splat(key[1], _BLOCK))
    zero = number(vector(I32, _BLOCK), 0)
    blocks = -(-count // (2 * _BLOCK))
    with f.loop(m.begin, m.end) as loop:
        start = f.convert("trunc", f.binary("mul", loop.index, number(I64, _BLOCK)), I32)
        counters = f.binary("add", f.splat(start, _BLOCK), lane_numbers(_BLOCK))
        words = threefry(f, keys, counters, zero)
        for half, word in enumerate(words):
            place = f.binary("mul", loop.index, number(I64, 2 * _BLOCK))
            place = f.binary("add", place, number(I64, half * _BLOCK))
            mask = None
            if count % (2 * _BLOCK):
                mask = mask_below(f, f.binary("sub", number(I64, count), place), _BLOCK)
            write(f, word, f.at(m.result, place, I32), m.node.dtype, 1, mask)
    return blocks


def _fold_in(m: _Movement) -> int:
    f, access = m.f, m.reads[1]
    known = _number(access)
    value = number(I32, known) if known is not None else f.load(m.first(access), I32, 4)
    words = fold_in(f, _key(m), value)
    for place, word in enumerate(words):
        f.store(word, f.at(m.result, place, I32), 4)
    return 1


_WRITERS: dict[str, Callable[[_Movement], int]] = {
    "pad": _pad,
    "concatenate": _concatenate,
    "scatter_add": _scatter_add,
    "transpose": _transpose,
    "random_bits": _random_bits,
    "fold_in": _fold_in,
}
