"""The gradient of a convolution for its weights.

An element of it is a sum over all places and rows of an input times a result. A block of it, some
inputs (a channel at a tap across) times some maps, stays in registers while a line of places is
walked; for the taps down, which read the same lines, there is a block each, kept in memory
meanwhile. Lanes run over the rows of the batch and meet at the end; where there are few rows, they
run over maps.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from thalweg.compiler.native.lanes import element, is_known, memory_element
from thalweg.compiler.native.memory import mask_below, read, write
from thalweg.compiler.native.taps import meetings, tables
from thalweg.compiler.native.text import (
    I64,
    POINTER,
    Module,
    Value,
    number,
    vector,
)
from thalweg.compiler.native.tiles import ADDS, LATENCY, LOADS
from thalweg.compiler.native.written import Written
from thalweg.compiler.passes.kernels import Kernel, reads_of
from thalweg.compiler.passes.views import dense
from thalweg.ops.convolution import form_of_node

_MOST_INPUTS, _MOST_MAPS = 12, 12

_NEAR_BYTES, _FAR_BYTES = 64 << 10, 256 << 10
"""Most bytes of the sums of a block, and of all blocks that share a line."""

_STRIP_BYTES = 32 << 10
"""Bytes from the first place of a strip to its end."""

_UNROLLED = 4
"""Vectors of rows up to which a place is written out."""


class Block(NamedTuple):
    """How many inputs and how many (vectors of) maps are summed at once."""

    inputs: int
    maps: int


def write_weights(module: Module, kernel: Kernel, vector_bytes: int, registers: int) -> Written:
    """Write the gradient for the weights as a function over blocks."""
    return _Weights(module, kernel, vector_bytes, registers).write()


class _Weights:
    """The gradient being written."""

    def __init__(self, module: Module, kernel: Kernel, vector_bytes: int, registers: int) -> None:
        self.module = module
        self.kernel = kernel
        self.node = kernel.nodes[0]
        self.form = form = form_of_node(self.node)
        self.x, self.o = (item.access for item in reads_of(self.node))
        self.lanes = vector_bytes // self.node.dtype.itemsize
        self.channels, self.maps = form.channels // form.groups, form.maps // form.groups
        self.along_maps = 2 * form.rows < self.lanes and self.maps > form.rows
        self.type = memory_element(self.node.dtype)
        self.wide = vector(element(self.node.dtype), self.lanes)
        unit = self.lanes if self.along_maps else 1
        self.joins_taps = self.channels < 4 and form.taps[1] > 1
        self.inputs = self.channels * (form.taps[1] if self.joins_taps else 1)
        self.units = -(-self.maps // unit)
        self.block = _choose(self.inputs, self.units, registers)
        self.tile = self.block.inputs * self.block.maps
        bytes_across = self.tile * form.taps[0] * vector_bytes * form.taps[1]
        self.across = 1 if self.joins_taps or bytes_across > _NEAR_BYTES else form.taps[1]
        self.counts = (
            form.groups,
            1 if self.joins_taps else form.taps[1] // self.across,
            -(-self.inputs // self.block.inputs),
            -(-self.units // self.block.maps),
        )
        self.sums_of_block = self.tile * form.taps[0] * self.across
        whole = math.prod(self.counts)
        self.together = max(min(_FAR_BYTES // (self.sums_of_block * vector_bytes), whole), 1)
        pixel = max(self.x.strides[1], self.o.strides[1], 1) * self.node.dtype.itemsize
        self.strip = form.places[1] if self.joins_taps else max(_STRIP_BYTES // pixel, 4)

    def write(self) -> Written:
        """The function: its outermost loop runs over blocks."""
        bases = (*self.kernel.reads, *self.kernel.outputs)
        self.f = f = self.module.function("weights", [POINTER] * (len(bases) + 2) + [I64, I64])
        begin, end = f.parameters[-2:]
        pointers = {id(base): p for base, p in zip(bases, f.parameters, strict=False)}
        self.input = f.at(pointers[id(self.x.base)], self.x.offset, self.type)
        self.result = f.at(pointers[id(self.o.base)], self.o.offset, self.type)
        self.target = pointers[id(self.node)]
        self.sums = f.parameters[len(bases)]
        self.lines = tables(self.module, meetings(self.form, 0, False), 1, self.x.strides[0])
        self.bounds = self._bounds()
        with f.loop(begin, end, self.together) as loop:
            after = f.binary("add", loop.index, number(I64, self.together))
            self._blocks(loop.index, f.intrinsic("smin", I64, after, end))
        f.leave()
        size = self.together * self.sums_of_block * self.lanes * self.node.dtype.itemsize
        name = self.module.add(f)
        return Written(name, bases, math.prod(self.counts), 1, True, scratch_bytes=size)

    def _bounds(self) -> tuple[Value, Value]:
        """For each tap across, from where to where it reads inside, as tables."""
        found = meetings(self.form, 1, False)
        inside: list[list[int]] = [[] for _ in range(self.form.taps[1])]
        for place, each in enumerate(found):
            for tap, _ in each:
                inside[tap].append(place)
        first = [places[0] if places else 0 for places in inside]
        after = [places[-1] + 1 if places else 0 for places in inside]
        return self.module.table(first), self.module.table(after)

    def _places(self, block: Value) -> list[Value]:
        """Group, first tap across, and the first input and map (or vector of maps) of a block."""
        f, found = self.f, list[Value]()
        for count in reversed(self.counts):
            found.append(f.binary("urem", block, number(I64, count)))
            block = f.binary("udiv", block, number(I64, count))
        group, tap, first, unit = reversed(found)
        sizes = (self.inputs, self.block.inputs), (self.units, self.block.maps)
        starts = [
            f.intrinsic(
                "smin", I64, f.binary("mul", place, number(I64, length)),
                number(I64, whole - length),
            )
            for place, (whole, length) in zip((first, unit), sizes, strict=True)
        ]  # fmt: skip
        return [group, self._times(tap, self.across), *starts]

    # -------------------------------------------------------------- blocks

    def _blocks(self, begin: Value, end: Value) -> None:
        """Some blocks, whose sums stand in memory: line after line for all of them."""
        f = self.f
        count = f.binary("sub", end, begin)
        with f.loop(number(I64, 0), self._times(count, self.sums_of_block)) as loop:
            self._keep(number(self.wide, 0), f.at(self.sums, loop.index, self.wide))
        lines = number(I64, self.form.places[0])
        with f.loop(number(I64, 0), lines) as line, f.loop(number(I64, 0), count) as loop:
            places, own = self._block(begin, loop.index)
            self._line_of_block(places, own, line.index)
        with f.loop(number(I64, 0), count) as loop:
            self._finish(*self._block(begin, loop.index))

    def _block(self, begin: Value, number_: Value) -> tuple[list[Value], Value]:
        """What a block covers, and where its sums stand."""
        own = self.f.at(self.sums, self._times(number_, self.sums_of_block), self.wide)
        return self._places(self.f.binary("add", begin, number_)), own

    def _finish(self, places: list[Value], own: Value) -> None:
        """Store a block: all its taps."""
        f = self.f
        all_taps = number(I64, self.form.taps[0]), number(I64, self.across)
        with (
            f.loop(number(I64, 0), all_taps[0]) as down,
            f.loop(number(I64, 0), all_taps[1]) as across,
        ):
            step = f.binary("add", self._times(down.index, self.across), across.index)
            self._take_inputs(places, across.index)
            self._store(down.index, places, f.at(own, self._times(step, self.tile), self.wide))

    def _line_of_block(self, places: list[Value], own: Value, line: Value) -> None:
        """Add what a line of results gives to the sums of a block, strip after strip."""
        f, wide = self.f, self.form.places[1]
        with f.loop(number(I64, 0), number(I64, wide), self.strip) as strip:
            after = f.binary("add", strip.index, number(I64, self.strip))
            after = f.intrinsic("smin", I64, after, number(I64, wide))
            with f.loop(*self.lines.bounds(f, line)) as tap:
                down, source = self.lines.steps(f, tap.index)
                with f.loop(number(I64, 0), number(I64, self.across)) as across:
                    self._take_inputs(places, across.index)
                    start = self._times(line, self.o.strides[0])
                    result = f.at(self.first_map, start, self.type)
                    inputs = [f.at(pointer, source, self.type) for pointer in self.starts]
                    step = f.binary("add", self._times(down, self.across), across.index)
                    sums = f.at(own, self._times(step, self.tile), self.wide)
                    tap_across = f.binary("add", places[1], across.index)
                    self._line(sums, inputs, result, (strip.index, after), tap_across)

    def _take_inputs(self, places: list[Value], across: Value) -> None:
        """Where each input of the block begins (place 0, row 0), and its tap across."""
        f = self.f
        group, tap, first, unit = places
        tap = f.binary("add", tap, across)
        by_row, by_channel = self.x.strides[1:3]
        (left, _), gap = self.form.window.padding[1], self.form.window.dilation[1]
        start = f.at(self.input, self._times(group, self.channels * by_channel), self.type)
        self.starts: list[Value] = []
        self.shifts: list[Value] = []
        self.rows_of: list[tuple[Value, Value]] = []
        for number_ in range(self.block.inputs):
            index = f.binary("add", first, number(I64, number_))
            channel, own = index, tap
            if self.joins_taps:
                channel = f.binary("urem", index, number(I64, self.channels))
                own = f.binary("udiv", index, number(I64, self.channels))
            shift = f.binary("sub", self._times(own, gap), number(I64, left))
            place = f.binary("add", self._times(channel, by_channel), self._times(shift, by_row))
            self.starts.append(f.emit(POINTER, f"getelementptr {self.type}, {start}, {place}"))
            self.shifts.append(shift)
            self.rows_of.append((own, channel))
        unit_step = self.o.strides[2] * (self.lanes if self.along_maps else 1)
        offset = f.binary(
            "add",
            self._times(group, self.maps * self.o.strides[2]),
            self._times(unit, unit_step),
        )
        self.first_map = f.at(self.result, offset, self.type)
        self.map_mask = self._mask_of_maps(unit)

    def _mask_of_maps(self, unit: Value) -> list[Value | None]:
        """Which lanes hold maps, for each vector of the block."""
        if not self.along_maps or self.maps % self.lanes == 0:
            return [None] * self.block.maps
        f, masks = self.f, list[Value | None]()
        for v in range(self.block.maps):
            begin = self._times(f.binary("add", unit, number(I64, v)), self.lanes)
            masks.append(mask_below(f, f.binary("sub", number(I64, self.maps), begin), self.lanes))
        return masks

    # -------------------------------------------------------------- a line of places

    def _line(
        self, sums: Value, inputs: list[Value], result: Value, strip: tuple[Value, Value],
        tap: Value,
    ) -> None:  # fmt: skip
        """Add what a strip of a line gives to the sums of one tap."""
        f = self.f
        by = self.form.window.stride[1]
        size = self.lanes * self.node.dtype.itemsize
        values = [
            f.load(f.at(sums, place, self.wide), self.wide, size) for place in range(self.tile)
        ]
        for first, after, is_whole in self._parts() if self.joins_taps else self._part(strip, tap):
            if first.text == after.text:
                continue
            with f.loop(first, after, 1, values) as loop:
                own = self._times(loop.index, by * self.x.strides[1])
                at = [f.emit(POINTER, f"getelementptr {self.type}, {p}, {own}") for p in inputs]
                target = f.at(result, self._times(loop.index, self.o.strides[1]), self.type)
                inside = None if is_whole else self._inside(loop.index)
                loop.next(self._place(at, target, loop.values, inside))
            values = loop.results
        for place, value in enumerate(values):
            self._keep(value, f.at(sums, place, self.wide))

    def _part(self, strip: tuple[Value, Value], tap: Value) -> list[tuple[Value, Value, bool]]:
        """The places of a strip where a tap reads inside."""
        f = self.f
        first, after = (f.load(f.at(table, tap, I64), I64, 8) for table in self.bounds)
        begin = f.intrinsic("smax", I64, strip[0], first)
        return [(begin, f.intrinsic("smin", I64, strip[1], after), True)]

    def _parts(self) -> list[tuple[Value, Value, bool]]:
        """Places across, and whether all inputs lie inside there: edges, and what is between."""
        wide, cover = self.form.places[1], self.form.window.extent(self.form.taps)[1]
        left, right = self.form.window.padding[1]
        by, size = self.form.window.stride[1], self.form.size[1]
        full = min(-(-left // by), wide)
        last = max(min((size + left - cover) // by + 1, wide), full)
        if not left and not right:
            full, last = 0, wide
        begin, whole, rest, end = (number(I64, value) for value in (0, full, last, wide))
        return [(begin, whole, False), (whole, rest, True), (rest, end, False)]

    def _inside(self, place: Value) -> list[Value]:
        """Whether each input lies inside."""
        f, size = self.f, number(I64, self.form.size[1])
        start = self._times(place, self.form.window.stride[1])
        return [f.compare("icmp ult", f.binary("add", start, shift), size) for shift in self.shifts]

    def _place(
        self, inputs: list[Value], result: Value, sums: list[Value], inside: list[Value] | None
    ) -> list[Value]:
        """All rows of the batch at one place."""
        f, rows = self.f, self.form.rows
        step = 1 if self.along_maps else self.lanes
        whole = rows // step * step
        if not self.along_maps and whole <= _UNROLLED * step:
            for row in range(0, whole, step):
                sums = self._turn(inputs, result, number(I64, row), sums, inside, None)
        elif whole:
            with f.loop(number(I64, 0), number(I64, whole), step, sums) as loop:
                loop.next(self._turn(inputs, result, loop.index, loop.values, inside, None))
            sums = loop.results
        if rows > whole:
            mask = mask_below(f, number(I64, rows - whole), self.lanes)
            sums = self._turn(inputs, result, number(I64, whole), sums, inside, mask)
        return sums

    def _turn(
        self, inputs: list[Value], result: Value, row: Value, sums: list[Value],
        inside: list[Value] | None, mask: Value | None,
    ) -> list[Value]:  # fmt: skip
        f, dtype = self.f, self.node.dtype
        target = f.at(result, self._times(row, self.o.strides[3]), self.type)
        right: list[Value] = []
        for v in range(self.block.maps):
            if self.along_maps:
                start = f.at(target, v * self.lanes * self.o.strides[2], self.type)
                stride = self.o.strides[2]
                right.append(read(f, start, dtype, self.lanes, stride, self.map_mask[v]))
            else:
                start = f.at(target, v * self.o.strides[2], self.type)
                right.append(read(f, start, dtype, self.lanes, 1, mask))
        found: list[Value] = []
        for number_, pointer in enumerate(inputs):
            ok = None if inside is None else inside[number_]
            left = self._input(pointer, row, ok, mask)
            part = sums[number_ * self.block.maps : (number_ + 1) * self.block.maps]
            found += [f.multiply_add(left, b, s) for b, s in zip(right, part, strict=True)]
        return found

    def _input(self, pointer: Value, row: Value, ok: Value | None, mask: Value | None) -> Value:
        """An input in all lanes; zeros where it lies outside."""
        f, dtype = self.f, self.node.dtype
        offset = self._times(row, self.x.strides[3])
        address = pointer
        if offset.text != "0":
            address = f.emit(POINTER, f"getelementptr {self.type}, {pointer}, {offset}")
        if self.along_maps:
            if ok is not None:
                address = f.emit(POINTER, f"select {ok}, {address}, ptr {self._nothing().text}")
            return f.splat(read(f, address, dtype, 1, 1), self.lanes)
        if ok is None:
            return read(f, address, dtype, self.lanes, 1, mask)
        allowed = f.splat(ok, self.lanes) if self.lanes > 1 else ok
        if self.lanes == 1:
            address = f.emit(POINTER, f"select {ok}, {address}, ptr {self._nothing().text}")
            return read(f, address, dtype, 1, 1)
        if mask is not None:
            allowed = f.binary("and", allowed, mask)
        return read(f, address, dtype, self.lanes, 1, allowed)

    def _nothing(self) -> Value:
        """The address of a zero."""
        return self.module.table([0])

    # -------------------------------------------------------------- the end

    def _store(self, line: Value, places: list[Value], own: Value) -> None:
        """Store the block of a tap."""
        f = self.f
        group, _, _, unit = places
        size = self.lanes * self.node.dtype.itemsize
        down, across, by_input, _ = dense(self.node.shape)
        first = f.binary(
            "add",
            self._times(group, self.maps),
            self._times(unit, self.lanes if self.along_maps else 1),
        )
        start = f.at(self.target, f.binary("add", self._times(line, down), first), self.type)
        for number_, (tap, channel) in enumerate(self.rows_of):
            step = f.binary("add", self._times(tap, across), self._times(channel, by_input))
            target = f.at(start, step, self.type)
            for v in range(self.block.maps):
                place = f.at(own, number_ * self.block.maps + v, self.wide)
                total = f.load(place, self.wide, size)
                if self.along_maps:
                    address = f.at(target, v * self.lanes, self.type)
                    write(f, total, address, self.node.dtype, 1, self.map_mask[v])
                else:
                    address = f.at(target, v, self.type)
                    f.store(self._across(total), address, self.node.dtype.itemsize)

    def _across(self, total: Value) -> Value:
        """The sum of all lanes, by halves."""
        f, width = self.f, self.lanes
        while width > 1:
            width //= 2
            low, high = (
                f.shuffle(total, total, list(range(first, first + width)))
                if width > 1
                else f.extract(total, first)
                for first in (0, width)
            )
            total = f.binary("fadd", low, high)
        return total

    def _keep(self, value: Value, address: Value) -> None:
        self.f.store(value, address, self.lanes * self.node.dtype.itemsize)

    def _times(self, index: Value, stride: int) -> Value:
        if is_known(index):
            return number(I64, int(index.text) * stride)
        return self.f.binary("mul nsw", index, number(I64, stride))


def _choose(inputs: int, units: int, registers: int) -> Block:
    """The block with the least estimated cycles."""
    best, least = Block(1, 1), math.inf
    for high in range(1, min(inputs, _MOST_INPUTS) + 1):
        for wide in range(1, min(units, _MOST_MAPS) + 1):
            sums = high * wide
            if sums + wide + 1 > registers:
                break
            turn = max(sums / ADDS, (high + wide) / LOADS, LATENCY)
            blocks = -(-inputs // high) * -(-units // wide)
            cycles = blocks * (turn + 0.5 + 0.05 * (high + wide))
            if cycles < least:
                best, least = Block(high, wide), cycles
    return best
